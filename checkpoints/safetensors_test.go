package checkpoints

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"lwtrain/internal/fault"
	"lwtrain/internal/fault/faulttest"
	"lwtrain/internal/tensorfile"
)

func open(t *testing.T, path string) *Weights {
	t.Helper()
	w, err := OpenSafetensors(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

func readAll(t *testing.T, w *Weights) []Tensor {
	t.Helper()
	var out []Tensor
	for _, name := range w.Names() {
		info, _ := w.Info(name)
		n, _ := tensorfile.Product(info.Shape)
		x := Tensor{name, info.Shape, make([]float32, n)}
		if err := w.Read(name, x.Data); err != nil {
			t.Fatal(err)
		}
		out = append(out, x)
	}
	return out
}

func sameBits(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestWritesTheBytesOfTheReferenceImplementation(t *testing.T) {
	tensors := readAll(t, open(t, "testdata/f32.safetensors"))
	slices.Reverse(tensors) // the order must not matter
	for dtype, golden := range map[string]string{"F32": "testdata/f32.safetensors", "BF16": "testdata/bf16.safetensors"} {
		path := filepath.Join(t.TempDir(), "x.safetensors")
		if err := writeTensors(path, dtype, tensors, map[string]string{"format": "pt"}); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(readFile(t, path), readFile(t, golden)) {
			t.Errorf("%s: bytes differ from %s", dtype, golden)
		}
	}
}

func TestFloatsOfEveryDtypeReadAsNumpyConvertsThem(t *testing.T) {
	w, golden := open(t, "testdata/dtypes.safetensors"), open(t, "testdata/dtypes-f32.safetensors")
	for _, want := range readAll(t, golden) {
		have := make([]float32, len(want.Data))
		if err := w.Read(want.Name, have); err != nil {
			t.Fatal(err)
		}
		if !sameBits(have, want.Data) {
			t.Errorf("%s: %v, want %v", want.Name, have, want.Data)
		}
	}
	for name, dtype := range map[string]string{"int64": "I64", "bool": "BOOL", "uint8": "U8", "int16": "I16"} {
		if info, ok := w.Info(name); !ok || info.DType != dtype || !slices.Equal(info.Shape, []int{4, 3}) {
			t.Errorf("%s is %+v, want %s", name, info, dtype)
		}
		err := w.Read(name, make([]float32, 12))
		faulttest.Want(t, err, "testdata", "DIR/dtypes.safetensors: tensor "+name+" has dtype "+dtype+", want F32, BF16, F16 or F64")
	}
}

func TestReadsPartsFromManyGoroutines(t *testing.T) {
	dir := t.TempDir()
	data := make([]float32, 3*StreamChunk+17)
	for i := range data {
		data[i] = float32(i)
	}
	if err := writeWeights(dir, "F32", []Tensor{{"a", []int{len(data)}, data}}, 0, nil); err != nil {
		t.Fatal(err)
	}
	w, err := OpenWeights(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	have := make([]float32, len(data))
	var wait sync.WaitGroup
	for at := 0; at < len(data); at += 100_003 {
		wait.Go(func() {
			if err := w.ReadAt("a", at, have[at:min(len(have), at+100_003)]); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if !sameBits(have, data) {
		t.Error("values differ")
	}
	path := filepath.Join(dir, "model.safetensors")
	faulttest.Want(t, w.Read("a", have[1:]), dir,
		fmt.Sprintf("DIR/model.safetensors: tensor a has %d values, the memory for it %d", len(data), len(data)-1))
	faulttest.Want(t, w.ReadAt("a", len(data), have[:1]), dir,
		fmt.Sprintf("DIR/model.safetensors: values %d to %d of tensor a, which has %d", len(data), len(data)+1, len(data)))
	faulttest.Want(t, w.Read("b", nil), dir, "no tensor b")
	if err := os.Truncate(path, 2<<20); err != nil {
		t.Fatal(err)
	}
	faulttest.Want(t, w.Read("a", have), dir, "DIR/model.safetensors: tensor a: the file is cut short or was never complete")
}

func TestHalvesAreReadAsTheyAreInTheFile(t *testing.T) {
	dir := t.TempDir()
	data := make([]float32, 3*StreamChunk+17)
	for i := range data {
		data[i] = float32(i % 200)
	}
	if err := writeWeights(dir, "BF16", []Tensor{{"a", []int{len(data)}, data}}, 0, nil); err != nil {
		t.Fatal(err)
	}
	w, err := OpenWeights(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	const from = 5
	have := make([]uint16, len(data)-from)
	if err := w.ReadHalfAt("a", from, have); err != nil {
		t.Fatal(err)
	}
	for i, v := range have {
		if want := data[from+i]; math.Float32frombits(uint32(v)<<16) != want {
			t.Fatalf("value %d is %#04x, want %g", from+i, v, want)
		}
	}
	if err := os.Truncate(filepath.Join(dir, "model.safetensors"), 1<<20); err != nil {
		t.Fatal(err)
	}
	err = w.ReadHalfAt("a", from, have)
	faulttest.Want(t, err, dir, "DIR/model.safetensors: tensor a: the file is cut short or was never complete")
	if hint := fault.HintOf(err); hint != "another program changed it after it was opened" {
		t.Errorf("hint: %q", hint)
	}
}

func TestShardsHoldWhatOneFileHolds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		dir := t.TempDir()
		var tensors []Tensor
		for i, n := range rapid.SliceOfN(rapid.IntRange(0, 40), 1, 12).Draw(rt, "sizes") {
			x := Tensor{fmt.Sprintf("layer.%d", i), []int{n, 2}, make([]float32, 2*n)}
			for j := range x.Data {
				x.Data[j] = float32(100*i + j)
			}
			tensors = append(tensors, x)
		}
		limit := rapid.Int64Range(0, 500).Draw(rt, "limit")
		if err := writeWeights(dir, "F32", tensors, limit, nil); err != nil {
			rt.Fatal(err)
		}
		w, err := OpenWeights(dir)
		if err != nil {
			rt.Fatal(err)
		}
		defer w.Close()
		for _, x := range tensors {
			have := make([]float32, len(x.Data))
			if info, _ := w.Info(x.Name); !slices.Equal(info.Shape, x.Shape) {
				rt.Fatalf("%s has the shape %v, want %v", x.Name, info.Shape, x.Shape)
			}
			if err := w.Read(x.Name, have); err != nil || !sameBits(have, x.Data) {
				rt.Fatalf("%s differs (%v)", x.Name, err)
			}
		}
		for _, f := range w.files {
			entries, _ := (&Weights{}).open(f.Name())
			var bytes, filled int64
			for _, e := range entries {
				bytes += e.end - e.begin
				filled += min(1, e.end-e.begin)
			}
			if limit > 0 && bytes > limit && filled > 1 {
				rt.Fatalf("%s holds %d bytes in %d tensors, want at most %d", f.Name(), bytes, filled, limit)
			}
		}
	})
}

// file makes a safetensors file from its parts.
func file(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, data)...)
}

func TestDamagedSafetensorsAreRefusedByName(t *testing.T) {
	const f32 = `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`
	deep := strings.Repeat("[", 20000) + strings.Repeat("]", 20000)
	for _, c := range []struct {
		name, want string
		data       []byte
	}{
		{"an empty file", "0 bytes, want at least 8: the file is cut short or was never complete", nil},
		{"a file cut inside the length", "5 bytes, want at least 8: the file is cut short or was never complete", make([]byte, 5)},
		{"a header beyond the format's limit", "header of 1000000000 bytes, want at most 100000000",
			binary.LittleEndian.AppendUint64(nil, 1e9)},
		{"a header length that is negative as a signed number", "header of 18446744073709551615 bytes, want at most 100000000",
			bytes.Repeat([]byte{255}, 8)},
		{"a file cut inside the header", "header of 54 bytes in a file of 20: the file is cut short or was never complete",
			file(f32+"}", 0)[:20]},
		{"an empty header", "header: does not start with {, want a json object", file("", 0)},
		{"a header that starts with a space", "header: does not start with {, want a json object", file(" {}", 0)},
		{"a header that is a list", "header: does not start with {, want a json object", file("[]", 0)},
		{"a header that is not utf-8", "header: not valid utf-8, want json", file("{\"\xff\":1}", 0)},
		{"a header cut short", "header: broken JSON: it ends in the middle, after 53 bytes", file(f32, 8)},
		{"something behind the json", "header: json ends at byte 2, want only spaces behind it", file("{}  {}", 0)},
		{"a tensor that is no object", `header: tensor "a": 5, want {`, file(`{"a":5}`, 0)},
		{"nesting without end", `header: broken JSON at byte 10009: '[', want fewer lists and objects in each other`,
			file(`{"a":{"x":`+deep+`}}`, 0)},
		{"the same tensor twice", `header: tensor "a" is there twice`,
			file(f32+`,"a":{"dtype":"F32","shape":[0],"data_offsets":[8,8]}}`, 8)},
		{"a key twice", `header: tensor "a": shape is there twice`,
			file(`{"a":{"shape":[1],"shape":[2],"dtype":"F32","data_offsets":[0,8]}}`, 8)},
		{"metadata twice", `header: __metadata__ is there twice`, file(`{"__metadata__":{},"__metadata__":{}}`, 0)},
		{"metadata that are no texts", `header: __metadata__: the value is a number, want text`,
			file(`{"__metadata__":{"a":1}}`, 0)},
		{"no dtype", `header: tensor "a": no dtype`, file(`{"a":{"shape":[2],"data_offsets":[0,8]}}`, 8)},
		{"no shape", `header: tensor "a": no shape`, file(`{"a":{"dtype":"F32","data_offsets":[0,8]}}`, 8)},
		{"no offsets", `header: tensor "a": no data_offsets`, file(`{"a":{"dtype":"F32","shape":[2]}}`, 8)},
		{"a key in capitals is not the key", `header: tensor "a": no dtype`,
			file(`{"a":{"DTYPE":"F32","shape":[2],"data_offsets":[0,8]}}`, 8)},
		{"an unknown dtype", `header: tensor "a": dtype is "F4", want one of the format's whole-byte types (F32, BF16, F16, ...)`,
			file(`{"a":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}}`, 1)},
		{"a negative dimension", `header: tensor "a": shape holds -2, want a size`,
			file(`{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}`, 8)},
		{"a dimension that is no whole number", `header: tensor "a": shape holds 2.0, want a size`,
			file(`{"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}`, 8)},
		{"a dimension in quotes", `header: tensor "a": shape holds 2, want a size`,
			file(`{"a":{"dtype":"F32","shape":["2"],"data_offsets":[0,8]}}`, 8)},
		{"a shape that is no list", `header: tensor "a": shape: 2, want [`,
			file(`{"a":{"dtype":"F32","shape":2,"data_offsets":[0,8]}}`, 8)},
		{"a hundred dimensions", `header: tensor "a": shape holds more than 64 sizes`,
			file(`{"a":{"dtype":"F32","shape":[`+strings.Repeat("1,", 99)+`1],"data_offsets":[0,4]}}`, 4)},
		{"a shape that overflows", `header: tensor "a": shape [4294967296 4294967296] of F32 makes more than 2^63 bytes, ` +
			`data_offsets span 0`,
			file(`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0)},
		{"a shape of another size", `header: tensor "a": shape [3] of F32 makes 12 bytes, data_offsets span 8`,
			file(`{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}`, 8)},
		{"offsets in the wrong order", `header: tensor "a": data_offsets are [8 0], want a start and an end`,
			file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}`, 8)},
		{"one offset", `header: tensor "a": data_offsets are [0], want a start and an end`,
			file(`{"a":{"dtype":"F32","shape":[0],"data_offsets":[0]}}`, 8)},
		{"three offsets", `header: tensor "a": data_offsets holds more than 2 sizes`,
			file(`{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0,0]}}`, 8)},
		{"a file cut inside the data", `tensor "a" ends at byte 8 of the data, which has 7: the file is cut short or was never complete`,
			file(f32+"}", 7)},
		{"bytes behind the tensors", "tensors end at byte 8 of the data, which has 9: bytes that no tensor owns", file(f32+"}", 9)},
		{"a gap", `tensor "a" starts at byte 4 of the data, want 0: bytes that no tensor owns`,
			file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8)},
		{"tensors that overlap", `tensor "b" starts at byte 4 of the data, inside the tensor before it, want 8`,
			file(f32+`,"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8)},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "x.safetensors")
			if err := os.WriteFile(path, c.data, 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := OpenSafetensors(path)
			faulttest.Want(t, err, dir, "DIR/x.safetensors: "+c.want)
			if !fault.IsUsage(err) {
				t.Error("not marked as a mistake in what was asked for")
			}
		})
	}
}

func TestUnusualButValidHeadersAreRead(t *testing.T) {
	for name, data := range map[string][]byte{
		"no tensors":              file("{}", 0),
		"spaces behind the json":  file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}    `, 8),
		"keys that are not known": file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":{"y":[1]}}}`, 8),
		"tensors in any order": file(`{"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},"a":{"dtype":"F32","shape":[],`+
			`"data_offsets":[0,4]}}`, 8),
		"empty tensors between others": file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"I64","shape":[0,`+
			`9223372036854775807],"data_offsets":[4,4]}}`, 4),
	} {
		if _, err := readHeader(bytes.NewReader(data), int64(len(data))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestALyingIndexIsNamed(t *testing.T) {
	const index = "DIR/model.safetensors.index.json:"
	for _, c := range []struct{ name, index, want string }{
		{"a shard that is not there", `{"weight_map":{"a":"1.safetensors","b":"3.safetensors"}}`, index +
			" lists 3.safetensors, which is not there"},
		{"a tensor that its shard does not hold", `{"weight_map":{"a":"1.safetensors","b":"2.safetensors","c":"2.safetensors"}}`, index +
			` tensor "c" is in 2.safetensors by the index, which does not hold it`},
		{"a tensor in another shard", `{"weight_map":{"a":"2.safetensors","b":"1.safetensors"}}`, index +
			` tensor "a" is in 2.safetensors by the index and in 1.safetensors by the files`},
		{"a tensor that is not listed", `{"weight_map":{"b":"2.safetensors","x":"1.safetensors"}}`, index +
			` does not list tensor "a", which 1.safetensors holds`},
		{"a path upwards", `{"weight_map":{"a":"../1.safetensors"}}`, index +
			`1: tensor "a" is in "../1.safetensors", want a .safetensors file of the same folder`},
		{"a path downwards", `{"weight_map":{"a":"x/1.safetensors"}}`, index +
			`1: tensor "a" is in "x/1.safetensors", want a .safetensors file of the same folder`},
		{"an absolute path", `{"weight_map":{"a":"/etc/passwd"}}`, index +
			`1: tensor "a" is in "/etc/passwd", want a .safetensors file of the same folder`},
		{"another system's path", `{"weight_map":{"a":"..\\1.safetensors"}}`, index +
			`1: tensor "a" is in "..\\1.safetensors", want a .safetensors file of the same folder`},
		{"a file of another kind", `{"weight_map":{"a":"pytorch_model.bin"}}`, index +
			`1: tensor "a" is in "pytorch_model.bin", want a .safetensors file of the same folder`},
		{"a tensor twice", `{"weight_map":{"a":"1.safetensors","a":"2.safetensors"}}`, index + `1: tensor "a" is there twice`},
		{"no weight_map", `{"metadata":{"total_size":16}}`, index + " no weight_map"},
		{"broken json", "{\n\"weight_map\":{\n\"a\":1}}", index + `3: tensor "a": the value is a number, want text`},
		{"an index cut short", `{"weight_map":{"a":"1.safetensors"`, index + "1: broken JSON: it ends in the middle, after 34 bytes"},
		{"an empty index", ``, index + "1: nothing is there, want JSON"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for shard, name := range map[string]string{"1": "a", "2": "b"} {
				data := file(`{"`+name+`":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8)
				if err := os.WriteFile(filepath.Join(dir, shard+".safetensors"), data, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(filepath.Join(dir, indexFile), []byte(c.index), 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := OpenWeights(dir)
			faulttest.Want(t, err, dir, c.want)
		})
	}
}

func TestAFolderWithoutSafetensorsSaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	_, err := OpenWeights(dir)
	faulttest.Want(t, err, dir, "DIR: no weights, want model.safetensors or model.safetensors.index.json")
	if err := os.WriteFile(filepath.Join(dir, "pytorch_model.bin"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = OpenWeights(dir)
	if hint := fault.HintOf(err); !strings.Contains(hint, "can run code") {
		t.Errorf("hint is %q", hint)
	}
	_, err = OpenWeights(filepath.Join(dir, "none"))
	faulttest.Want(t, err, dir, "stat DIR/none: no such file or directory")
	if err := os.Mkdir(filepath.Join(dir, singleFile), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err = OpenWeights(dir)
	faulttest.Want(t, err, dir, "DIR/model.safetensors: not a regular file")
}

func TestWritersRefuseWhatTheyCannotWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.safetensors")
	one := []float32{1}
	for _, c := range []struct {
		name, dtype, want string
		tensors           []Tensor
	}{
		{"a dtype that is not known", "F16", `DIR/x.safetensors: dtype is "F16", want F32 or BF16`, nil},
		{"the same name twice", "F32", "DIR/x.safetensors: tensor a: the name is taken",
			[]Tensor{{"a", []int{1}, one}, {"a", []int{1}, one}}},
		{"the name of the metadata", "F32", "DIR/x.safetensors: tensor __metadata__: the name is taken",
			[]Tensor{{"__metadata__", nil, one}}},
		{"no folder", "F32", "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.want == "" {
				if err := writeTensors(filepath.Join(dir, "none", "x"), c.dtype, c.tensors, nil); err == nil {
					t.Error("no error")
				}
				return
			}
			faulttest.Want(t, writeTensors(path, c.dtype, c.tensors, nil), dir, c.want)
			if left, _ := os.ReadDir(dir); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestTheIndexIsWhatHuggingFaceWrites(t *testing.T) {
	dir := t.TempDir()
	x := make([]float32, 10)
	if err := writeWeights(dir, "BF16", []Tensor{{"b", []int{10}, x}, {"a", []int{2, 5}, x}}, 30, nil); err != nil {
		t.Fatal(err)
	}
	var index struct {
		Metadata  map[string]int    `json:"metadata"`
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(readFile(t, filepath.Join(dir, indexFile)), &index); err != nil {
		t.Fatal(err)
	}
	if index.Metadata["total_size"] != 40 || index.WeightMap["a"] != "model-00001-of-00002.safetensors" ||
		index.WeightMap["b"] != "model-00002-of-00002.safetensors" {
		t.Errorf("index is %+v", index)
	}
}

func BenchmarkRead(b *testing.B) {
	dir := b.TempDir()
	data := make([]float32, 16<<20)
	for _, dtype := range []string{"F32", "BF16"} {
		if err := writeTensors(filepath.Join(dir, dtype), dtype, []Tensor{{"a", []int{len(data)}, data}}, nil); err != nil {
			b.Fatal(err)
		}
		w, err := OpenSafetensors(filepath.Join(dir, dtype))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(dtype, func(b *testing.B) {
			b.SetBytes(int64(tensorfile.Size(dtype) * len(data)))
			for b.Loop() {
				if err := w.Read("a", data); err != nil {
					b.Fatal(err)
				}
			}
		})
		w.Close()
	}
}

// writeWeights is [StreamWeights] of what is in memory.
func writeWeights(dir, dtype string, tensors []Tensor, maxShard int64, progress func(done, total int64)) error {
	return StreamWeights(dir, dtype, streams(tensors), maxShard, progress)
}

func writeTensors(path, dtype string, tensors []Tensor, metadata map[string]string) error {
	return StreamSafetensors(path, dtype, streams(tensors), metadata)
}

func streams(tensors []Tensor) (out []Stream) {
	for _, t := range tensors {
		out = append(out, t.Stream())
	}
	return out
}
