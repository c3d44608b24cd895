package hub

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzNames reads names and lists of files of any form: what passes stays below the
// folder that it is put in.
func FuzzNames(f *testing.F) {
	for _, s := range []string{"owner/name", "datasets/0/0", "hf://datasets/owner/name@refs/convert/parquet/x/*.jsonl", "hf://o/n@a%2Fb/c",
		"../../x", "/etc/passwd", `a\b`, "hf://o/n@..%2F..%2Fx"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, kind := range []Kind{Model, Dataset} {
			r, err := Parse(kind, text)
			if err != nil {
				continue
			}
			if again, err := Parse(kind, r.String()); err != nil || again != r {
				t.Fatalf("%q is read as %+v, and %q as %+v, %v", text, r, r, again, err)
			}
			c, dir := Client{Cache: "/cache"}, "/cache/"+r.folder()
			for path, root := range map[string]string{
				filepath.Join(c.Cache, r.folder()):                                                   dir,
				filepath.Join(c.Cache, r.folder(), "refs", filepath.FromSlash(r.Revision)):           dir + "/refs/",
				filepath.Join(c.Cache, r.folder(), "snapshots", "x/"+filepath.FromSlash(r.Path)+"y"): dir + "/snapshots/x/",
			} {
				if !strings.HasPrefix(path, root) || strings.Count(r.folder(), "/") > 0 {
					t.Fatalf("%q leads to %s", text, path)
				}
			}
		}
		files := []File{{Path: text, Size: 1, blob: text}}
		if check(Ref{}, files) == nil {
			if at := filepath.Join("/snapshot", text); !strings.HasPrefix(at, "/snapshot/") || strings.Contains(files[0].blob, "/") {
				t.Fatalf("a file %q is put at %s", text, at)
			}
		}
		var kept tree
		if json.Unmarshal([]byte(text), &kept) == nil {
			for path, said := range kept.Files {
				check(Ref{}, []File{newFile(path, said)})
			}
		}
	})
}
