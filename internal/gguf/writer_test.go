package gguf

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math"
	"slices"
	"testing"

	"lwtrain/internal/tensorfile"
)

// hardValues are those of testdata/golden.py.
func hardValues() []float32 {
	out := make([]float32, 4096)
	for i := range out {
		bits := uint32(i)*2654435761 + 12345
		bits ^= bits >> 15
		bits *= 2246822519
		bits ^= bits >> 13
		unit := float32(bits>>8)/(1<<24)*2 - 1
		out[i] = unit * unit * unit * float32(math.Ldexp(1, i/32%24-20))
	}
	for i := range 32 {
		out[i], out[256+i], out[512+i] = 0, 0.375, float32(i-16)
	}
	for i := 768; i < 1024; i++ {
		out[i] = -abs(out[i])
	}
	return out
}

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

func TestValuesAreStoredAsTheReferenceDoes(t *testing.T) {
	var golden struct {
		Values string
		SHA256 map[string]string
		Errors map[string][]float64
	}
	if err := json.Unmarshal(readFile(t, "testdata/written.json"), &golden); err != nil {
		t.Fatal(err)
	}
	values := hardValues()
	raw := make([]byte, 4*len(values))
	tensorfile.Encode(raw, values, "F32")
	if sum(raw) != golden.Values {
		t.Fatal("the values differ from those of the golden file")
	}
	for name, want := range golden.SHA256 {
		kind := kindOf(name)
		out := make([]byte, len(values)/kind.block*kind.bytes)
		encodeAll(out, values, kind, quantisers[name])
		if sum(out) != want {
			t.Errorf("%s differs from the reference's", name)
		}
	}
	for name, errs := range golden.Errors {
		kind := kindOf(name)
		out, back := make([]byte, len(values)/kind.block*kind.bytes), make([]float32, len(values))
		encodeAll(out, values, kind, quantisers[name])
		kind.dequantise(back, out)
		for block, want := range errs {
			have := 0.0
			for i := range kind.block {
				d := float64(back[block*kind.block+i]) - float64(values[block*kind.block+i])
				have += d * d
			}
			if !(have <= 1.001*want) {
				t.Errorf("%s: block %d has the square error %g, want %g as llama.cpp's", name, block, have, want)
			}
		}
	}
	if len(golden.SHA256)+len(golden.Errors) != len(quantisers) {
		t.Errorf("%d and %d golden types, want each of %d", len(golden.SHA256), len(golden.Errors), len(quantisers))
	}
}

// inMemory is a tensor of values.
func inMemory(name, typ string, values []float32, shape ...int) Stream {
	return Stream{Name: name, Type: typ, Shape: shape, Read: func(offset int, dst []float32) error {
		copy(dst, values[offset:])
		return nil
	}}
}

// written parses what Write makes.
func written(t *testing.T, metadata []Entry, tensors ...Stream) *File {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, metadata, tensors, nil); err != nil {
		t.Fatal(err)
	}
	g, err := Parse(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestWhatIsWrittenIsReadAgain(t *testing.T) {
	metadata := []Entry{{"n", uint32(7)}, {"f", float32(0.5)}, {"yes", true}, {"s", "über"}, {"list", []string{"a", "", "ß"}},
		{"ids", []int32{-1, 5}}}
	values := hardValues()
	var tensors []Stream
	for name := range quantisers {
		tensors = append(tensors, inMemory(name, name, values, 2, 8, 256))
	}
	tensors = append(tensors, inMemory("odd", "F16", values, 3), inMemory("last", "F32", values, 5, 1))
	g := written(t, metadata, tensors...)
	want := map[string]any{"n": int64(7), "f": 0.5, "yes": true, "s": "über"}
	for key, v := range want {
		if g.Values[key] != v {
			t.Errorf("%s is %v, want %v", key, g.Values[key], v)
		}
	}
	ids := g.Values["ids"].(Numbers)
	if list := g.Values["list"].([]string); !slices.Equal(list, []string{"a", "", "ß"}) || ids.Count != 2 || ids.At(0) != int64(-1) ||
		ids.At(1) != int64(5) {
		t.Errorf("lists %v and %v", g.Values["list"], ids)
	}
	for _, s := range tensors {
		x := g.Tensors[s.Name]
		if x == nil || x.Type() != s.Type || !slices.Equal(x.Shape, s.Shape) {
			t.Fatalf("tensor %s is %+v", s.Name, x)
		}
		checkRoundTrip(t, x, values)
	}
}

// checkRoundTrip compares a tensor with its values as they are quantised and back.
func checkRoundTrip(t *testing.T, x *Tensor, values []float32) {
	t.Helper()
	n, _ := tensorfile.Product(x.Shape)
	have, want := make([]float32, n), make([]float32, n)
	raw := make([]byte, x.size)
	quantisers[x.Type()](raw, values[:n])
	x.kind.dequantise(want, raw)
	if err := x.Read(0, have); err != nil || !slices.EqualFunc(have, want, sameBits) {
		t.Errorf("tensor %s: other values than were written (%v)", x.Name, err)
	}
}

func TestTensorsLargerThanAChunkAreWrittenInPieces(t *testing.T) {
	const rows, columns = 5, Chunk / 4 * 3 / 256 * 256
	value := func(i int) float32 { return float32(i%1021) - 510 }
	var reports []int64
	var b bytes.Buffer
	s := Stream{Name: "t", Type: "Q8_0", Shape: []int{rows, columns}, Read: func(offset int, dst []float32) error {
		for i := range dst {
			dst[i] = value(offset + i)
		}
		return nil
	}}
	if err := Write(&b, nil, []Stream{s}, func(done, total int64) { reports = append(reports, done, total) }); err != nil {
		t.Fatal(err)
	}
	g, err := Parse(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	x, all, have := g.Tensors["t"], make([]float32, rows*columns), make([]float32, rows*columns)
	for i := range all {
		all[i] = value(i)
	}
	checkRoundTrip(t, x, all)
	if err := x.Read(0, have); err != nil || abs(have[len(have)-1]-all[len(all)-1]) > 510./254*1.01 {
		t.Errorf("the last value is %g, want %g (%v)", have[len(have)-1], all[len(all)-1], err)
	}
	if n := len(reports); n < 8 || reports[n-1] != x.size || reports[n-2] != x.size {
		t.Errorf("progress %v of %d bytes", reports, x.size)
	}
}

func TestWhatCannotBeWrittenIsRefusedByName(t *testing.T) {
	one := []float32{1}
	inf := float32(math.Inf(1))
	for _, c := range []struct {
		name, want string
		metadata   []Entry
		tensors    []Stream
	}{
		{"a key twice", "key k is there twice", []Entry{{"k", true}, {"k", true}}, nil},
		{"a value of an unknown type", "key k: a value of the type int", []Entry{{"k", 1}}, nil},
		{"a tensor twice", `tensor "t" is there twice`, nil, []Stream{inMemory("t", "F32", one, 1), inMemory("t", "F32", one, 1)}},
		{"no dimensions", `tensor "t": shape [], want 1 to 4 dimensions above 0`, nil, []Stream{inMemory("t", "F32", one)}},
		{"a dimension of zero", `tensor "t": shape [3 0], want 1 to 4 dimensions above 0`, nil, []Stream{inMemory("t", "F32", one, 3, 0)}},
		{"half a block", `tensor "t": rows of 48 values cannot be stored as "Q8_0"`, nil, []Stream{inMemory("t", "Q8_0", one, 2, 48)}},
		{"a type that is only read", `tensor "t": rows of 32 values cannot be stored as "Q4_0"`, nil,
			[]Stream{inMemory("t", "Q4_0", one, 32)}},
		{"a value above those of F16", "tensor t: value 1 is 70000, want at most 65504 in size for F16", nil,
			[]Stream{inMemory("t", "F16", []float32{1, 70000}, 2)}},
		{"an infinity", "tensor t: value 0 is +Inf, want at most 3.38e+38 in size for F32", nil,
			[]Stream{inMemory("t", "F32", []float32{inf}, 1)}},
		{"a NaN", "tensor t: value 0 is NaN, want at most 3.38e+38 in size for BF16", nil,
			[]Stream{inMemory("t", "BF16", []float32{inf - inf}, 1)}},
		{"values that cannot be read", "tensor t: no more", nil, []Stream{{Name: "t", Type: "F32", Shape: []int{1},
			Read: func(int, []float32) error { return errors.New("no more") }}}},
	} {
		t.Run(c.name, func(t *testing.T) { wantError(t, Write(io.Discard, c.metadata, c.tensors, nil), c.want) })
	}
}

// FuzzWrite writes values and keys of any kind, and reads them again.
func FuzzWrite(f *testing.F) {
	f.Add("key", "text", uint8(3), uint8(1), []byte{0, 0, 128, 63, 0, 0, 128, 127, 1, 0, 0, 0})
	f.Add("", "", uint8(7), uint8(0), bytes.Repeat([]byte{200, 12, 77, 61}, 300))
	names := slices.Sorted(func(yield func(string) bool) {
		for name := range quantisers {
			if !yield(name) {
				return
			}
		}
	})
	f.Fuzz(func(t *testing.T, key, text string, typ, rows uint8, data []byte) {
		name := names[int(typ)%len(names)]
		kind := kindOf(name)
		blocks := len(data) / 4 / kind.block
		if blocks == 0 {
			return
		}
		values := make([]float32, blocks*kind.block)
		tensorfile.Decode(values, data[:4*len(values)], "F32")
		shape := []int{len(values)}
		if r := int(rows); r > 1 && blocks%r == 0 {
			shape = []int{r, len(values) / r}
		}
		var b bytes.Buffer
		err := Write(&b, []Entry{{key, text}}, []Stream{inMemory(key, name, values, shape...)}, nil)
		if err != nil {
			return
		}
		g, err := Parse(bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil {
			t.Fatal(err)
		}
		if g.Values[key] != any(text) {
			t.Fatalf("%q is %v, want %q", key, g.Values[key], text)
		}
		x := g.Tensors[key]
		checkRoundTrip(t, x, values)
		back := make([]float32, len(values))
		if err := x.Read(0, back); err != nil {
			t.Fatal(err)
		}
		for i, v := range back {
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
				t.Fatalf("%s: value %d, %g, is read as %g", name, i, values[i], v)
			}
		}
	})
}
