package atomicfile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
)

func TestCleanRemovesWhatACrashCutOff(t *testing.T) {
	files := []string{".run.json.tmp-12", ".other.json.tmp-3", ".run.json.tmp-x", "run.json.tmp-1", ".run.json", "run.json"}
	for name, test := range map[string]struct{ names, left []string }{
		"of every file": {nil, []string{".run.json", ".run.json.tmp-x", "run.json", "run.json.tmp-1"}},
		"of the files that I name": {
			[]string{"run.json"}, []string{".other.json.tmp-3", ".run.json", ".run.json.tmp-x", "run.json", "run.json.tmp-1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for _, name := range files {
				if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if err := Clean(dir, test.names...); err != nil {
				t.Fatal(err)
			}
			entries, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			var left []string
			for _, e := range entries {
				left = append(left, e.Name())
			}
			if !slices.Equal(left, test.left) {
				t.Errorf("left %v, want %v", left, test.left)
			}
		})
	}
}

func TestErrorsNameTheFileAndNotTheTemporaryOne(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "folder", "full"), 0o755); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{"nowhere/a.json": fs.ErrNotExist, "folder": syscall.EISDIR} {
		path = filepath.Join(dir, path)
		err := WriteBytes(path, []byte("text"))
		var p *fs.PathError
		if !errors.As(err, &p) || p.Path != path || !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v of that path", path, err, want)
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestAFileThatFailsItsCheckIsNotThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	text := func(w io.Writer) error {
		_, err := io.WriteString(w, "text")
		return err
	}
	wrong := errors.New("wrong")
	for _, want := range []error{wrong, nil} {
		err := WriteChecked(path, text, func(temp string) error {
			if raw, err := os.ReadFile(temp); string(raw) != "text" || temp == path {
				t.Errorf("%q in %s (%v), want all of it, under another name", raw, temp, err)
			}
			return want
		})
		entries, _ := os.ReadDir(filepath.Dir(path))
		if err != want || (len(entries) == 1) != (want == nil) {
			t.Errorf("error %v, want %v; %d files", err, want, len(entries))
		}
	}
}
