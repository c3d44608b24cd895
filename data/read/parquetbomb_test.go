package read

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/parquet"
	"github.com/apache/arrow/go/v17/parquet/compress"
	pq "github.com/apache/arrow/go/v17/parquet/file"
	"github.com/apache/arrow/go/v17/parquet/schema"

	"lwtrain/internal/fault"
)

// writePrompts writes a Parquet file with the column prompt.
func writePrompts(t *testing.T, path string, how []parquet.WriterProperty, prompts ...string) {
	t.Helper()
	node, err := schema.NewPrimitiveNodeConverted("prompt", parquet.Repetitions.Required, parquet.Types.ByteArray,
		schema.ConvertedTypes.UTF8, 0, 0, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	root, err := schema.NewGroupNode("schema", parquet.Repetitions.Required, schema.FieldList{node}, -1)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	how = append(how, parquet.WithDictionaryDefault(false), parquet.WithStats(false))
	w := pq.NewParquetWriter(f, root, pq.WithWriterProps(parquet.NewWriterProperties(how...)))
	group := w.AppendRowGroup()
	column, err := group.NextColumn()
	if err != nil {
		t.Fatal(err)
	}
	values := make([]parquet.ByteArray, len(prompts))
	for i, p := range prompts {
		values[i] = parquet.ByteArray(p)
	}
	if _, err := column.(*pq.ByteArrayColumnChunkWriter).WriteBatch(values, nil, nil); err != nil {
		t.Fatal(err)
	}
	for _, c := range []interface{ Close() error }{column, group, w} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// evilCodec packs every page to the same bytes.
type evilCodec struct {
	compress.Codec
	packed []byte
}

func (e evilCodec) Encode(_, _ []byte) []byte             { return bytes.Clone(e.packed) }
func (e evilCodec) EncodeLevel(_, _ []byte, _ int) []byte { return bytes.Clone(e.packed) }

// allocated is how many bytes f asks for.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestPagesThatUnpackToMoreThanTheySayAreRefused: 256 MiB, or the 4 GiB that a
// block of snappy claims, in a page that says to have a few bytes.
func TestPagesThatUnpackToMoreThanTheySayAreRefused(t *testing.T) {
	const most = 32 << 20
	for name, kind := range map[string]compress.Compression{"snappy": compress.Codecs.Snappy, "gzip": compress.Codecs.Gzip,
		"brotli": compress.Codecs.Brotli, "zstd": compress.Codecs.Zstd} {
		for _, version := range []parquet.DataPageVersion{parquet.DataPageV1, parquet.DataPageV2} {
			codec, err := compress.GetCodec(kind)
			if err != nil {
				t.Fatal(err)
			}
			var bomb bytes.Buffer
			if name == "snappy" {
				bomb.Write(binary.AppendUvarint(nil, 1<<32-1))
				bomb.WriteString("\x00x")
			} else {
				w := codec.NewWriter(&bomb)
				for zeros, i := make([]byte, 1<<20), 0; i < 256; i++ {
					if _, err := w.Write(zeros); err != nil {
						t.Fatal(err)
					}
				}
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
			}
			path := filepath.Join(t.TempDir(), "bomb.parquet")
			compress.RegisterCodec(kind, evilCodec{codec, bomb.Bytes()})
			writePrompts(t, path, []parquet.WriterProperty{parquet.WithCompression(kind), parquet.WithDataPageVersion(version)}, "a prompt")
			compress.RegisterCodec(kind, codec)
			n := allocated(func() { _, err = readAll(path, map[string]bool{"prompt": true}) })
			if err == nil || !fault.IsUsage(err) || !strings.HasPrefix(err.Error(), path+":1: a broken Parquet file") || n > most {
				t.Errorf("%s: %v, with %d MiB asked for; want an error of row 1, and at most %d MiB", name, err, n>>20, most>>20)
			}
			writePrompts(t, path, []parquet.WriterProperty{parquet.WithCompression(kind), parquet.WithDataPageVersion(version)},
				"a prompt", strings.Repeat("long ", 1<<18), "")
			got, err := readAll(path, map[string]bool{"prompt": true})
			if err != nil || len(got) != 3 || len(got[1].Text) < 5<<18 || string(got[0].Text) != `{"prompt":"a prompt"}` {
				t.Errorf("%s: %d rows of a sound file, %v", name, len(got), err)
			}
		}
	}
}

// TestPagesThatClaimMoreBytesThanThereAreAreRefused: the size of the page in the
// file is changed to 128 MiB.
func TestPagesThatClaimMoreBytesThanThereAreAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "claims.parquet")
	const n = 1 << 20
	writePrompts(t, path, nil, strings.Repeat("x", n-4))
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	size := binary.AppendUvarint(nil, 2*n) // zigzag
	head := slices.Concat([]byte{0x15}, size, []byte{0x15}, size)
	at := bytes.Index(raw, head)
	if at < 0 {
		t.Fatal("the page's head is not there")
	}
	for name, claim := range map[string]int{"more than there are": 1<<27 - 1, "many more": 1 << 26} {
		text := bytes.Clone(raw)
		copy(text[at+6:], binary.AppendUvarint(nil, uint64(2*claim)))
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		asked := allocated(func() { _, err = readAll(path, map[string]bool{"prompt": true}) })
		if err == nil || !strings.Contains(err.Error(), "bytes, where ") || asked > 32<<20 {
			t.Errorf("%s: %v, with %d MiB asked for", name, err, asked>>20)
		}
	}
}
