package convert

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"lwtrain/internal/fault"
	"lwtrain/internal/smalldisk"
)

func TestAFullDiskLeavesNoHalfImport(t *testing.T) {
	dir := smalldisk.Mount(t, "80k")
	err := FromGGUF("testdata/tiny-smollm.gguf", filepath.Join(dir, "m"), nil)
	left, _ := os.ReadDir(dir)
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(fault.HintOf(err), "make room") || len(left) != 0 {
		t.Errorf("%v, left %v", err, left)
	}
}
