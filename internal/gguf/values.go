package gguf

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Types of values in a file.
const (
	kindUint8 = iota
	kindInt8
	kindUint16
	kindInt16
	kindUint32
	kindInt32
	kindFloat32
	kindBool
	kindString
	kindArray
	kindUint64
	kindInt64
	kindFloat64
)

// kindSize is the size of a value by type; 0 for strings and arrays.
var kindSize = [...]int{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8}

// Numbers is an array of numbers or booleans as it lies in the file: a
// hostile one would grow eightfold if it were widened before it is asked for.
type Numbers struct {
	Kind  uint32 // the type of one value
	Count int
	Raw   []byte
}

// array reads an array of strings or of numbers. Arrays of arrays are in the
// format but in no model, so they are refused.
func (r *reader) array(key string) any {
	kind, n := r.u32(), r.u64()
	if kind == kindArray {
		r.fail("%s is an array of arrays, want one of numbers or strings", key)
	} else if int(kind) >= len(kindSize) {
		r.fail("%s is an array of value type %d, want 0 to %d", key, kind, len(kindSize)-1)
	}
	if r.err != nil {
		return nil
	}
	size := uint64(kindSize[kind])
	if kind == kindString {
		size = 8 // at least: the length of an empty one
	}
	if n > maxMetadata {
		r.fail("%s has %d values, want at most %d", key, n, maxMetadata)
	}
	if !r.need(n * size) {
		return nil
	}
	if kind != kindString {
		raw := make([]byte, n*size)
		r.read(raw)
		return Numbers{kind, int(n), raw}
	}
	texts := make([]string, n)
	for i := range texts {
		if texts[i] = r.text(key, maxMetadata); r.err != nil {
			return nil
		}
	}
	return texts
}

// number decodes one value: an int64, uint64, float64 or bool.
func number(kind uint32, raw []byte) any {
	le := binary.LittleEndian
	switch kind {
	case kindUint8:
		return int64(raw[0])
	case kindInt8:
		return int64(int8(raw[0]))
	case kindUint16:
		return int64(le.Uint16(raw))
	case kindInt16:
		return int64(int16(le.Uint16(raw)))
	case kindUint32:
		return int64(le.Uint32(raw))
	case kindInt32:
		return int64(int32(le.Uint32(raw)))
	case kindFloat32:
		return float64(math.Float32frombits(le.Uint32(raw)))
	case kindBool:
		return raw[0] != 0
	case kindUint64:
		return le.Uint64(raw)
	case kindInt64:
		return int64(le.Uint64(raw))
	default: // kindFloat64
		return math.Float64frombits(le.Uint64(raw))
	}
}

// At returns value i: an int64, uint64, float64 or bool.
func (n Numbers) At(i int) any {
	size := kindSize[n.Kind]
	return number(n.Kind, n.Raw[i*size:(i+1)*size])
}

// Show is a value as an error names it.
func Show(v any) string {
	switch v := v.(type) {
	case string:
		return fmt.Sprintf("%.40q", v)
	case []string:
		return fmt.Sprintf("an array of %d texts", len(v))
	case Numbers:
		return fmt.Sprintf("an array of %d numbers", v.Count)
	}
	return fmt.Sprint(v)
}
