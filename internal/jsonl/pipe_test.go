//go:build unix

package jsonl

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"lwtrain/internal/fault"
)

func TestAPipeIsNoLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.jsonl")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip("no pipes can be made here:", err)
	}
	_, err := Open(path, func(line, string) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "not a regular file") || !fault.IsUsage(err) {
		t.Errorf("got %v", err)
	}
}
