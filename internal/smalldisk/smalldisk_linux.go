package smalldisk

import (
	"syscall"
	"testing"
)

// Mount mounts a disk of a size ("64k", "1m") on a folder of the test and returns
// it. A test that may not mount one is skipped.
func Mount(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("lwtrain-test", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("a small disk cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

// Remount changes a mounted disk: its flags (MS_RDONLY) or its size ("size=1m").
func Remount(t *testing.T, dir string, flags uintptr, options string) {
	t.Helper()
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|flags, options); err != nil {
		t.Skipf("the disk cannot be mounted anew here: %v", err)
	}
}
