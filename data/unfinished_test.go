package data

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lwtrain/data/store"
)

// cacheFiles are the names and hashes of the files of a store's folder.
func cacheFiles(t *testing.T, dir string) string {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range files {
		raw, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, f.Name()+" "+store.HashOf(raw))
	}
	return strings.Join(out, "\n")
}

func TestAStoppedBuildGoesOnBehindItsFinishedShards(t *testing.T) {
	defer func() { smallShards = 0 }()
	smallShards = 2 << 16 // two batches
	dir := t.TempDir()
	var lines []string
	for i := range 1500 { // about 1.2 million tokens in nine shards
		lines = append(lines, talk(fmt.Sprint("question ", i), strings.Repeat("word ", 160)))
		if i%100 == 7 {
			lines = append(lines, "{")
		}
	}
	src := write(t, dir, "a", lines...)
	o := options(dir, src)
	o.OnBadRecord, o.Dedup = "skip", "near"
	o.CacheDir = filepath.Join(dir, "whole")
	whole := build(t, o)
	want := cacheFiles(t, whole.Sources()[0].Cache)

	for name, meanwhile := range map[string]func(t *testing.T, left string){
		"as it was left": func(t *testing.T, left string) {},
		"with what a kill leaves of a shard and its facts": func(t *testing.T, left string) {
			if err := os.WriteFile(filepath.Join(left, "samples-00077.arrow"), []byte("half"), 0o644); err != nil {
				t.Fatal(err)
			}
			f, err := os.OpenFile(filepath.Join(left, "facts.bin"), os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.WriteString("rows of the shard"); err != nil {
				t.Fatal(err)
			}
		},
		"with a shard that was changed": func(t *testing.T, left string) {
			path := filepath.Join(left, "samples-00000.arrow")
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			raw[len(raw)/2] ^= 1
			if err := os.WriteFile(path, raw, 0o644); err != nil {
				t.Fatal(err)
			}
		},
		"without its index": func(t *testing.T, left string) {
			if err := os.Remove(filepath.Join(left, "index.bin")); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := o
			o.CacheDir = filepath.Join(t.TempDir(), "[a] cache*") // which is no pattern
			ctx, cancel := context.WithCancel(context.Background())
			_, err := Build(ctx, o, template(t, "auto"), Run{Seed: 1, Progress: func(done, total int64) {
				if done > total*2/3 {
					cancel()
				}
			}})
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("a build that was stopped: %v", err)
			}
			left, _ := fs.Glob(os.DirFS(o.CacheDir), ".building-*")
			if len(left) != 1 {
				t.Fatalf("%v is left, want one folder", left)
			}
			unfinished := filepath.Join(o.CacheDir, left[0])
			first, err := os.Stat(filepath.Join(unfinished, "samples-00000.arrow"))
			if err != nil {
				t.Fatal(err)
			}
			meanwhile(t, unfinished)
			s := build(t, o)
			if got := cacheFiles(t, s.Sources()[0].Cache); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			again, err := os.Stat(filepath.Join(s.Sources()[0].Cache, "samples-00000.arrow"))
			if err != nil {
				t.Fatal(err)
			}
			damaged := strings.HasPrefix(name, "with a shard") || strings.HasPrefix(name, "without")
			if kept := os.SameFile(first, again) && again.ModTime().Equal(first.ModTime()); kept == damaged {
				t.Errorf("the first shard was kept: %v, want %v", kept, !damaged)
			}
			if s.Len() != whole.Len() || s.Mix().Dropped["invalid_json"] != 15 ||
				s.Mix().Dropped["near_duplicate"] != whole.Mix().Dropped["near_duplicate"] {
				t.Errorf("%d samples, dropped %v; want %d, %v", s.Len(), s.Mix().Dropped, whole.Len(), whole.Mix().Dropped)
			}
			if left, _ := fs.Glob(os.DirFS(o.CacheDir), ".building-*"); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

func TestTwoBuildsOfTheSameAtOnceDoNotMeet(t *testing.T) {
	dir := t.TempDir()
	o := options(dir, write(t, dir, "a", talks(200)...))
	c := template(t, "auto")
	errs := make(chan error)
	for range 4 {
		go func() {
			s, err := Build(context.Background(), o, c, Run{Seed: 1})
			if err == nil {
				err = s.Close()
			}
			errs <- err
		}()
	}
	for range 4 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(o.CacheDir, ".building-"+"*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
