package read

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"lwtrain/internal/fault"
	"lwtrain/internal/testfile"
)

// talk is a record of one question and one answer.
func talk(question, answer string) string {
	return fmt.Sprintf(`{"messages": [{"role": "user", "content": %q}, {"role": "assistant", "content": %q}]}`, question, answer)
}

func TestWhatIsPickedOfManyFiles(t *testing.T) {
	for _, c := range []struct{ name, files, want string }{
		{"LongWriter-6k has one file", ".gitattributes README.md long.jsonl", "long.jsonl"},
		{"files of training are preferred", "data/train-00000-of-00002.parquet data/train-00001-of-00002.parquet " +
			"data/test-00000-of-00001.parquet", "data/train-00000-of-00002.parquet data/train-00001-of-00002.parquet"},
		{"without a train split what is not for evaluation is taken", "a.jsonl dev.jsonl x_test.jsonl", "a.jsonl"},
		{"trainer and latest are no splits", "trainer.jsonl latest.jsonl", "latest.jsonl trainer.jsonl"},
		{"of two formats the one with more files", "a.parquet b.jsonl c.jsonl", "b.jsonl c.jsonl"},
		{"compressed JSONL", "a.jsonl.zst b.jsonl.gz c.tar.gz", "a.jsonl.zst b.jsonl.gz"},
		{"files about the dataset are no data", "dataset_infos.json train.json", "train.json"},
		{"what save_to_disk leaves", "data-00000-of-00002.arrow data-00001-of-00002.arrow dataset_info.json state.json",
			"data-00000-of-00002.arrow data-00001-of-00002.arrow"},
	} {
		got, err := Pick(strings.Fields(c.files))
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, %v, want %s", c.name, got, err, c.want)
		}
	}
}

func TestPathsThatAreNoFilesSayWhatIsMeant(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("a.jsonl", []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"https://example.com/a.jsonl": "fetch it first",
		"s3://bucket/a.jsonl":         "hf://owner/name of the Hugging Face hub",
		"THUDM/LongWriter-6k":         "hf://THUDM/LongWriter-6k names a dataset of the Hugging Face hub",
		"data/b.jsonl":                "relative paths start at",
		"a.jsonl/":                    "there is a.jsonl",
	} {
		files, _, err := Expand(path)
		if err == nil {
			_, err = Size(files)
		}
		if err == nil || !strings.Contains(err.Error(), path+": no such file") || !strings.Contains(fault.HintOf(err), want) {
			t.Errorf("%s: %v, %s, want a hint with %s", path, err, fault.HintOf(err), want)
		}
	}
}

func TestCompressedFilesThatAreNotRight(t *testing.T) {
	text := strings.Repeat(talk("question", "an answer")+"\n", 20000)
	for _, ext := range []string{".gz", ".zst"} {
		good := testfile.Packed(t, ext, text)
		broken := bytes.Clone(good)
		broken[len(broken)/2] ^= 0x10
		for _, c := range []struct {
			name string
			raw  []byte
			want string // "": it is read
		}{
			{"a good one", good, ""},
			{"two of them behind each other", append(bytes.Clone(good), good...), ""},
			{"cut short", good[:len(good)*2/3], "does not unpack"},
			{"cut behind its head", good[:12], "does not unpack"},
			{"with a bit that is another", broken, "does not unpack"},
			{"with a Parquet file in it", testfile.Packed(t, ext, "PAR1 and more"), "with Parquet in it"},
			{"compressed twice", testfile.Packed(t, ext, string(testfile.Packed(t, ".gz", text))), "with gzip in it"},
			{"a tar archive", testfile.Packed(t, ext, strings.Repeat("x", 257)+"ustar\x00"+text), "tar archive"},
			{"a bomb", testfile.Packed(t, ext, strings.Repeat("\n", alwaysFine+(8<<20))), "more than 200 times its size"},
		} {
			if c.name == "a bomb" && ext == ".gz" {
				continue // gzip packs to a thousandth at most, which is within the bound
			}
			t.Run(c.name+" "+ext, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "x.jsonl"+ext)
				if err := os.WriteFile(path, c.raw, 0o644); err != nil {
					t.Fatal(err)
				}
				lines, err := readAll(path, nil)
				switch {
				case c.want == "" && (err != nil || len(lines)%20000 != 0 || len(lines) == 0):
					t.Errorf("%d records, %v", len(lines), err)
				case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !fault.IsUsage(err)):
					t.Errorf("%d records, %v, want %s", len(lines), err, c.want)
				}
				for _, l := range lines {
					if strings.HasPrefix(c.name, "cut") && !bytes.Equal(l.Text, lines[0].Text) {
						t.Fatalf("record %d has %d bytes: half a line", l.Number, len(l.Text))
					}
				}
			})
		}
	}
}

func TestUnpackingTakesLittleMemory(t *testing.T) {
	line := talk("question", strings.Repeat("an answer of some length ", 40)) + "\n"
	path := testfile.Put(t, filepath.Join(t.TempDir(), "x.jsonl.zst"), strings.Repeat(line, (64<<20)/len(line)))
	r, err := Open([]File{{path, path}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	most := uint64(0)
	for n := 0; ; n++ {
		if _, err := r.Next(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if n%20000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapAlloc)
		}
	}
	if used := int64(most) - int64(before.HeapAlloc); used > 24<<20 {
		t.Errorf("%d MiB are held for a file of 64 MiB of text", used>>20)
	}
}

func TestAPointerOfGitLFSIsNamed(t *testing.T) {
	path := testfile.Put(t, filepath.Join(t.TempDir(), "x.jsonl"), "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
	if _, err := readAll(path, nil); err == nil || !strings.Contains(err.Error(), "a pointer of Git LFS") {
		t.Errorf("%v", err)
	}
}
