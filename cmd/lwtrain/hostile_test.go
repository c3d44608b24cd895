package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// What reading a hostile file may take.
const (
	mostMemory = 1 << 30
	mostTime   = 60 * time.Second
)

// hostile is a file that is made to take much, in a folder that has the model m, and what is said of it.
type hostile struct {
	name string
	file string
	text func() []byte
	args string
	want string
}

const (
	theData   = "hostile.data" // a file is what it begins with
	withData  = "stats -c data.yaml"
	withModel = "generate -m m --prompt hello --max-new-tokens 1"
)

// TestHostileFilesTakeLittle has each reader of docs/limits.md read a file that asks for gigabytes or hours,
// in a process that is given a gigabyte.
func TestHostileFilesTakeLittle(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, text []byte) {
		t.Helper()
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("run.yaml", []byte(tinyModel+"recipe: tiny\ndata: {cache_dir: cache}\n"))
	write("data.yaml", []byte(tinyModel+"data: {cache_dir: cache, held_out: 0, on_bad_record: skip,\n"+
		"  sources: [{name: x, format: messages, path: "+theData+"}]}\n"))
	write("run/metrics.jsonl", []byte(`{"step":1,"loss":1}`+"\n"))
	if said, err := bounded(dir, "sft -c run.yaml train.max_steps=1 sample.prompts=0 data.held_out=0 output.dir=first"); err != nil {
		t.Fatal(err, said)
	}
	if err := os.Rename(filepath.Join(dir, "first/checkpoints/step-000001"), filepath.Join(dir, "m")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "m/manifest.json")); err != nil {
		t.Fatal(err)
	}
	for _, c := range hostiles(t) {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(dir, filepath.FromSlash(c.file))
			before, err := os.ReadFile(path)
			if err == nil {
				defer os.WriteFile(path, before, 0o644)
			} else {
				defer os.Remove(path)
			}
			write(c.file, c.text())
			said, err := bounded(dir, c.args)
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(said, c.want) {
				t.Errorf("%v, it says %.2000s, want status 2 and %q", err, said, c.want)
			}
		})
	}
}

// bounded runs lwtrain with mostMemory for its data, in which case it would end as one without
// memory does, and for mostTime.
func bounded(dir, args string) (said string, err error) {
	limited := fmt.Sprintf(`ulimit -d %d && exec lwtrain "$@"`, mostMemory>>10)
	ctx, cancel := context.WithTimeout(context.Background(), mostTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", append([]string{"-c", limited, "sh"}, strings.Fields(args)...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func hostiles(t *testing.T) []hostile {
	const values = "values, want fewer"
	return []hostile{
		{"900 million lines of {}", theData, packed(t, many("", "{}\n", 10<<20, ""), 90), withData,
			"can not be used, the first in line 1 ("},
		{"268 million blank lines", theData, packed(t, many("", "\n", 32<<20, ""), 8), withData, "more than 200 times its size"},
		{"a record of 22 million values", theData, many(`{"messages":[`, "1,", 22<<20, "1]}\n"),
			withData + " data.on_bad_record=error", "a record of more than 2097152 values"},
		{"a text of Arrow that a million rows say", theData, sameText(t), withData, "more than 200 times its size"},
		{"a footer of ten million structures", theData, parquetFooter, withData, "more than 1048576 structures in its footer"},

		{"900,000 tensors", "m/model.safetensors",
			tensors(numbered("{", `"t%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},`, 900_000, `"a":0}`)), withModel, values},
		{"900,000 tensors, looked at", "m/model.safetensors",
			tensors(numbered("{", `"t%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},`, 900_000, `"a":0}`)), "inspect m", values},
		{"metadata of eight million keys", "m/model.safetensors", tensors(numbered(`{"__metadata__":{`, `"%x":"",`, 8_000_000, `"a":""}}`)),
			withModel, values},
		{"a token of 50 MB", "m/tokenizer_config.json", many(`{"added_tokens_decoder":{"300":{"content":"`, "x", 50<<20, `"}}}`),
			withModel, "want at most 256"},
		{"ten million ids that end an answer", "m/generation_config.json", many(`{"eos_token_id":[`, "1,", 10<<20, "1]}"),
			withModel, values},
		{"twenty million special tokens of tekken.json", "tekken/tekken.json", many(`{"special_tokens":[`, "{},", 20<<20, "{}]}"),
			"tokenize -m tekken", "special_tokens has more than"},
		{"a template whose loops never end", "m/chat_template.jinja",
			many("", "{% for a in range(99999) %}", 3, "{{ messages[0].content }}"+strings.Repeat("{% endfor %}", 3)), withModel, "steps"},
		{"a template that doubles a text", "m/chat_template.jinja",
			many(`{% set n = namespace(s="aaaa") %}`, "{% set n.s = n.s ~ n.s %}", 60, "{{ n.s }}"), withModel, "bytes of text and lists"},
		{"a template that reads a long number again and again", "m/chat_template.jinja",
			many("{% set s = '1' * 9999999 %}", "{% for a in range(99999) %}{% set x = s|int %}", 1, "{% endfor %}"), withModel, "steps"},

		{"twelve million texts of GGUF", "a.gguf", ggufTexts, "import a.gguf out", "no general.architecture"},
		{"aliases of aliases", "a.yaml", aliases, "validate -c a.yaml", "problem"},
		{"twenty million answers", "run/answers.json", many("[", "{},", 20<<20, "{}]"), "report run", values},
		{"statistics of twenty million sources", "run/data.json", many(`{"sources":[`, "{},", 20<<20, "{}]}"), "report run", values},
	}
}

func many(head, unit string, n int, tail string) func() []byte {
	return func() []byte { return []byte(head + strings.Repeat(unit, n) + tail) }
}

func numbered(head, format string, n int, tail string) func() []byte {
	return func() []byte {
		out := []byte(head)
		for i := range n {
			out = fmt.Appendf(out, format, i)
		}
		return append(out, tail...)
	}
}

func tensors(header func() []byte) func() []byte {
	return func() []byte {
		h := header()
		return append(binary.LittleEndian.AppendUint64(nil, uint64(len(h))), h...)
	}
}

// ggufTexts is a key with an array of empty texts.
func ggufTexts() []byte {
	const n = 12 << 20
	out := []byte("GGUF\x03\x00\x00\x00")
	for _, v := range []uint64{0, 1, 1} { // no tensors, one key, of one byte
		out = binary.LittleEndian.AppendUint64(out, v)
	}
	out = append(out, 'a', 9, 0, 0, 0, 8, 0, 0, 0)
	return append(binary.LittleEndian.AppendUint64(out, n), make([]byte, 8*n)...)
}

// parquetFooter is one of a schema of ten million columns, which have a name each, of no bytes.
func parquetFooter() []byte {
	const n = 10 << 20
	head := append([]byte("\x15\x02\x19\xfc"), binary.AppendUvarint(nil, n)...)
	footer := many(string(head), "\x48\x00\x00", n, "\x16\x00\x19\x0c\x00")()
	return slices.Concat([]byte("PAR1"), footer, binary.LittleEndian.AppendUint32(nil, uint32(len(footer))), []byte("PAR1"))
}

// packed is a text in gzip, n times.
func packed(t *testing.T, text func() []byte, n int) func() []byte {
	return func() []byte {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		if _, err := w.Write(text()); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return bytes.Repeat(b.Bytes(), n)
	}
}

// sameText is a column of a dictionary with one text of a megabyte.
func sameText(t *testing.T) func() []byte {
	return func() []byte {
		const rows = 1 << 20
		text := array.NewStringBuilder(memory.DefaultAllocator)
		text.Append(`[{"role":"nobody","content":"` + strings.Repeat("a ", 1<<19) + `"}]`)
		index := array.NewInt8Builder(memory.DefaultAllocator)
		for range rows {
			index.Append(0)
		}
		kind := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}
		schema := arrow.NewSchema([]arrow.Field{{Name: "messages", Type: kind}}, nil)
		column := array.NewDictionaryArray(kind, index.NewArray(), text.NewArray())
		var b bytes.Buffer
		w := ipc.NewWriter(&b, ipc.WithSchema(schema))
		if err := w.Write(array.NewRecord(schema, []arrow.Array{column}, rows)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
}

func aliases() []byte {
	var b strings.Builder
	b.WriteString("a: &a [x, x, x, x, x, x, x, x, x]\n")
	for c := 'b'; c < 'n'; c++ {
		fmt.Fprintf(&b, "%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat("*"+string(c-1)+", ", 9), ", "))
	}
	return []byte(b.String())
}
