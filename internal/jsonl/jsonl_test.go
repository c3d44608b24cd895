package jsonl

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"lwtrain/internal/fault"
)

type line struct{ N int }

// open opens the log at path and returns what was in it.
func open(t *testing.T, path string) (*Log, []int) {
	t.Helper()
	var seen []int
	l, err := Open(path, func(x line, _ string) error { seen = append(seen, x.N); return nil })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, seen
}

func TestALogGoesOnWhereverItWasCutOff(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.jsonl")
	l, seen := open(t, path)
	if len(seen) > 0 {
		t.Errorf("%v in a new log", seen)
	}
	for n := range 3 {
		if _, err := l.Append(line{n}); err != nil {
			t.Fatal(err)
		}
	}
	l.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for size := range len(whole) + 1 {
		if err := os.WriteFile(path, whole[:size], 0o644); err != nil {
			t.Fatal(err)
		}
		l, seen := open(t, path)
		if n := strings.Count(string(whole[:size]), "\n"); len(seen) != n {
			t.Fatalf("%d lines of %d bytes, want %d", len(seen), size, n)
		}
		if _, err := l.Append(line{9}); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path, func(line, string) error { return nil }); !fault.IsUsage(err) {
			t.Fatalf("opened twice: %v", err)
		}
		l.Close()
		again, lines := open(t, path)
		if again.Close(); !slices.Equal(lines, append(seen, 9)) {
			t.Fatalf("cut off at %d: %v, want %v and 9", size, lines, seen)
		}
	}
}

func TestALineThatIsNotOneIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.jsonl")
	for text, want := range map[string]string{
		"{\"N\": 1}\n{}}\n":                      "log.jsonl:2: broken JSON at byte 3: '}'",
		"{\"N\": 1}\n{\"N\": 2}\n{\"N\": 3}\n":   "log.jsonl:2: refused",
		"{\"N\": 1,\"check\":\"x\"}\n":           "log.jsonl:1: the line does not end with its check, and has other keys",
		"{\"N\":0,\"check\":\"f8ba4bfe\"}\n{}\n": "log.jsonl:",
		"{\"N\": \"text\"}\n{\"N\": 2}\n{\"N\"":  "log.jsonl:1: ",
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Open(path, func(x line, _ string) error {
			if x.N == 2 {
				return errors.New("refused")
			}
			return nil
		})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
		if raw, _ := os.ReadFile(path); string(raw) != text {
			t.Errorf("%q: it was changed", text)
		}
	}
}

func TestNoBitOfALogChangesUnnoticed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.jsonl")
	l, _ := open(t, path)
	for n := range 3 {
		if _, err := l.Append(line{100 + n}); err != nil {
			t.Fatal(err)
		}
	}
	l.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := []int{100, 101, 102}
	for at := range 8 * len(whole) {
		flipped := bytes.Clone(whole)
		flipped[at/8] ^= 1 << (at % 8)
		if err := os.WriteFile(path, flipped, 0o644); err != nil {
			t.Fatal(err)
		}
		var seen []int
		l, err := Open(path, func(x line, _ string) error { seen = append(seen, x.N); return nil })
		if err != nil {
			continue
		}
		l.Close()
		cut := at/8 == len(whole)-1 // the end of the last line, which is then one that a crash has cut off
		if !slices.Equal(seen, want) && !(cut && slices.Equal(seen, want[:2])) {
			t.Errorf("bit %d of %q: %v is read", at%8, whole[:at/8+1], seen)
		}
	}
}

func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "all.jsonl")
	if err := Write(path, []map[string]string{{"a": "<b>"}, {}}); err != nil {
		t.Fatal(err)
	}
	if raw, _ := os.ReadFile(path); string(raw) != "{\"a\":\"<b>\"}\n{}\n" {
		t.Errorf("%q", raw)
	}
}

func TestLinesThatAreAddedAreThereAtOnceAndOnTheDiskSoon(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.jsonl")
	l, _ := open(t, path)
	var added time.Time
	for n := range 5 {
		added = time.Now()
		if _, err := l.Add(line{n}); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(path)
		if got := strings.Count(string(raw), "\n"); err != nil || got != n+1 {
			t.Fatalf("%d lines (%v), want %d", got, err, n+1)
		}
		time.Sleep(soon / 3)
	}
	l.mu.Lock()
	waiting := l.timer != nil
	l.mu.Unlock()
	if !waiting && time.Since(added) < soon { // a machine that does other things may have slept longer
		t.Error("the last line is on the disk at once")
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if l, seen := open(t, path); !slices.Equal(seen, []int{0, 1, 2, 3, 4}) {
		t.Errorf("lines %v", seen)
	} else {
		l.Close()
	}
}

func TestWhatADiskDoesNotTakeIsSaid(t *testing.T) {
	l, _ := open(t, filepath.Join(t.TempDir(), "log.jsonl"))
	full := errors.New("the disk is full")
	l.failed = full
	if _, err := l.Add(line{1}); !errors.Is(err, full) {
		t.Errorf("added: %v, want %v", err, full)
	}
	if err := l.Close(); !errors.Is(err, full) {
		t.Errorf("closed: %v, want %v", err, full)
	}
}
