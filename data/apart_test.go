package data

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lwtrain/internal/fault"
	"lwtrain/internal/testfile"
)

// TestWhatIsHeldOutIsNotTrainedOn names a held-out file that the sources train on in every way
// that one comes by.
func TestWhatIsHeldOutIsNotTrainedOn(t *testing.T) {
	all := strings.Join(talks(6), "\n") + "\n"
	some := strings.Join(talks(9)[5:], "\n") + "\n" // the first is the last of all
	for _, c := range []struct {
		name, train, held string
		change            func(dir string, o *Options)
		want, note        string
	}{
		{"apart", "a.jsonl", "b.jsonl", func(dir string, o *Options) { testfile.Put(t, dir+"/b.jsonl", talk("x", "y")) }, "", ""},
		{"the same path", "a.jsonl", "a.jsonl", nil, "a.jsonl is the same file", ""},
		{"the same path in other words", "a.jsonl", "./x/../a.jsonl", func(dir string, _ *Options) { os.Mkdir(dir+"/x", 0o755) },
			"a.jsonl is the same file", ""},
		{"within a glob", "*.jsonl", "b.jsonl", func(dir string, _ *Options) { testfile.Put(t, dir+"/b.jsonl", some) },
			"b.jsonl is the same file", ""},
		{"within a folder", "", "test.jsonl", func(dir string, _ *Options) {
			os.Rename(dir+"/a.jsonl", dir+"/test.jsonl")
			testfile.Put(t, dir+"/train.jsonl", some)
		}, "", "of 6 held-out samples 1 are trained on, too: train.jsonl:1 is test.jsonl:6"},
		{"a link", "a.jsonl", "b.jsonl", func(dir string, _ *Options) { os.Symlink(dir+"/a.jsonl", dir+"/b.jsonl") },
			"a.jsonl is the same file", ""},
		{"a hard link", "a.jsonl", "b.jsonl", func(dir string, _ *Options) { os.Link(dir+"/a.jsonl", dir+"/b.jsonl") },
			"a.jsonl is the same file", ""},
		{"a copy", "a.jsonl", "b.jsonl", func(dir string, _ *Options) { testfile.Put(t, dir+"/b.jsonl", all) },
			"a.jsonl has the same content", ""},
		{"a copy of other marks of training", "a.jsonl", "b.jsonl", func(dir string, o *Options) {
			testfile.Put(t, dir+"/b.jsonl", all)
			o.Sources[0].TrainOn = "last"
		}, "a.jsonl has the same content", ""},
		{"as many bytes of another content", "a.jsonl", "b.jsonl", func(dir string, _ *Options) {
			testfile.Put(t, dir+"/b.jsonl", strings.ReplaceAll(all, "question", "guestion"))
		}, "", ""},
		{"a copy, compressed", "a.jsonl", "b.jsonl.gz", func(dir string, _ *Options) { testfile.Put(t, dir+"/b.jsonl.gz", all) },
			"held out, and all of its 6 samples are trained on: a.jsonl:1 is b.jsonl.gz:1", ""},
		{"a copy as an array", "a.jsonl", "b.json", func(dir string, _ *Options) {
			testfile.Put(t, dir+"/b.json", "["+strings.Join(talks(6), ",\n")+"]")
		}, "held out, and all of its 6 samples are trained on: a.jsonl:1 is b.json:1", ""},
		{"a part", "a.jsonl", "b.jsonl", func(dir string, _ *Options) { testfile.Put(t, dir+"/b.jsonl", talks(3)[2]) },
			"held out, and its only sample is trained on: a.jsonl:3 is b.jsonl:1", ""},
		{"some samples", "a.jsonl", "b.jsonl", func(dir string, _ *Options) { testfile.Put(t, dir+"/b.jsonl", some) }, "",
			"of 4 held-out samples 1 are trained on, too: a.jsonl:6 is b.jsonl:1"},
		{"copies that are dropped", "a.jsonl", "b.jsonl", func(dir string, o *Options) {
			testfile.Put(t, dir+"/b.jsonl", talks(3)[2])
			o.Dedup = "exact"
		}, "", ""},
		{"filters that keep the same file apart", "a.jsonl", "a.jsonl", func(_ string, o *Options) {
			o.Sources[0].Filter.MaxWords, o.HeldOut.Sources[0].Filter.MinWords = 3, 4
		}, "", ""},
		{"filters that do not", "a.jsonl", "a.jsonl", func(_ string, o *Options) {
			o.Sources[0].Filter.MaxWords, o.HeldOut.Sources[0].Filter.MinWords = 4, 4
		}, "", "of 3 held-out samples 1 are trained on, too: a.jsonl:4 is a.jsonl:4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			testfile.Put(t, filepath.Join(dir, "a.jsonl"), all)
			o := options(dir, Source{Name: "train", Path: filepath.Join(dir, c.train), LossFactor: 1})
			o.CacheDir = t.TempDir()
			o.HeldOut.Sources = []Source{{Name: "held", Path: dir + "/" + c.held, LossFactor: 1}}
			if c.change != nil {
				c.change(dir, &o)
			}
			for _, dry := range []bool{true, false} {
				s, err := Build(context.Background(), o, template(t, "auto"), Run{Seed: 1, DryRun: dry})
				if c.want != "" {
					if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), dir+"/", ""), c.want) ||
						!fault.IsUsage(err) || fault.HintOf(err) == "" {
						t.Fatalf("got %v, want %s", err, c.want)
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				got := ""
				if notes := s.Sources()[1].Notes; len(notes) > 0 {
					got = strings.ReplaceAll(fmt.Sprint(notes[0]), dir+"/", "")
				}
				if got != c.note {
					t.Errorf("noted %q, want %q", got, c.note)
				}
			}
		})
	}
}

func TestALinkToAFileOfASourceIsNoOther(t *testing.T) {
	dir := t.TempDir()
	testfile.Put(t, filepath.Join(dir, "a.jsonl"), talk("x", "y"))
	os.Symlink(filepath.Join(dir, "a.jsonl"), filepath.Join(dir, "b.jsonl"))
	o := options(dir, Source{Name: "s", Path: filepath.Join(dir, "*.jsonl"), LossFactor: 1})
	if _, err := Build(t.Context(), o, template(t, "auto"), Run{}); err == nil || !strings.Contains(err.Error(), "b.jsonl: a link to ") {
		t.Errorf("%v", err)
	}
}
