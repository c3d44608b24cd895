package checkpoints

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lwtrain/internal/fault"
	"lwtrain/internal/fault/faulttest"
)

// content makes a small checkpoint whose bytes follow from text.
func content(text string) func(dir string) error {
	return func(dir string) error {
		if err := os.Mkdir(filepath.Join(dir, "state"), 0o755); err != nil {
			return err
		}
		data := make([]float32, 1000)
		for i := range data {
			data[i] = float32(i * len(text))
		}
		return errors.Join(
			writeWeights(dir, "F32", []Tensor{{"a", []int{1000}, data}}, 0, nil),
			os.WriteFile(filepath.Join(dir, "config.json"), []byte(text), 0o644),
			os.WriteFile(filepath.Join(dir, "state", "trainer.json"), []byte("{}"), 0o644),
		)
	}
}

func save(t *testing.T, root string, step int) string {
	t.Helper()
	path, err := saveNow(disk{}, root, step, content(fmt.Sprint("step ", step)))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func latest(t *testing.T, root string) Found {
	t.Helper()
	found, err := Latest(root, 0)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// tree is the content of a folder by name, to see that nothing has changed.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := make(map[string]string)
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		if info.IsDir() {
			out[path] = "folder"
			return nil
		}
		data, err := os.ReadFile(path)
		out[path] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func names(t *testing.T, root string) []string {
	t.Helper()
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	out := []string{}
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestTheNewestCheckpointIsFound(t *testing.T) {
	root := filepath.Join(t.TempDir(), "runs", "x", "checkpoints")
	if found := latest(t, root); found.Path != "" || found.Broken != nil {
		t.Errorf("in a root that does not exist: %+v", found)
	}
	for _, step := range []int{400, 50, 1000000, 800} {
		path := save(t, root, step)
		if err := whole(path); err != nil {
			t.Error(err)
		}
		if want := filepath.Join(root, fmt.Sprintf("step-%06d", step)); path != want {
			t.Errorf("saved as %s, want %s", path, want)
		}
	}
	found := latest(t, root)
	if found.Step != 1000000 || found.Path != filepath.Join(root, "step-1000000") || found.Broken != nil {
		t.Errorf("found %+v", found)
	}
	list, err := List(root)
	if err != nil || len(list) != 4 || list[0].Step != 50 || list[3].Step != 1000000 {
		t.Errorf("list is %v, %v", list, err)
	}
	w, err := OpenWeights(found.Path)
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
}

func TestTheManifestIsAsDocumented(t *testing.T) {
	abc := func(dir string) error { return os.WriteFile(filepath.Join(dir, "a"), []byte("abc"), 0o644) }
	path, err := saveNow(disk{}, t.TempDir(), 7, abc)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
  "format": "lwtrain checkpoint",
  "version": 1,
  "step": 7,
  "files": [
    {
      "name": "a",
      "size": 3,
      "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    }
  ]
}
`
	if have := string(readFile(t, filepath.Join(path, manifestFile))); have != want {
		t.Errorf("manifest is\n%s", have)
	}
}

func TestEveryKindOfDamageIsNamedAndPassedOver(t *testing.T) {
	t.Parallel()
	write := func(name, text string) func(string) error {
		return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644) }
	}
	remove := func(name string) func(string) error {
		return func(dir string) error { return os.Remove(filepath.Join(dir, name)) }
	}
	manifest := func(old, new string) func(string) error {
		return func(dir string) error {
			path := filepath.Join(dir, manifestFile)
			data, err := os.ReadFile(path)
			if err == nil && !bytes.Contains(data, []byte(old)) {
				err = fmt.Errorf("the manifest does not hold %s", old)
			}
			return errors.Join(err, os.WriteFile(path, bytes.Replace(data, []byte(old), []byte(new), 1), 0o644))
		}
	}
	for _, c := range []struct {
		name, want string
		damage     func(dir string) error
	}{
		{"a file that is missing", "model.safetensors: the file is missing", remove(singleFile)},
		{"a file in a folder that is missing", "state/trainer.json: the file is missing", remove("state/trainer.json")},
		{"a file cut short", "model.safetensors: 4000 bytes, want 4104",
			func(dir string) error { return os.Truncate(filepath.Join(dir, singleFile), 4000) }},
		{"a flipped bit", "config.json: sha-256 is 5ba6aa3ebd28a32a2b6c4fbfbe1c4fb0e73b79b8a3b5d0f4a9f6ef0a9d9de8ff, want 0",
			write("config.json", "step 801")},
		{"no manifest", "manifest.json: the file is missing: this save was never completed", remove(manifestFile)},
		{"an empty manifest", "manifest.json: the file is cut short or was never complete", write(manifestFile, "")},
		{"a manifest cut short", "manifest.json: the file is cut short or was never complete",
			func(dir string) error { return os.Truncate(filepath.Join(dir, manifestFile), 200) }},
		{"something behind the manifest", "manifest.json: something follows the json object", manifest("\n}\n", "\n}\n{}")},
		{"a manifest of another program", `manifest.json: format is "x", want "lwtrain checkpoint"`, manifest("lwtrain checkpoint", "x")},
		{"a manifest of a later version", "manifest.json: version is 2, want 1", manifest(`"version": 1`, `"version": 2`)},
		{"a manifest with an unknown key", `manifest.json: unknown key "stop"`, manifest(`"step"`, `"stop"`)},
		{"a step that is not the folder's", "manifest.json: step is 400, want 800 as the folder's name says", manifest("800", "400")},
		{"a step below zero", "manifest.json: step is -1, want 0 or more", manifest("800", "-1")},
		{"a manifest that leads upwards", `manifest.json: lists "../../config.json", want a file of this folder`,
			manifest("config.json", "../../config.json")},
		{"a manifest that leads away", `manifest.json: lists "/etc/passwd", want a file of this folder`,
			manifest("config.json", "/etc/passwd")},
		{"a manifest that lists itself", `manifest.json: lists "manifest.json", want a file of this folder`,
			manifest("config.json", "manifest.json")},
		{"a manifest that lists a file twice", `manifest.json: lists "config.json" behind "config.json", want the order of the names`,
			manifest(singleFile, "config.json")},
		{"a manifest with a size below zero", "manifest.json: config.json has the size -8 and the sha-256 ",
			manifest(`"size": 8`, `"size": -8`)},
		{"a manifest without files", "manifest.json: lists no files",
			write(manifestFile, `{"format":"lwtrain checkpoint","version":1,"step":800,"files":[]}`)},
		{"a folder where a file should be", "config.json: not a regular file", func(dir string) error {
			return errors.Join(remove("config.json")(dir), os.Mkdir(filepath.Join(dir, "config.json"), 0o755))
		}},
		{"a file that cannot be read", "config.json: too many levels of symbolic links", func(dir string) error {
			return errors.Join(remove("config.json")(dir), os.Symlink("config.json", filepath.Join(dir, "config.json")))
		}},
		{"a pipe in place of a file", "config.json: not a regular file", func(dir string) error {
			return errors.Join(remove("config.json")(dir), os.Symlink(os.DevNull, filepath.Join(dir, "config.json")))
		}},
		{"a file in place of the folder", "not a folder", func(dir string) error {
			return errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o644))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			good, bad := save(t, root, 400), save(t, root, 800)
			if err := c.damage(bad); err != nil {
				t.Fatal(err)
			}
			found := latest(t, root)
			if found.Path != good || found.Step != 400 {
				t.Errorf("found %+v, want %s", found.Checkpoint, good)
			}
			if len(found.Broken) != 1 || found.Broken[0].Path != bad {
				t.Fatalf("broken: %v", found.Broken)
			}
			have := found.Broken[0].Reason.Error()
			if before, _, hashes := strings.Cut(c.want, "sha-256 is"); hashes {
				if !strings.HasPrefix(have, before+"sha-256 is ") || !strings.Contains(have, ", want ") {
					t.Errorf("reason is %q", have)
				}
			} else if have != c.want && !(strings.HasSuffix(c.want, "sha-256 ") && strings.HasPrefix(have, c.want)) {
				t.Errorf("reason is %q, want %q", have, c.want)
			}
			if err := whole(bad); err == nil || err.Error() != bad+"/"+have {
				t.Errorf("Files says %v", err)
			}
			// The way on: training reaches the step again, and saves it again.
			if path := save(t, root, 800); path != bad || whole(path) != nil {
				t.Errorf("saved again as %s: %v", path, whole(path))
			}
			if have := names(t, root); !slices.Equal(have, []string{"step-000400", "step-000800"}) {
				t.Errorf("left: %v", have)
			}
		})
	}
}

func TestAnyFlippedBitIsFound(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	path := save(t, root, 1)
	want, err := readManifest(path)
	if err != nil {
		t.Fatal(err)
	}
	harmless := 0
	for _, name := range []string{manifestFile, "config.json", "state/trainer.json"} {
		file := filepath.Join(path, name)
		data := readFile(t, file)
		for bit := range 8 * len(data) {
			flipped := bytes.Clone(data)
			flipped[bit/8] ^= 1 << (bit % 8)
			if name == manifestFile {
				m, err := parseManifest(flipped)
				if err != nil {
					continue
				}
				if m.Step == want.Step && slices.EqualFunc(m.Files, want.Files, func(a, b File) bool {
					return a.Name == b.Name && a.Size == b.Size && strings.EqualFold(a.SHA256, b.SHA256)
				}) {
					harmless++ // the case of a letter in a key or a hash
					continue
				}
			}
			if err := os.WriteFile(file, flipped, 0o644); err != nil {
				t.Fatal(err)
			}
			if whole(path) == nil {
				t.Fatalf("bit %d of %s is missed", bit, name)
			}
		}
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if harmless > 300 {
		t.Errorf("%d flips in the manifest are taken as harmless", harmless)
	}
}

func TestSavingAStepAgain(t *testing.T) {
	root := t.TempDir()
	path := save(t, root, 5)
	before := tree(t, root)
	if again := save(t, root, 5); again != path {
		t.Errorf("the same content is saved as %s", again)
	}
	_, err := saveNow(disk{}, root, 5, content("other"))
	faulttest.Want(t, err, root, "DIR/step-000005: a complete checkpoint of this step with other content, want none")
	if fault.HintOf(err) == "" {
		t.Error("no hint")
	}
	if after := tree(t, root); !mapsEqual(before, after) {
		t.Errorf("changed from %v to %v", before, after)
	}
}

func mapsEqual(a, b map[string]string) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return bytes.Equal(x, y)
}

func TestAFailedSaveChangesNothing(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	for _, c := range []struct {
		name, want string
		step       int
		write      func(dir string) error
	}{
		{"an error in the middle of writing", "boom", 9, func(dir string) error { return errors.Join(content("x")(dir), boom) }},
		{"nothing written", "DIR/TEMP: no files, want a checkpoint", 9, func(dir string) error { return nil }},
		{"a manifest written by hand", "DIR/TEMP/manifest.json: the name is taken, want a folder without it", 9, func(dir string) error {
			return os.WriteFile(filepath.Join(dir, manifestFile), nil, 0o644)
		}},
		{"a link to elsewhere", "DIR/TEMP/link: not a regular file", 9, func(dir string) error {
			return errors.Join(content("x")(dir), os.Symlink("config.json", filepath.Join(dir, "link")))
		}},
		{"a step below zero", "step is -1, want 0 or more", -1, content("x")},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			save(t, root, 8)
			before := tree(t, root)
			var temp string
			path, err := saveNow(disk{}, root, c.step, func(dir string) error {
				temp = dir
				return c.write(dir)
			})
			if path != "" {
				t.Errorf("path is %s", path)
			}
			faulttest.Want(t, err, root, strings.ReplaceAll(c.want, "TEMP", filepath.Base(temp)))
			if after := tree(t, root); !mapsEqual(before, after) {
				t.Errorf("changed from %v to %v", before, after)
			}
		})
	}
	t.Run("a panic", func(t *testing.T) {
		root := t.TempDir()
		defer func() {
			if recover() == nil || len(names(t, root)) != 0 {
				t.Errorf("left: %v", names(t, root))
			}
		}()
		saveNow(disk{}, root, 1, func(string) error { panic("boom") })
	})
}

// TestEveryStepOfASaveMayFail lets each change to the disk fail in turn, with
// the folder left as a crash would leave it, or cleaned up.
func TestEveryStepOfASaveMayFail(t *testing.T) {
	t.Parallel()
	injected := errors.New("injected")
	for _, broken := range []bool{false, true} { // is there a broken step to be replaced
		for n := 0; ; n++ {
			root := t.TempDir()
			save(t, root, 1)
			if broken {
				if err := os.Remove(filepath.Join(save(t, root, 2), singleFile)); err != nil {
					t.Fatal(err)
				}
			}
			before := tree(t, filepath.Join(root, "step-000001"))
			calls := 0
			d := disk{before: func(op, path string) error {
				if calls++; calls > n {
					return fmt.Errorf("%s %s: %w", op, path, injected)
				}
				return nil
			}}
			_, err := saveNow(d, root, 2, content("step 2"))
			if after := tree(t, filepath.Join(root, "step-000001")); !mapsEqual(before, after) {
				t.Fatalf("failure at change %d touched the checkpoint before", n)
			}
			for _, name := range names(t, root) {
				if strings.HasPrefix(name, ".") {
					t.Fatalf("failure at change %d left %s", n, name)
				}
			}
			if err == nil {
				if n < 8 {
					t.Errorf("only %d changes were tried", n)
				}
				break
			}
			if !errors.Is(err, injected) {
				t.Fatal(err)
			}
			found := latest(t, root)
			if found.Path == "" || found.Step == 2 && whole(found.Path) != nil {
				t.Fatalf("failure at change %d: found %+v", n, found)
			}
			save(t, root, 2)
			if found := latest(t, root); found.Step != 2 || found.Broken != nil {
				t.Fatalf("after failure at change %d, saved again: %+v", n, found)
			}
		}
	}
}

func TestLeftoversAreRemovedButNothingElse(t *testing.T) {
	root := t.TempDir()
	kept := []string{".tmp-step-", ".tmp-step-mine", "tmp-step-1", "notes", "step-1", "step-abc", ".hidden"}
	for _, name := range append([]string{".tmp-step-000400-17"}, kept...) {
		if err := os.MkdirAll(filepath.Join(root, name, "x"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, ".tmp-step-5"), nil, 0o644); err != nil { // a file, so not ours
		t.Fatal(err)
	}
	found := latest(t, root)
	if len(found.Broken) != 1 || found.Broken[0].Reason.Error() != "a save that was interrupted, or is still going on" {
		t.Errorf("broken: %v", found.Broken)
	}
	save(t, root, 3)
	want := append([]string{"step-000003", ".tmp-step-5"}, kept...)
	slices.Sort(want)
	if have := names(t, root); !slices.Equal(have, want) {
		t.Errorf("left %v, want %v", have, want)
	}
}

func TestPruneKeepsTheNewestGoodOnes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		broken     []int // of steps 1 to 6
		keep, best int
		want       string
	}{
		{"fewer than are kept", nil, 9, -1, "1 2 3 4 5 6"},
		{"as many as are kept", nil, 6, -1, "1 2 3 4 5 6"},
		{"three of six", nil, 3, -1, "4 5 6"},
		{"the newest only", nil, 1, -1, "6"},
		{"a broken one between does not count", []int{5}, 3, -1, "3 4 5 6"},
		{"old broken ones go", []int{1, 2}, 3, -1, "4 5 6"},
		{"the newest is broken: the last good one stays", []int{6}, 1, -1, "5 6"},
		{"only one is good", []int{2, 3, 4, 5, 6}, 1, -1, "1 2 3 4 5 6"},
		{"too few are good: nothing goes", []int{4, 5, 6}, 4, -1, "1 2 3 4 5 6"},
		{"none is good: nothing goes", []int{1, 2, 3, 4, 5, 6}, 1, -1, "1 2 3 4 5 6"},
		{"the best one stays as well", nil, 2, 3, "3 5 6"},
		{"the best is among the newest", nil, 2, 5, "5 6"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			for step := 1; step <= 6; step++ {
				path := save(t, root, step)
				if slices.Contains(c.broken, step) {
					if err := os.WriteFile(filepath.Join(path, "config.json"), []byte("damaged"), 0o644); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := Prune(root, c.keep, c.best); err != nil {
				t.Fatal(err)
			}
			if have := strings.ReplaceAll(strings.Join(names(t, root), " "), "step-00000", ""); have != c.want {
				t.Errorf("left %s, want %s", have, c.want)
			}
		})
	}
	faulttest.Want(t, Prune(t.TempDir(), 0, -1), "DIR", "0 checkpoints to keep, want at least 1")
	if err := Prune(filepath.Join(t.TempDir(), "none"), 1, -1); err != nil {
		t.Error(err)
	}
}

func TestAPruneThatFailsLeavesNoBrokenCheckpoint(t *testing.T) {
	root := t.TempDir()
	for step := range 3 {
		save(t, root, step)
	}
	d := disk{before: func(op, path string) error {
		if op == "rename" && strings.Contains(path, "000001") {
			return errors.New("injected")
		}
		return nil
	}}
	if err := d.prune(root, 1, -1); err == nil || err.Error() != "injected" {
		t.Error(err)
	}
	list, err := List(root)
	if found := latest(t, root); found.Step != 2 || found.Broken != nil || err != nil || len(list) != 2 {
		t.Errorf("found %+v, left %v, %v", found, list, err)
	}
}

// whole is nil for a checkpoint that is as it was saved.
func whole(dir string) error {
	_, err := Files(dir)
	return err
}
