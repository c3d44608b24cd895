//go:build unix

package read

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"lwtrain/internal/fault"
)

func TestPipesInAFolderOfDataAreRefused(t *testing.T) {
	for _, name := range []string{"state.json", "dataset_dict.json", "b.jsonl"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "a.jsonl"), []byte(`{"messages": []}`), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mkfifo(filepath.Join(dir, name), 0o600); err != nil {
			t.Skip("no pipes can be made here:", err)
		}
		files, _, err := Expand(dir)
		if err == nil {
			_, err = Hash(files)
		}
		if err == nil || !strings.Contains(err.Error(), name+": no") || !fault.IsUsage(err) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
