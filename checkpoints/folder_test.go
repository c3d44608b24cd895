package checkpoints

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestAFolderIsWholeOrAbsent(t *testing.T) {
	t.Parallel()
	write := func(dir string) error {
		for _, name := range []string{"config.json", "tokenizer.json", "generation_config.json"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte("{}"), 0o644); err != nil {
				return err
			}
		}
		return writeWeights(dir, "F32", []Tensor{{"x", []int{2, 3}, make([]float32, 6)}}, 0, nil)
	}
	injected := errors.New("injected")
	for n := 0; ; n++ {
		root := t.TempDir()
		calls := 0
		d := disk{before: func(op, path string) error {
			if calls++; calls > n {
				return fmt.Errorf("%s %s: %w", op, path, injected)
			}
			return nil
		}}
		out := filepath.Join(root, "m")
		err := d.writeFolder(out, write)
		left, _ := os.ReadDir(root)
		if err == nil {
			if n < 8 || len(left) != 1 {
				t.Errorf("done after %d changes with %v", n, left)
			}
			return
		}
		if !errors.Is(err, injected) {
			t.Fatal(err)
		}
		if _, err := OpenWeights(out); exists(out) && err != nil || len(left) > 1 || len(left) == 1 && left[0].Name() != "m" {
			t.Fatalf("failed at change %d: left %v, %v", n, left, err)
		}
	}
}
