package checkpoints

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lwtrain/internal/atomicfile"
)

// disk makes the changes that decide whether a folder exists. before, where a
// test sets it, is asked before each of them and can let it fail.
type disk struct {
	before func(op, path string) error
}

func (d disk) check(op, path string) error {
	if d.before == nil {
		return nil
	}
	return d.before(op, path)
}

// tempDir makes a hidden folder in parent, which [removeTemps] knows again.
func (d disk) tempDir(parent, prefix string) (string, error) {
	path := uniqueName(filepath.Join(parent, prefix))
	if err := d.check("mkdir", path); err != nil {
		return "", err
	}
	return path, os.Mkdir(path, 0o755)
}

func uniqueName(prefix string) string { return fmt.Sprint(prefix, time.Now().UnixNano()) }

// isTemp reports whether an entry is a folder that tempDir made with a prefix:
// behind it come digits and dashes.
func isTemp(e fs.DirEntry, prefix string) bool {
	rest, ok := strings.CutPrefix(e.Name(), prefix)
	return ok && e.IsDir() && rest != "" && strings.Trim(rest, "0123456789-") == ""
}

// removeTemps removes what interrupted writes have left in parent.
func removeTemps(parent, prefix string) error {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if isTemp(e, prefix) {
			errs = append(errs, os.RemoveAll(filepath.Join(parent, e.Name())))
		}
	}
	return errors.Join(errs...)
}

// syncTree flushes the files and folders in dir, and dir itself.
func (d disk) syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := d.check("sync", path); err != nil {
			return err
		}
		if e.IsDir() {
			return atomicfile.SyncDir(path)
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
}

// rename gives a folder its name, for good.
func (d disk) rename(from, to string) error {
	if err := d.check("rename", to); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	if err := d.check("sync", filepath.Dir(to)); err != nil {
		return err
	}
	return atomicfile.SyncDir(filepath.Dir(to))
}
