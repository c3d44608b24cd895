package checkpoints

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"lwtrain/internal/fault"
)

// WriteFolder makes a new folder, whole or not at all: write fills a hidden one
// beside it, which is synced and renamed. outDir must not exist, or be empty.
func WriteFolder(outDir string, write func(dir string) error) error {
	if err := vacant(outDir); err != nil {
		return fault.Usage(err)
	}
	return fault.Disk(disk{}.writeFolder(outDir, write))
}

func (d disk) writeFolder(outDir string, write func(dir string) error) error {
	parent, name := filepath.Split(filepath.Clean(outDir))
	parent = filepath.Clean(parent)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	prefix := "." + name + ".writing-"
	if err := removeTemps(parent, prefix); err != nil {
		return err
	}
	temp, err := d.tempDir(parent, prefix)
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp) // after the rename there is nothing left of it
	if err := write(temp); err != nil {
		return err
	}
	if err := d.syncTree(temp); err != nil {
		return err
	}
	if err := os.Remove(outDir); err != nil && !errors.Is(err, fs.ErrNotExist) { // an empty folder is in the way
		return err
	}
	return d.rename(temp, outDir)
}

// vacant reports an error unless dir does not exist or is an empty folder.
func vacant(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return fault.Hint(fmt.Errorf("%s: holds %d files, want a folder that does not exist", dir, len(entries)),
			"take another name, or remove the folder")
	}
	return nil
}
