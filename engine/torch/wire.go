package torch

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"

	"lwtrain/internal/plainjson"
)

// protocol is the version of what messages say; the worker's wire.py has the same.
const protocol = 2

// A message is a prefix of magic and two lengths, a head of JSON, and a body of arrays, raw
// and little-endian: worker/wire.py says the same in Python.
const (
	magic      = "LWT1"
	prefixSize = 4 + 4 + 8
	maxHead    = 1 << 20 // of what a worker says
	maxValues  = 1 << 12 // of JSON
)

// array is an array of a message: of int32, float32 or 64 bits.
type array struct {
	name  string
	ints  []int32
	reals []float32
	words []uint64
}

// said is the head of a worker's message; each op has some of the fields.
type said struct {
	Op           string   `json:"op"`
	Protocol     int      `json:"protocol"`
	Token        string   `json:"token"`
	Ranks        int      `json:"ranks"`
	Torch        string   `json:"torch"`
	Transformers string   `json:"transformers"`
	Device       string   `json:"device"`
	GPU          string   `json:"gpu"`
	Attention    string   `json:"attention"`
	Norm         string   `json:"norm"` // a number, NaN and infinities among them
	Name         string   `json:"name"`
	Tokens       int      `json:"tokens"`
	Stopped      bool     `json:"stopped"`
	Peak         int64    `json:"peak"`
	GFLOPs       float64  `json:"gflops"`
	Missing      []int    `json:"missing"` // ranks that do not see a file
	Arrays       [][3]any `json:"arrays"`  // name, type, length

	body int64 // bytes that follow, not read yet
}

// wire is the conductor's end of the socket to rank 0.
type wire struct {
	conn net.Conn
	out  []byte
}

// send sends a head with arrays.
func (w *wire) send(head map[string]any, arrays ...array) error {
	var list [][3]any
	body := 0
	for _, a := range arrays {
		kind, n := "i32", len(a.ints)
		switch {
		case a.words != nil:
			kind, n = "i64", len(a.words)
			body += 4 * n
		case a.ints == nil:
			kind, n = "f32", len(a.reals)
		}
		list = append(list, [3]any{a.name, kind, n})
		body += 4 * n
	}
	head["arrays"] = list
	text, err := json.Marshal(head)
	if err != nil {
		return err
	}
	for len(text)%8 != 0 { // the arrays begin where the worker can take them as they lie
		text = append(text, ' ')
	}
	b := append(w.out[:0], magic...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(text)))
	b = binary.LittleEndian.AppendUint64(b, uint64(body))
	b = append(b, text...)
	for _, a := range arrays {
		for _, v := range a.ints {
			b = binary.LittleEndian.AppendUint32(b, uint32(v))
		}
		for _, v := range a.words {
			b = binary.LittleEndian.AppendUint64(b, v)
		}
		for _, v := range a.reals {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
	}
	w.out = b
	_, err = w.conn.Write(b)
	return err
}

// hear waits for the next message. Its body is read by [wire.ints] or [wire.reals].
func (w *wire) hear() (s said, err error) {
	var prefix [prefixSize]byte
	if _, err := io.ReadFull(w.conn, prefix[:]); err != nil {
		return s, err
	}
	n, body := binary.LittleEndian.Uint32(prefix[4:]), binary.LittleEndian.Uint64(prefix[8:])
	if string(prefix[:4]) != magic || n > maxHead || body > math.MaxInt64 {
		return s, fmt.Errorf("the worker sent %q and a head of %d bytes, want %q and at most %d", prefix[:4], n, magic, maxHead)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(w.conn, text); err != nil {
		return s, err
	}
	if err := plainjson.Decode(text, maxValues, &s); err != nil {
		return s, fmt.Errorf("the worker's message: %w", err)
	}
	s.body = int64(body)
	return s, nil
}

// raw reads the body of a message, which has that many values of 4 bytes. What a worker
// claims is checked before memory is taken for it.
func (w *wire) raw(s said, values int) ([]byte, error) {
	if s.body != 4*int64(values) {
		return nil, fmt.Errorf("the worker's %q brings %d bytes, want %d values of 4", s.Op, s.body, values)
	}
	b := make([]byte, s.body)
	_, err := io.ReadFull(w.conn, b)
	return b, err
}

func (w *wire) reals(s said, values int) ([]float32, error) {
	b, err := w.raw(s, values)
	if err != nil {
		return nil, err
	}
	out := make([]float32, values)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return out, nil
}

func (w *wire) ints(s said, values int) ([]int32, error) {
	b, err := w.raw(s, values)
	if err != nil {
		return nil, err
	}
	out := make([]int32, values)
	for i := range out {
		out[i] = int32(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return out, nil
}

// ended reports whether an error says that the other end has gone.
func ended(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, new(*net.OpError))
}
