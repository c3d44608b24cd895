package data

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
)

// TestNobodyReadsOnWhenABuildHasEnded: the files are closed then, and what unpacks them does not take that while it reads.
func TestNobodyReadsOnWhenABuildHasEnded(t *testing.T) {
	dir := t.TempDir()
	line := talk("long", strings.Repeat("word ", 4000))
	lines := make([]string, 300)
	for i := range lines {
		lines[i] = line
	}
	o := options(dir, write(t, dir, "a", lines...))
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := Build(ctx, o, template(t, "auto"), Run{Progress: func(int64, int64) { cancel() }})
		all := make([]byte, 1<<20)
		all = all[:runtime.Stack(all, true)]
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if strings.Contains(string(all), "data.nextChunk") {
			t.Fatalf("somebody still reads:\n%s", all)
		}
	}
}
