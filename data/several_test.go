package data

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lwtrain/data/read"
	"lwtrain/internal/fault"
	"lwtrain/internal/testfile"
)

func origins(s *Set) (out []string) {
	for i := range s.Len() {
		at := s.Origin(i)
		out = append(out, at[strings.LastIndexByte(at, '/')+1:])
	}
	return out
}

func TestSeveralFilesAreOneSource(t *testing.T) {
	all := talks(5)
	a, b, c := all[0]+"\n\n"+all[1]+"\n", all[2]+"\n", "["+all[3]+",\n"+all[4]+"]"
	want := []string{"a-train.jsonl:1", "a-train.jsonl:3", "b-train.jsonl.zst:1", "c-train.jsonl.gz:1", "c-train.jsonl.gz:2"}
	known := map[string][]read.File{}
	for _, c2 := range []struct {
		name   string
		source func(dir string) Source
	}{
		{"a folder, whose test split is left out", func(dir string) Source { return Source{Path: dir} }},
		{"a glob", func(dir string) Source { return Source{Path: filepath.Join(dir, "*-train.*")} }},
		{"a list of a file and a glob", func(dir string) Source {
			return Source{Paths: []string{filepath.Join(dir, "a-train.jsonl"), filepath.Join(dir, "[bc]-*")}}
		}},
		{"files that are known", func(dir string) Source {
			var files []read.File
			for _, name := range []string{"a-train.jsonl", "b-train.jsonl.zst", "c-train.jsonl.gz"} {
				files = append(files, read.File{Name: "hf://owner/name/" + name, Path: filepath.Join(dir, name)})
			}
			known["hf://owner/name"] = files
			return Source{Path: "hf://owner/name"}
		}},
	} {
		t.Run(c2.name, func(t *testing.T) {
			dir := t.TempDir()
			testfile.Put(t, filepath.Join(dir, "a-train.jsonl"), a)
			testfile.Put(t, filepath.Join(dir, "b-train.jsonl.zst"), b)
			testfile.Put(t, filepath.Join(dir, "c-train.jsonl.gz"), c)
			testfile.Put(t, filepath.Join(dir, "test.jsonl"), talk("x", "y")+"\n")
			src := c2.source(dir)
			src.Name, src.LossFactor, src.Repeat = "many", 1, 1
			o := options(t.TempDir(), src)
			for range 2 { // tokenised, then from the cache
				s, err := Build(t.Context(), o, template(t, "auto"), Run{Seed: 1, Files: known})
				if err != nil {
					t.Fatal(err)
				}
				if got := origins(s); !slices.Equal(got, want) {
					t.Fatalf("%q, want %q", got, want)
				}
				x, err := s.Sample(4)
				if err != nil || filepath.Base(x.File) != "c-train.jsonl.gz" || x.Line != 2 {
					t.Errorf("sample 4 is of %s:%d, %v", x.File, x.Line, err)
				}
				m, _, err := s.Messages(4)
				if err != nil || !strings.Contains(all[4], m[0].Content) {
					t.Errorf("%v, %v, want the conversation %s", m, err, all[4])
				}
				if n, ok := s.Number(0, "c-train.jsonl.gz", 2); !ok || s.At(0, n) != s.Origin(4) {
					t.Errorf("c-train.jsonl.gz:2 is number %d, %v", n, ok)
				}
				s.Close()
			}
		})
	}
}

func TestTheSameFilesAreTheSameSourceWhereverTheyLie(t *testing.T) {
	sums := map[string]bool{}
	for _, names := range [][]string{{"a.jsonl", "b.jsonl"}, {"x.jsonl", "y.jsonl"}} {
		dir := t.TempDir()
		for i, name := range names {
			testfile.Put(t, filepath.Join(dir, name), talks(2)[i]+"\n")
		}
		s := build(t, options(t.TempDir(), Source{Name: "s", Path: dir, LossFactor: 1, Repeat: 1}))
		sums[fmt.Sprint(s.Contents())] = true
		s.Close()
	}
	if len(sums) != 1 {
		t.Errorf("%d contents, want one: %v", len(sums), sums)
	}
}

func TestABadRecordOfASecondFileIsNamedByIt(t *testing.T) {
	dir := t.TempDir()
	testfile.Put(t, filepath.Join(dir, "a.jsonl"), strings.Join(talks(3), "\n")+"\n")
	testfile.Put(t, filepath.Join(dir, "b.jsonl.gz"), talk("q", "a")+"\nno record\n")
	_, err := tryBuild(options(t.TempDir(), Source{Name: "s", Path: dir, LossFactor: 1, Repeat: 1}), Run{})
	if err == nil || !strings.Contains(err.Error(), "b.jsonl.gz:2: ") {
		t.Errorf("%v, want b.jsonl.gz:2", err)
	}
}

func TestWhatIsNoSetOfFiles(t *testing.T) {
	for _, c := range []struct {
		name  string
		files []string
		paths []string
		want  string
	}{
		{"a folder without data", []string{"x/readme.md"}, []string{"x"}, "x: no file of data among readme.md"},
		{"a folder of a script", []string{"x/x.py"}, []string{"x"}, "x: a script makes this dataset"},
		{"a folder with a test split alone", []string{"x/test.jsonl"}, []string{"x"}, "x: its files are for evaluation alone"},
		{"a glob that nothing matches", nil, []string{"*.jsonl"}, "*.jsonl: no file matches"},
		{"a broken glob", nil, []string{"[a"}, "[a: syntax error in pattern"},
		{"a file that is named twice", []string{"x/a.jsonl"}, []string{"x", "x/*"}, "a.jsonl: named twice by source s"},
		{"a file that is not there", []string{"x/a.jsonl"}, []string{"x", "y.jsonl"}, "y.jsonl: no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			for _, f := range c.files {
				testfile.Put(t, f, talk("q", "a")+"\n")
			}
			_, err := tryBuild(options("cache", Source{Name: "s", Paths: c.paths, LossFactor: 1, Repeat: 1}), Run{})
			if err == nil || !strings.Contains(err.Error(), c.want) || !fault.IsUsage(err) {
				t.Errorf("%v, want %s", err, c.want)
			}
			if _, err := os.Stat("cache"); err == nil {
				t.Error("something was written")
			}
		})
	}
}

func TestFilesWithoutARecordAreNamed(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a.jsonl": "\n \n", "b.jsonl": talk("x", "y"), "c.jsonl": "[]",
		"d.jsonl": "prompt,completion\n"} {
		testfile.Put(t, filepath.Join(dir, name), text)
	}
	o := options(dir, Source{Name: "s", Path: filepath.Join(dir, "*.jsonl"), LossFactor: 1})
	want := "no record in a.jsonl, c.jsonl, d.jsonl"
	for range 2 { // tokenised, then from the cache
		s := build(t, o)
		if got := strings.ReplaceAll(strings.Join(s.Sources()[0].Notes, "; "), dir+"/", ""); got != want || s.Len() != 1 {
			t.Errorf("%d samples, notes %q; want 1, %q", s.Len(), got, want)
		}
	}
	testfile.Put(t, filepath.Join(dir, "e.jsonl"), "")
	if _, err := tryBuild(o, Run{}); err == nil || !strings.Contains(err.Error(), "e.jsonl: an empty file (0 bytes)") {
		t.Errorf("a file of 0 bytes: %v", err)
	}
}
