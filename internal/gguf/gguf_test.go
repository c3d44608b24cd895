package gguf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"lwtrain/checkpoints"
	"lwtrain/internal/tensorfile"
)

// wantError checks the text of an error.
func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || err.Error() != want {
		t.Errorf("error\n\t%v\nwant\n\t%s", err, want)
	}
}

func sameBits(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func parseFile(t *testing.T, path string) *File {
	t.Helper()
	data := readFile(t, path)
	g, err := Parse(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestQuantisedBlocksAreReadToTheBit(t *testing.T) {
	g := parseFile(t, "testdata/quants.gguf")
	w, err := checkpoints.OpenSafetensors("testdata/quants.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	golden := w.Names()
	if len(golden) != len(ggmlTypes) {
		t.Fatalf("%d golden tensors, want one for each of %d types", len(golden), len(ggmlTypes))
	}
	for _, name := range golden {
		x := g.Tensors[name]
		if x == nil || x.Type() != name {
			t.Fatalf("no tensor %s of that type", name)
		}
		n, _ := tensorfile.Product(x.Shape)
		have, want := make([]float32, n), make([]float32, n)
		if err := errors.Join(x.Read(0, have), w.Read(name, want)); err != nil {
			t.Fatal(err)
		}
		for i := range have {
			if !sameBits(have[i], want[i]) {
				t.Errorf("%s: value %d is %g, want %g", name, i, have[i], want[i])
				break
			}
		}
		block := x.kind.block
		last := have[:256]
		if err := x.Read(512+block*(256/block), last); err != nil || !slices.EqualFunc(last, want[768:], sameBits) {
			t.Errorf("%s: the last 256 values alone differ (%v)", name, err)
		}
	}
}

// builder writes GGUF files, also wrong ones.
type builder struct{ bytes.Buffer }

func newFile(version uint32, tensors, keys uint64) *builder {
	b := &builder{}
	b.WriteString("GGUF")
	return b.num(version, tensors, keys)
}

func (b *builder) num(values ...any) *builder {
	for _, v := range values {
		if i, ok := v.(int); ok {
			v = uint32(i)
		}
		binary.Write(b, binary.LittleEndian, v)
	}
	return b
}

func (b *builder) text(s string) *builder {
	b.num(uint64(len(s)))
	b.WriteString(s)
	return b
}

// tensor describes a tensor with its dimensions in the file's order.
func (b *builder) tensor(name string, kind int, offset uint64, dims ...uint64) *builder {
	b.text(name).num(len(dims))
	for _, d := range dims {
		b.num(d)
	}
	return b.num(kind, offset)
}

// data pads to the alignment and adds n bytes.
func (b *builder) data(n int) *builder {
	b.Write(make([]byte, (32-b.Len()%32)%32+n))
	return b
}

func (b *builder) cut(n int) *builder {
	b.Truncate(b.Len() - n)
	return b
}

func TestDamagedGGUFIsRefusedByName(t *testing.T) {
	const short = ": the file is cut short or was never complete"
	one := func() *builder { return newFile(3, 0, 1).text("k") }
	for _, c := range []struct {
		name, want string
		b          *builder
	}{
		{"an empty file", "want 4 bytes at byte 0 of 0" + short, newFile(3, 0, 0).cut(24)},
		{"a file of another kind", `starts with "PK\x03\x04", want "GGUF"`,
			func() *builder { b := &builder{}; b.WriteString("PK\x03\x04"); return b }()},
		{"version 1", "gguf version 1, want 2 or 3", newFile(1, 0, 0)},
		{"version 4", "gguf version 4, want 2 or 3", newFile(4, 0, 0)},
		{"the other byte order", "a big-endian gguf file, want a little-endian one", newFile(3<<24, 0, 0)},
		{"a file cut inside the counts", "want 8 bytes at byte 16 of 20" + short, newFile(3, 0, 0).cut(4)},
		{"a count of tensors without bound", "18446744073709551615 tensors, want at most 65536", newFile(3, math.MaxUint64, 0)},
		{"a count of keys without bound", "1099511627776 metadata keys, want at most 65536", newFile(3, 0, 1<<40)},
		{"a key that is longer than the file", "want 100 bytes at byte 32 of 34" + short, newFile(3, 0, 1).num(uint64(100), uint16(0))},
		{"a key without bound", "key of 9223372036854775808 bytes at byte 32, want at most 65536", newFile(3, 0, 1).num(uint64(1 << 63))},
		{"a key that is not utf-8", `key "\xff" at byte 33 is not valid utf-8`, newFile(3, 0, 1).text("\xff").num(4, 1)},
		{"a value without bound", "value of k of 18446744073709551615 bytes at byte 45, want at most 134217728",
			one().num(kindString, uint64(math.MaxUint64))},
		{"a value that is longer than the file", "want 99 bytes at byte 45 of 45" + short, one().num(kindString, uint64(99))},
		{"the same key twice", `key "k" is there twice`, newFile(3, 0, 2).text("k").num(4, 1).text("k").num(4, 1)},
		{"a value type that is not known", "k has the value type 13, want 0 to 12", one().num(13, 0)},
		{"a file cut inside a value", "want 8 bytes at byte 37 of 41" + short, one().num(kindUint64, 1)},
		{"an array without bound", "k has 18446744073709551615 values, want at most 134217728",
			one().num(kindArray, kindUint8, uint64(math.MaxUint64))},
		{"an array that is longer than the file", "want 4000 bytes at byte 49 of 49" + short,
			one().num(kindArray, kindInt32, uint64(1000))},
		{"an array of texts that is longer than the file", "want 8000 bytes at byte 49 of 49" + short,
			one().num(kindArray, kindString, uint64(1000))},
		{"an array of arrays", "k is an array of arrays, want one of numbers or strings",
			one().num(kindArray, kindArray, uint64(1), kindArray, uint64(1))},
		{"an array of a type that is not known", "k is an array of value type 77, want 0 to 12", one().num(kindArray, 77, uint64(1))},
		{"a file cut inside the tensors", "want 8 bytes at byte 24 of 24" + short, newFile(3, 1, 0)},
		{"five dimensions", `tensor "t" has 5 dimensions, want at most 4`, newFile(3, 1, 0).tensor("t", 0, 0, 1, 1, 1, 1, 1)},
		{"four billion dimensions", `tensor "t" has 4294967295 dimensions, want at most 4`,
			newFile(3, 1, 0).text("t").num(uint32(math.MaxUint32))},
		{"no dimensions", `tensor "t" has no dimensions`, newFile(3, 1, 0).tensor("t", 0, 0)},
		{"a dimension of zero", `tensor "t" has a dimension of 0, want 1 to 2147483647`, newFile(3, 1, 0).tensor("t", 0, 0, 4, 0)},
		{"a dimension that is negative as a signed number", `tensor "t" has a dimension of 18446744073709551615, want 1 to 2147483647`,
			newFile(3, 1, 0).tensor("t", 0, 0, math.MaxUint64)},
		{"a shape that overflows", `tensor "t" has the shape [2147483647 2147483647 2147483647], which overflows`,
			newFile(3, 1, 0).tensor("t", 0, 0, math.MaxInt32, math.MaxInt32, math.MaxInt32)},
		{"a type that is not read", `tensor "t" has the type IQ4_NL, want one of F32, F16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, ` +
			`Q4_K, Q5_K, Q6_K, BF16`, newFile(3, 1, 0).tensor("t", 20, 0, 256)},
		{"a type that is not known", `tensor "t" has the type number 4, want one of F32, F16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, ` +
			`Q3_K, Q4_K, Q5_K, Q6_K, BF16`, newFile(3, 1, 0).tensor("t", 4, 0, 256)},
		{"rows that are not whole blocks", `tensor "t" has rows of 33 values, want whole blocks of 32 for Q8_0`,
			newFile(3, 1, 0).tensor("t", 8, 0, 33, 2)},
		{"the same tensor twice", `tensor "t" is there twice`, newFile(3, 2, 0).tensor("t", 0, 0, 1).tensor("t", 0, 32, 1).data(64)},
		{"an offset that is not aligned", `tensor "t" lies at byte 4 of the data, want a multiple of 32`,
			newFile(3, 1, 0).tensor("t", 0, 4, 1).data(64)},
		{"an offset that is negative as a signed number", `tensor "t" lies at byte 18446744073709551584 of the data`,
			newFile(3, 1, 0).tensor("t", 0, math.MaxUint64-31, 1).data(64)},
		{"an offset behind the file", `tensor "t" takes 4 bytes from byte 9223372036854775776 of the data, which has 64` + short,
			newFile(3, 1, 0).tensor("t", 0, math.MaxInt64-31, 1).data(64)},
		{"tensors that overlap", `tensor "u" lies at byte 32 of the data, inside the tensor before it, which ends at 64`,
			newFile(3, 2, 0).tensor("t", 0, 0, 16).tensor("u", 0, 32, 8).data(64)},
		{"a file cut inside the data", `tensor "t" takes 64 bytes from byte 0 of the data, which has 63` + short,
			newFile(3, 1, 0).tensor("t", 0, 0, 16).data(63)},
		{"a file that ends before its data start", `tensor "t" takes 4 bytes from byte 0 of the data, which has 0` + short,
			newFile(3, 1, 0).tensor("t", 0, 0, 1)},
		{"an alignment of zero", "general.alignment is 0, want a power of two up to 1048576",
			newFile(3, 0, 1).text("general.alignment").num(4, 0)},
		{"an alignment of 24", "general.alignment is 24, want a power of two up to 1048576",
			newFile(3, 0, 1).text("general.alignment").num(4, 24)},
		{"an alignment of two gigabytes", "general.alignment is 2147483648, want a power of two up to 1048576",
			newFile(3, 0, 1).text("general.alignment").num(4, uint32(1<<31))},
		{"an alignment that is a text", "general.alignment is 32, want a power of two up to 1048576",
			newFile(3, 0, 1).text("general.alignment").num(kindString).text("32")},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse(bytes.NewReader(c.b.Bytes()), int64(c.b.Len()))
			wantError(t, err, c.want)
		})
	}
}

func TestMetadataAreBoundedWhateverTheFileSays(t *testing.T) {
	// A file of a terabyte, all zeros but for the front: nothing may be
	// allocated for what it claims.
	b := newFile(3, 0, 1).text("k").num(kindArray, kindString, uint64(1<<27))
	_, err := Parse(zeros{b.Bytes()}, 1<<40)
	wantError(t, err, "metadata of more than 134217728 bytes")
}

// zeros is a front with zeros behind it, without end.
type zeros struct{ front []byte }

func (z zeros) ReadAt(p []byte, at int64) (int, error) {
	clear(p)
	if at < int64(len(z.front)) {
		copy(p, z.front[at:])
	}
	return len(p), nil
}

func TestEveryPrefixOfAFileIsRefused(t *testing.T) {
	data := readFile(t, "../../convert/testdata/tiny-smollm.gguf")
	for n := 0; n < len(data); n += 1 + n/200 {
		if _, err := Parse(bytes.NewReader(data[:n]), int64(n)); err == nil || !strings.Contains(err.Error(), "cut short") {
			t.Fatalf("cut at byte %d of %d: %v", n, len(data), err)
		}
	}
}

func TestVersion2IsReadAsVersion3(t *testing.T) {
	data := readFile(t, "testdata/quants.gguf")
	data[4] = 2
	if g, err := Parse(bytes.NewReader(data), int64(len(data))); err != nil || len(g.Tensors) != len(ggmlTypes) {
		t.Errorf("%v", err)
	}
}

func TestMetadataValuesKeepTheirType(t *testing.T) {
	b := newFile(3, 0, 13)
	want := map[string]any{}
	for i, v := range []any{uint8(200), int8(-5), uint16(60000), int16(-5), uint32(4e9), int32(-5), float32(0.5), uint8(1)} {
		b.text(fmt.Sprint(i)).num(i, v)
	}
	for i, v := range []any{int64(200), int64(-5), int64(60000), int64(-5), int64(4e9), int64(-5), 0.5, true} {
		want[fmt.Sprint(i)] = v
	}
	b.text("8").num(kindString).text("über").text("10").num(kindUint64, uint64(1<<63)).text("11").num(kindInt64,
		int64(-9)).text("12").num(kindFloat64, 0.1)
	want["8"], want["10"], want["11"], want["12"] = "über", uint64(1<<63), int64(-9), 0.1
	b.text("9").num(kindArray, kindInt16, uint64(2), int16(-1), int16(7))
	g, err := Parse(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	for key, v := range want {
		if g.Values[key] != v {
			t.Errorf("%s is %v, want %v", key, g.Values[key], v)
		}
	}
	if n := g.Values["9"].(Numbers); n.Count != 2 || n.At(0) != int64(-1) || n.At(1) != int64(7) {
		t.Errorf("array is %v", n)
	}
}

// fuzzLimit bounds how many values the fuzz target reads of one tensor.
const fuzzLimit = 1 << 16

func FuzzParse(f *testing.F) {
	// Small seeds: the fuzzer spends its time on making large ones smaller.
	f.Add(newFile(3, 1, 1).text("key").num(kindString).text("text").tensor("t", 0, 0, 2, 2).data(16).Bytes())
	blocks := newFile(3, uint64(len(ggmlTypes)), 1).text("general.alignment").num(kindUint32, 16)
	at := 0
	for _, id := range slices.Sorted(maps.Keys(ggmlTypes)) {
		kind := ggmlTypes[id]
		blocks.tensor(kind.name, int(id), uint64(at), uint64(kind.block))
		at += (kind.bytes + 15) / 16 * 16
	}
	f.Add(blocks.data(at).Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := Parse(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		for _, x := range g.Tensors {
			n, _ := tensorfile.Product(x.Shape)
			if err := x.Read(0, make([]float32, min(int(n), fuzzLimit/x.kind.block*x.kind.block))); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func BenchmarkDequantise(b *testing.B) {
	data, err := os.ReadFile("testdata/quants.gguf")
	if err != nil {
		b.Fatal(err)
	}
	g, err := Parse(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		b.Fatal(err)
	}
	for name, x := range g.Tensors {
		b.Run(name, func(b *testing.B) {
			dst, raw := make([]float32, 1024), data[x.offset:x.offset+x.size]
			b.SetBytes(int64(4 * len(dst)))
			for b.Loop() {
				x.kind.dequantise(dst, raw)
			}
		})
	}
}
