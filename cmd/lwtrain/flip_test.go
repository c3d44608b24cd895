package main

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestDamagedRuns damages a file of a run that was killed, or of one that is finished, gives
// the command again, and compares what comes of it with a run that nothing happened to: it is
// the same, or the program says what is wrong.
func TestDamagedRuns(t *testing.T) {
	works := []workload{sftWork, sftWork, dpoWork, pairsWork} // half of the damages are done to runs of sft
	for i, w := range works[1:] {
		share := *flips * (1 + (3-i)/3) / len(works)
		t.Run(w.command, func(t *testing.T) { w.damage(t, share) })
	}
}

func (w workload) damage(t *testing.T, times int) {
	finished, usual, _ := w.alone(t)
	want := readRun(t, finished)
	states := []struct{ name, dir string }{{"finished", finished}, {"killed", w.halfway(t)}}
	random := rand.New(rand.NewPCG(3, 0))
	came := map[string]int{}
	for n := range times {
		state := states[n%2]
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(state.dir)); err != nil {
			t.Fatal(err)
		}
		name := pickFile(t, random, dir)
		what := fmt.Sprintf("%d: %s of the %s run: %s", n, name, state.name, spoil(t, random, filepath.Join(dir, name)))
		cmd := w.start(t, dir)
		err := cmd.Wait()
		said := cmd.Stderr.(*strings.Builder).String()
		switch told := tells(said, usual); {
		case strings.Contains(said, "panic:") || strings.Contains(said, "goroutine "):
			t.Errorf("%s: it died:\n%s", what, said)
		case err != nil && !told:
			t.Errorf("%s: %v, and nothing is said:\n%s", what, err, said)
		case err != nil:
			came["refused"]++
		case len(differences(want, readRun(t, dir))) == 0 && told:
			came["the same, and said"]++
		case len(differences(want, readRun(t, dir))) == 0:
			came["the same"]++
		case !told:
			t.Errorf("%s: %v silently differ:\n%s", what, differences(want, readRun(t, dir)), said)
		default:
			came["another, and said"]++
			t.Logf("%s: %v differ:\n%s", what, differences(want, readRun(t, dir)), said)
		}
		os.RemoveAll(dir)
	}
	t.Logf("%d files damaged: %v", times, came)
}

// tells reports whether a command says that something is wrong that it does not say usually.
func tells(said, usual string) bool {
	return slices.ContainsFunc(strings.Split(said, "\n"), func(line string) bool {
		wrong := strings.HasPrefix(line, "lwtrain: warning: ") || strings.HasPrefix(line, "lwtrain: error: ")
		return wrong && !strings.Contains(usual, line)
	})
}

// pickFile picks a file of a run's folder, or one time in ten of its cache.
func pickFile(t *testing.T, random *rand.Rand, dir string) string {
	t.Helper()
	root := "run"
	if random.IntN(10) == 0 {
		root = "cache"
	}
	var names []string
	err := fs.WalkDir(os.DirFS(dir), root, func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			names = append(names, name)
		}
		return err
	})
	if err != nil && root == "run" {
		t.Fatal(err)
	}
	if len(names) == 0 { // a cache that there is none of
		return pickFile(t, random, dir)
	}
	return names[random.IntN(len(names))]
}

// spoil damages a file and says how.
func spoil(t *testing.T, random *rand.Rand, path string) (what string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	switch kind := random.IntN(20); {
	case kind < 11 && len(raw) > 0:
		at, bit := random.IntN(len(raw)), random.IntN(8)
		raw[at] ^= 1 << bit
		what = fmt.Sprintf("bit %d of byte %d of %d flipped", bit, at, len(raw))
	case kind < 16 && len(raw) > 0:
		n := random.IntN(len(raw))
		what = fmt.Sprintf("cut off after %d of %d bytes", n, len(raw))
		raw = raw[:n]
	case kind < 18:
		raw = append(raw, "\x00\xff\n{}\n"...)
		what = "binary at its end"
	default:
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		return "removed"
	}
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	return what
}
