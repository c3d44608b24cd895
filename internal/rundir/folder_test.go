package rundir

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lwtrain/internal/fault"
)

func TestAFolderIsKnownByWhatItIsNotByItsPath(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(t *testing.T, path string)
		moved  bool
		now    string // its last element
	}{
		{"nothing happened", func(*testing.T, string) {}, false, ""},
		{"something was written in it", func(t *testing.T, path string) {
			must(t, os.WriteFile(filepath.Join(path, "x"), nil, 0o644))
		}, false, ""},
		{"it was moved away", func(t *testing.T, path string) { must(t, os.Rename(path, path+"2")) }, true, "run2"},
		{"another one took its place", func(t *testing.T, path string) {
			must(t, os.Rename(path, path+"2"), os.Mkdir(path, 0o755))
		}, true, "run2"},
		{"a link to it took its place", func(t *testing.T, path string) {
			must(t, os.Rename(path, path+"2"), os.Symlink(path+"2", path))
		}, false, ""},
		{"a file took its place", func(t *testing.T, path string) {
			must(t, os.Rename(path, path+"2"), os.WriteFile(path, nil, 0o644))
		}, true, "run2"},
		{"the folder above it was moved", func(t *testing.T, path string) {
			must(t, os.Rename(filepath.Dir(path), filepath.Dir(path)+"2"))
		}, true, "run"},
		{"it was removed", func(t *testing.T, path string) { must(t, os.Remove(path)) }, true, ""},
		{"it was removed and made again", func(t *testing.T, path string) {
			must(t, os.Remove(path), os.Mkdir(path, 0o755))
		}, true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "runs", "run")
			f, err := Enter(path)
			must(t, err)
			defer f.Close()
			c.change(t, path)
			err = f.Check()
			var moved MovedError
			if errors.As(err, &moved) != c.moved || !c.moved && err != nil {
				t.Fatalf("got %v", err)
			}
			now := moved.Now
			if now != "" {
				now = filepath.Base(now)
			}
			if c.moved && (moved.Path != path || now != c.now) {
				t.Errorf("got %+v, want it in %q", moved, c.now)
			}
		})
	}
}

func TestOneProcessIsInAFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run")
	f, err := Enter(path)
	must(t, err)
	if _, err := Enter(path); err == nil || !strings.Contains(err.Error(), "another process is at work") || !fault.IsUsage(err) {
		t.Errorf("got %v", err)
	}
	must(t, f.Close())
	f, err = Enter(path)
	must(t, err)
	must(t, f.Close())
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}
