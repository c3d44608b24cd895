package checkpoints

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"lwtrain/internal/fault"
	"lwtrain/internal/plainjson"
	"lwtrain/internal/tensorfile"
)

// Info describes a tensor as its file does. DType is a name of the safetensors
// format (F32, BF16, F16, F64, I64 ...); Shape is empty for a single value.
type Info struct {
	Name  string
	DType string
	Shape []int
}

// entry is a tensor of an open file.
type entry struct {
	Info
	path       string // for errors
	file       io.ReaderAt
	begin, end int64 // of its bytes; in the header relative to the data, later in the file
}

func (e *entry) elements() int { return int(e.end-e.begin) / tensorfile.Size(e.DType) }

// Limits of what a header may ask for. The first is the format's own.
const (
	maxHeader = 100_000_000
	maxRank   = 64
	maxValues = 2 << 20 // of JSON; a tensor has about a dozen, the largest models in use 100,000 tensors in all files
)

const metadataKey = "__metadata__"

// readHeader reads and checks the header of a safetensors file of size bytes:
// 8 bytes with the length of the JSON, the JSON, and then the data, which the
// tensors must cover without gap or overlap.
func readHeader(r io.ReaderAt, size int64) (map[string]*entry, error) {
	var prefix [8]byte
	if size < int64(len(prefix)) {
		return nil, fmt.Errorf("%d bytes, want at least 8: %w", size, tensorfile.ErrCutShort)
	}
	if _, err := r.ReadAt(prefix[:], 0); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(prefix[:])
	if n > maxHeader {
		return nil, fault.Hint(fmt.Errorf("header of %d bytes, want at most %d", n, maxHeader), "this is not a safetensors file")
	}
	if int64(n) > size-8 {
		return nil, fmt.Errorf("header of %d bytes in a file of %d: %w", n, size, tensorfile.ErrCutShort)
	}
	data := make([]byte, n)
	if _, err := r.ReadAt(data, 8); err != nil {
		return nil, err
	}
	entries, err := parseHeader(data)
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	if err := checkLayout(entries, size-8-int64(n)); err != nil {
		return nil, err
	}
	for _, e := range entries {
		e.file = r
		e.begin += 8 + int64(n)
		e.end += 8 + int64(n)
	}
	return entries, nil
}

// checkLayout holds the tensors against the data: in the order of their
// offsets they follow each other from the first byte to the last.
func checkLayout(entries map[string]*entry, size int64) error {
	order := slices.SortedFunc(maps.Values(entries), func(a, b *entry) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end), cmp.Compare(a.Name, b.Name))
	})
	var at int64
	for _, e := range order {
		if e.end > size {
			return fmt.Errorf("tensor %.80q ends at byte %d of the data, which has %d: %w", e.Name, e.end, size, tensorfile.ErrCutShort)
		}
		if e.begin < at {
			return fmt.Errorf("tensor %.80q starts at byte %d of the data, inside the tensor before it, want %d", e.Name, e.begin, at)
		}
		if e.begin > at {
			return fmt.Errorf("tensor %.80q starts at byte %d of the data, want %d: bytes that no tensor owns", e.Name, e.begin, at)
		}
		at = e.end
	}
	if at != size {
		return fmt.Errorf("tensors end at byte %d of the data, which has %d: bytes that no tensor owns", at, size)
	}
	return nil
}

// parseHeader parses the JSON of a header. encoding/json's own mapping to
// structs would let duplicate and misspelt keys pass, so this walks the tokens.
func parseHeader(data []byte) (map[string]*entry, error) {
	if len(data) == 0 || data[0] != '{' {
		return nil, errors.New("does not start with {, want a json object")
	}
	if !utf8.Valid(data) {
		return nil, errors.New("not valid utf-8, want json")
	}
	if !plainjson.Within(data, maxValues) { // before maps are made of them
		return nil, fmt.Errorf("more than %d values, want fewer", maxValues)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	entries := make(map[string]*entry)
	seenMetadata := false
	err := eachKey(dec, func(name string) error {
		if name == metadataKey {
			if seenMetadata {
				return errors.New("__metadata__ is there twice")
			}
			seenMetadata = true
			var ignored map[string]string
			if err := dec.Decode(&ignored); err != nil {
				return fmt.Errorf("__metadata__: %w", plainjson.InWords(nil, err))
			}
			return nil
		}
		if entries[name] != nil {
			return fmt.Errorf("tensor %.80q is there twice", name)
		}
		e, err := parseEntry(dec)
		if err != nil {
			return fmt.Errorf("tensor %.80q: %w", name, err)
		}
		e.Name = name
		entries[name] = e
		return nil
	})
	if err != nil {
		return nil, plainjson.InWords(data, err)
	}
	if rest := bytes.TrimRight(data[dec.InputOffset():], " \t\r\n"); len(rest) > 0 {
		return nil, fmt.Errorf("json ends at byte %d, want only spaces behind it", dec.InputOffset())
	}
	return entries, nil
}

// eachKey reads an object and calls value for each key, which must read the
// key's value.
func eachKey(dec *json.Decoder, value func(key string) error) error {
	if err := delim(dec, '{'); err != nil {
		return err
	}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return err
		}
		if err := value(token.(string)); err != nil { // a decoder gives nothing else for a key
			return err
		}
	}
	return delim(dec, '}')
}

func delim(dec *json.Decoder, want json.Delim) error {
	token, err := dec.Token()
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err == nil && token != want {
		err = fmt.Errorf("%.40v, want %v", token, want)
	}
	return err
}

// parseEntry reads {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
// and checks that dtype and shape make the bytes that the offsets span.
func parseEntry(dec *json.Decoder) (*entry, error) {
	e := &entry{}
	var seen [3]bool
	once := func(i int, key string) error {
		if seen[i] {
			return fmt.Errorf("%s is there twice", key)
		}
		seen[i] = true
		return nil
	}
	err := eachKey(dec, func(key string) error {
		switch key {
		case "dtype":
			if err := once(0, key); err != nil {
				return err
			}
			if err := plainjson.InWords(nil, dec.Decode(&e.DType)); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
			return nil
		case "shape":
			if err := once(1, key); err != nil {
				return err
			}
			return parseSizes(dec, key, maxRank, func(v int64) { e.Shape = append(e.Shape, int(v)) })
		case "data_offsets":
			if err := once(2, key); err != nil {
				return err
			}
			var offsets []int64
			if err := parseSizes(dec, key, 2, func(v int64) { offsets = append(offsets, v) }); err != nil {
				return err
			}
			if len(offsets) != 2 || offsets[0] > offsets[1] {
				return fmt.Errorf("data_offsets are %v, want a start and an end", offsets)
			}
			e.begin, e.end = offsets[0], offsets[1]
			return nil
		}
		var ignored json.RawMessage
		return dec.Decode(&ignored)
	})
	if err != nil {
		return nil, err
	}
	for i, key := range []string{"dtype", "shape", "data_offsets"} {
		if !seen[i] {
			return nil, fmt.Errorf("no %s", key)
		}
	}
	return e, e.checkSize()
}

// parseSizes reads an array of at most limit sizes, each 0 to 2^63-1.
func parseSizes(dec *json.Decoder, what string, limit int, add func(int64)) error {
	if err := delim(dec, '['); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	for n := 0; dec.More(); n++ {
		token, err := dec.Token()
		if err != nil {
			return err
		}
		number, _ := token.(json.Number)
		v, err := strconv.ParseUint(string(number), 10, 63)
		if err != nil || v > math.MaxInt {
			return fmt.Errorf("%s holds %.40v, want a size", what, token)
		}
		if n == limit {
			return fmt.Errorf("%s holds more than %d sizes", what, limit)
		}
		add(int64(v))
	}
	return delim(dec, ']')
}

func (e *entry) checkSize() error {
	size := tensorfile.Size(e.DType)
	if size == 0 {
		return fmt.Errorf("dtype is %.40q, want one of the format's whole-byte types (F32, BF16, F16, ...)", e.DType)
	}
	bytes, ok := tensorfile.Product(append([]int{size}, e.Shape...))
	if !ok || bytes != e.end-e.begin {
		what := fmt.Sprint(bytes)
		if !ok {
			what = "more than 2^63"
		}
		return fmt.Errorf("shape %v of %s makes %s bytes, data_offsets span %d", e.Shape, e.DType, what, e.end-e.begin)
	}
	return nil
}
