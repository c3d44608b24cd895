//go:build unix

package rundir

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestAPipeInTheFolderIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), File)
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip("no pipes can be made here:", err)
	}
	if _, err := ReadJSON(path, new(any)); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a pipe: %v", err)
	}
	if _, err := Open(filepath.Dir(path)); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a folder: %v", err)
	}
}
