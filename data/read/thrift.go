package read

import "encoding/binary"

// mostThrift bounds a footer: a million structures, a column in a group of rows is about four.
const mostThrift = 16 << 20

// thriftCheck walks through a message of Thrift's compact protocol, and finds
// lists and texts that claim more bytes than there are: the library makes room
// for them first, and more of it than they have.
type thriftCheck struct {
	b    []byte
	bad  bool
	cost int // of what is made of it, in values of 16 bytes; a structure is 16 of them
}

func (t *thriftCheck) structure(depth int) {
	if t.cost += 16; depth > maxNesting {
		t.bad = true
	}
	for !t.bad {
		head := t.byte()
		if head == 0 {
			return
		}
		if head>>4 == 0 {
			t.varint() // the field's number
		}
		if kind := head & 15; kind > 2 { // true and false are in the head
			t.value(kind, depth)
		}
	}
}

func (t *thriftCheck) value(kind byte, depth int) {
	if t.cost++; t.cost > mostThrift {
		t.bad = true
	}
	switch kind {
	case 1, 2, 3:
		t.skip(1)
	case 4, 5, 6:
		t.varint()
	case 7:
		t.skip(8)
	case 8:
		t.skip(t.varint())
	case 9, 10:
		head := t.byte()
		n := uint64(head >> 4)
		if n == 15 {
			n = t.varint()
		}
		t.bad = t.bad || n > uint64(len(t.b))
		for ; n > 0 && !t.bad; n-- {
			t.value(head&15, depth+1)
		}
	case 11:
		n := t.varint()
		if n == 0 {
			return
		}
		kinds := t.byte()
		t.bad = t.bad || n > uint64(len(t.b))
		for ; n > 0 && !t.bad; n-- {
			t.value(kinds>>4, depth+1)
			t.value(kinds&15, depth+1)
		}
	case 12:
		t.structure(depth + 1)
	default:
		t.bad = true
	}
}

func (t *thriftCheck) byte() byte {
	if len(t.b) == 0 {
		t.bad = true
		return 0
	}
	c := t.b[0]
	t.b = t.b[1:]
	return c
}

func (t *thriftCheck) varint() uint64 {
	v, n := binary.Uvarint(t.b)
	if n <= 0 {
		t.bad = true
		return 0
	}
	t.b = t.b[n:]
	return v
}

func (t *thriftCheck) skip(n uint64) {
	if n > uint64(len(t.b)) {
		t.bad = true
		return
	}
	t.b = t.b[n:]
}
