package export

import (
	"os"
	"path/filepath"
	"testing"

	"lwtrain/internal/smalldisk"
)

func TestADiskWithoutRoomGetsNoFile(t *testing.T) {
	dir, disk := smallModel(t, "llama-tied", nil), smalldisk.Mount(t, "64k")
	for _, to := range []string{"m.gguf", "m"} {
		o := options(t, "f32")
		if w, err := GGUF(dir, filepath.Join(disk, to), o); err == nil {
			t.Errorf("%s: no error: %+v", to, w)
		}
		if left, err := os.ReadDir(disk); len(left) > 0 || err != nil {
			t.Errorf("%s: left %v, %v", to, left, err)
		}
	}
	if _, err := GGUF(dir, filepath.Join(disk, "m.gguf"), options(t, "f16")); err == nil {
		t.Error("no error where there is room for the file, but none to check it")
	}
	if left, err := os.ReadDir(disk); len(left) > 0 || err != nil {
		t.Errorf("left %v, %v", left, err)
	}
}
