package read

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"
	flatbuffers "github.com/google/flatbuffers/go"
)

// arrowMessages cuts an Arrow stream into its messages and checks the sizes in
// them against what is there: the library asks for as much memory as they say,
// and a flipped bit made it ask for 132 GB.
type arrowMessages struct {
	r    io.Reader
	size int64 // of the stream
	read int64
	body int64 // bytes of the last message
	refs atomic.Int64
}

// Retain and Release are what the library wants; the memory is the collector's.
func (m *arrowMessages) Retain()  { m.refs.Add(1) }
func (m *arrowMessages) Release() { m.refs.Add(-1) }

// Message returns the next message or io.EOF.
func (m *arrowMessages) Message() (*ipc.Message, error) {
	if m.read >= m.size {
		return nil, io.EOF // a file without the mark of the stream's end
	}
	length, err := m.int32()
	if err == nil && length == -1 { // what marks a message since 0.15
		length, err = m.int32()
	}
	if err != nil {
		return nil, err
	}
	if length == 0 {
		return nil, io.EOF
	}
	if length > mostFooter {
		return nil, fmt.Errorf("the head of a message has %d bytes, want at most %d MiB", length, mostFooter>>20)
	}
	meta, err := m.bytes(int64(length), "the head of a message")
	if err != nil {
		return nil, err
	}
	bodySize, err := checkMessage(meta)
	if err != nil {
		return nil, err
	}
	m.body = bodySize
	body, err := m.bytes(bodySize, "the body of a message")
	if err != nil {
		return nil, err
	}
	return ipc.NewMessage(memory.NewBufferBytes(meta), memory.NewBufferBytes(body)), nil
}

func (m *arrowMessages) int32() (int32, error) {
	b, err := m.bytes(4, "the length of a message")
	if err != nil {
		return 0, err
	}
	return int32(binary.LittleEndian.Uint32(b)), nil
}

func (m *arrowMessages) bytes(n int64, what string) ([]byte, error) {
	if n < 0 || n > m.size-m.read {
		return nil, fmt.Errorf("%s has %d bytes, where %d are left", what, n, m.size-m.read)
	}
	if n > mostBatch {
		return nil, &brokenFile{hint: smaller,
			detail: fmt.Sprintf("%s has %d bytes, want record batches of at most %d MiB", what, n, mostBatch>>20)}
	}
	b := make([]byte, n)
	_, err := io.ReadFull(m.r, b)
	m.read += n
	return b, err
}

// Places in the tables of Arrow's Message.fbs and Schema.fbs.
const (
	messageHeaderType, messageHeader, messageBody = 6, 8, 10
	schemaFields, schemaMetadata                  = 6, 8
	fieldName, fieldChildren, fieldMetadata       = 4, 14, 16
	metadataKey, metadataValue                    = 4, 6
	batchNodes, batchBuffers                      = 6, 8
	dictionaryData                                = 6

	headerSchema, headerDictionary, headerBatch = 1, 2, 3
)

// checkMessage checks the lengths of all lists in a message's head, and returns
// the length of its body. Places outside of the head make it panic, which is
// recovered with the library's own.
func checkMessage(meta []byte) (body int64, err error) {
	root := flatbuffers.GetUOffsetT(meta)
	t := flatbuffers.Table{Bytes: meta, Pos: root}
	if o := t.Offset(messageBody); o != 0 {
		body = t.GetInt64(flatbuffers.UOffsetT(o) + t.Pos)
	}
	kind := byte(0)
	if o := t.Offset(messageHeaderType); o != 0 {
		kind = t.GetByte(flatbuffers.UOffsetT(o) + t.Pos)
	}
	o := t.Offset(messageHeader)
	if o == 0 {
		return 0, fmt.Errorf("a message without a header")
	}
	var header flatbuffers.Table
	t.Union(&header, flatbuffers.UOffsetT(o))
	c := headCheck{left: 1 << 16, text: mostFooter}
	switch kind {
	case headerSchema:
		c.metadata(header, schemaMetadata)
		c.fields(header, schemaFields, 0)
	case headerBatch:
		c.batch(header)
	case headerDictionary:
		if o := header.Offset(dictionaryData); o != 0 {
			at := header.Indirect(flatbuffers.UOffsetT(o) + header.Pos)
			c.batch(flatbuffers.Table{Bytes: meta, Pos: at})
		}
	default:
		return 0, fmt.Errorf("a message of kind %d, want a schema or a batch", kind)
	}
	return body, c.err
}

// headCheck walks through a head.
type headCheck struct {
	left int // fields that may still come,
	text int // and bytes of their names and metadata: many can be said to lie at the same place
	err  error
}

// list checks a list whose elements have size bytes, and returns its length.
func (c *headCheck) list(t flatbuffers.Table, field flatbuffers.VOffsetT, size int64) int {
	o := t.Offset(field)
	if o == 0 {
		return 0
	}
	n, at := int64(t.VectorLen(flatbuffers.UOffsetT(o))), int64(t.Vector(flatbuffers.UOffsetT(o)))
	if n < 0 || at+n*size > int64(len(t.Bytes)) {
		c.err = fmt.Errorf("a list of %d in a head of %d bytes", n, len(t.Bytes))
		return 0
	}
	return int(n)
}

// said counts the bytes of a text.
func (c *headCheck) said(t flatbuffers.Table, field flatbuffers.VOffsetT) {
	const each = 64 // beside its bytes
	if c.text -= each + c.list(t, field, 1); c.text < 0 {
		c.err = fmt.Errorf("a schema with more than %d MiB of names and metadata", mostFooter>>20)
	}
}

func (c *headCheck) metadata(t flatbuffers.Table, field flatbuffers.VOffsetT) {
	n := c.list(t, field, 4)
	if n == 0 {
		return
	}
	start := t.Vector(flatbuffers.UOffsetT(t.Offset(field)))
	for i := 0; i < n && c.err == nil; i++ {
		pair := flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(start + flatbuffers.UOffsetT(i*4))}
		c.said(pair, metadataKey)
		c.said(pair, metadataValue)
	}
}

func (c *headCheck) batch(t flatbuffers.Table) {
	c.list(t, batchNodes, 16)
	c.list(t, batchBuffers, 16)
}

func (c *headCheck) fields(t flatbuffers.Table, field flatbuffers.VOffsetT, depth int) {
	n := c.list(t, field, 4)
	if c.left -= n; c.left < 0 || depth > maxNesting {
		c.err = fmt.Errorf("a schema of too many fields, or nested too deep")
	}
	if c.err != nil || n == 0 {
		return
	}
	start := t.Vector(flatbuffers.UOffsetT(t.Offset(field)))
	for i := 0; i < n && c.err == nil; i++ {
		f := flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(start + flatbuffers.UOffsetT(i*4))}
		c.said(f, fieldName)
		c.metadata(f, fieldMetadata)
		c.fields(f, fieldChildren, depth+1)
	}
}
