package store

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestLogProbsAreKeptAndVerified(t *testing.T) {
	dir, in := t.TempDir(), map[string]string{"model": "a", "data": "b"}
	if _, err := ReadLogProbs(dir, in, 2); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("of nothing: %v", err)
	}
	want := []LogProbs{{-1.25, -0.5}, {math.Inf(-1), 0}}
	if err := WriteLogProbs(dir, in, want); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadLogProbs(dir, in, 2); err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := ReadLogProbs(dir, map[string]string{"model": "a", "data": "c"}, 2); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("of other data: %v", err)
	}
	found, _ := filepath.Glob(filepath.Join(dir, "*", logProbsName))
	raw, _ := os.ReadFile(found[0])
	raw[len(raw)/2] ^= 1
	if err := os.WriteFile(found[0], raw, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadLogProbs(dir, in, 2); err == nil || errors.Is(err, os.ErrNotExist) {
		t.Errorf("of a damaged file: %v", err)
	}
}
