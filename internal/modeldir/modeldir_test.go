package modeldir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestRead(t *testing.T) {
	root := t.TempDir()
	write := func(path, text string) {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	link := func(to, path string) {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, path); err != nil {
			t.Fatal(err)
		}
	}
	write("secret", "s")
	write("model/config.json", "c")
	write("model/large.json", strings.Repeat("x", 101))
	write("model/sub/a.json", "a")
	link("../../secret", "model/sub/leak")
	link("..", "model/away")
	link("sub/a.json", "model/inside.json")
	link("../secret", "model/outside.json")
	link("inside-out", "model/chain.json")
	link("../secret", "model/inside-out")
	link("model", "linked")
	link("nowhere", "model/dangling.json")
	write("hub/models--a--b/blobs/123", "blob")
	link("../../blobs/123", "hub/models--a--b/snapshots/f00/config.json")
	link("../../../../secret", "hub/models--a--b/snapshots/f00/leak.json")
	if err := syscall.Mkfifo(filepath.Join(root, "model/pipe.json"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ dir, file, want, err string }{
		"a file":                             {"model", "config.json", "c", ""},
		"a link within the folder":           {"model", "inside.json", "a", ""},
		"a folder that is a link":            {"linked", "config.json", "c", ""},
		"a snapshot of the cache":            {"hub/models--a--b/snapshots/f00", "config.json", "blob", ""},
		"a link out of the folder":           {"model", "outside.json", "", "want a file of the folder itself"},
		"a link to a link out of it":         {"model", "chain.json", "", "want a file of the folder itself"},
		"a link out of the cache":            {"hub/models--a--b/snapshots/f00", "leak.json", "", "want a file of the folder itself"},
		"a name that leads out":              {"model", "../secret", "", "want the name of a file below the folder"},
		"a file of a folder in it":           {"model", "sub/a.json", "a", ""},
		"a name that is not clean":           {"model", "sub/../config.json", "", "want the name of a file below the folder"},
		"a link in a folder that leads out":  {"model", "sub/leak", "", "want a file of the folder itself"},
		"a folder that is a link to outside": {"model", "away/secret", "", "want a file of the folder itself"},
		"an absolute name":                   {"model", "/etc/passwd", "", "want the name of a file below the folder"},
		"the folder itself":                  {"model", ".", "", "not a regular file"},
		"the folder above":                   {"model", "..", "", "want the name of a file below the folder"},
		"a folder":                           {"model", "sub", "", "not a regular file"},
		"a pipe, which would never open":     {"model", "pipe.json", "", "not a regular file"},
		"a file too large":                   {"model", "large.json", "", "101 bytes, want at most 100"},
		"a file that is not there":           {"model", "none.json", "", "no such file"},
		"a link to nothing":                  {"model", "dangling.json", "", "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Read(filepath.Join(root, c.dir), c.file, 100)
			if string(got) != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("got %q and %v, want %q and an error with %q", got, err, c.want, c.err)
			}
			if missing := c.err == "no such file"; errors.Is(err, fs.ErrNotExist) != missing {
				t.Errorf("%v: is it a missing file? want %v", err, missing)
			}
		})
	}
}
