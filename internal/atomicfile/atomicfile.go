// Package atomicfile writes files that are either whole or absent: the content
// goes to a temporary file in the same folder, is flushed to the disk, and
// takes its name by a rename; then the folder is flushed too, so that the name
// survives a power cut.
package atomicfile

import (
	"bufio"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Write creates or replaces the file at path with what write produces. On any
// error, the file at path is as it was before.
func Write(path string, write func(w io.Writer) error) error { return WriteChecked(path, write, nil) }

// WriteChecked is [Write] for a file that is looked at before it takes its name: check, which
// may be nil, is told where its content lies until then.
func WriteChecked(path string, write func(w io.Writer) error, check func(temp string) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".tmp-*")
	if err != nil {
		return named(err, "", path)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
			err = named(err, f.Name(), path)
		}
	}()
	buf := bufio.NewWriterSize(f, 1<<20)
	if err = write(buf); err != nil {
		return err
	}
	if err = buf.Flush(); err != nil {
		return err
	}
	if err = f.Chmod(0o644); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if check != nil {
		if err = check(f.Name()); err != nil {
			return err
		}
	}
	if info, stat := os.Lstat(path); stat == nil && info.IsDir() {
		return &fs.PathError{Op: "write", Path: path, Err: syscall.EISDIR} // a rename would say that it exists
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// named is an error of the temporary file, or with "" of its making, as one of the file that it was to become.
func named(err error, temp, path string) error {
	switch e := err.(type) {
	case *fs.PathError:
		if temp == "" || e.Path == temp {
			return &fs.PathError{Op: "write", Path: path, Err: e.Err}
		}
	case *os.LinkError:
		return &fs.PathError{Op: "write", Path: path, Err: e.Err}
	}
	return err
}

// WriteBytes is [Write] for content that is at hand.
func WriteBytes(path string, data []byte) error {
	return Write(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// Clean removes what writes into dir have left that a crash cut off: those of the
// files of these names, or without any name all. Nobody may be writing there.
func Clean(dir string, names ...string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		hidden, digits, ok := strings.Cut(e.Name(), ".tmp-")
		name, dot := strings.CutPrefix(hidden, ".")
		ours := len(names) == 0 || slices.Contains(names, name)
		if ok && dot && ours && digits != "" && strings.Trim(digits, "0123456789") == "" && e.Type().IsRegular() {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// SyncDir flushes a folder's entries to the disk.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
