package read

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"lwtrain/internal/fault"
)

// Expand lists the files that a path stands for: itself, those of a folder that
// [Pick] picks or that its own list names, or those that a glob matches, each in the
// order of their names. note says what else is there, or is "".
func Expand(at string) (files []File, note string, err error) {
	if strings.HasPrefix(at, Builtin) {
		return []File{{at, at}}, "", nil
	}
	info, err := os.Stat(at)
	switch {
	case err == nil && info.IsDir():
		return folder(at)
	case err != nil && strings.ContainsAny(at, "*?["):
		files, err = matches(at)
		return files, "", err
	case errors.Is(err, fs.ErrNotExist):
		return nil, "", notThere(at)
	case path.Base(at) == savedState || path.Base(at) == savedSplits:
		return nil, "", fault.Usage(fault.Hint(fmt.Errorf("%s: the list of a saved dataset, want its folder", at), "path: "+path.Dir(at)))
	}
	return []File{{at, at}}, "", nil
}

// maxFiles bounds the files of a folder.
const maxFiles = 100_000

// below lists what lies below a folder, by names from there; of folders of saved datasets what
// their lists name. Hidden folders are left out. A link to a folder is an error: it may lead
// anywhere, and what is in it would be missed.
func below(dir string) (names []string, err error) {
	listed := map[string][]string{} // by folder
	err = fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != "." && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			saved, there, err := savedFiles(filepath.Join(dir, name))
			if there {
				listed[name] = saved
			}
			return err
		case d.Type()&fs.ModeSymlink != 0 && isFolder(filepath.Join(dir, name)):
			return fault.Hint(fmt.Errorf("%s is a link to a folder, which is not followed, want its files", name),
				"name the folder that it leads to, too: path: [a, b]")
		}
		if list, there := listed[path.Dir(name)]; !there || slices.Contains(list, path.Base(name)) {
			names = append(names, name)
		}
		if len(names) > maxFiles {
			return fmt.Errorf("more than %d files", maxFiles)
		}
		return nil
	})
	return names, err
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func folder(dir string) (files []File, note string, err error) {
	split, note, err := savedSplit(dir)
	var names []string
	if err == nil {
		names, err = below(filepath.Join(dir, split))
	}
	if err == nil && split == "" {
		names, note, err = pick(names)
	} else if err == nil {
		names, _, err = pick(names)
	}
	if err != nil {
		return nil, "", fault.Usage(fault.Hint(fmt.Errorf("%s: %w", dir, err), fault.HintOf(err)))
	}
	for _, name := range names {
		p := filepath.Join(dir, split, filepath.FromSlash(name))
		files = append(files, File{p, p})
	}
	return files, note, nil
}

// matches lists the files that a glob matches, without those that are no data by their names.
// ** stands for folders in folders.
func matches(pattern string) (files []File, err error) {
	found, err := filepath.Glob(pattern)
	if strings.Contains(pattern, "**") && err == nil {
		found, err = deepGlob(pattern)
	}
	if err != nil {
		return nil, fault.Usage(fmt.Errorf("%s: %w", pattern, err))
	}
	left := 0
	for _, f := range found {
		switch info, err := os.Stat(f); {
		case err != nil || info.IsDir():
		case noData(f):
			left++
		default:
			files = append(files, File{f, f})
		}
	}
	switch {
	case len(files) == 0 && left > 0:
		return nil, fault.Usage(fault.Hint(fmt.Errorf("%s: no file of data matches, only %s", pattern, some(found)),
			"name the file itself, if it is meant"))
	case len(files) == 0 && strings.ContainsAny(pattern, "{}"):
		return nil, fault.Usage(fault.Hint(fmt.Errorf("%s: no file matches", pattern),
			"{a,b} is none of a glob: name a list of paths, path: [a, b]"))
	case len(files) == 0:
		return nil, fault.Usage(fault.Hint(fmt.Errorf("%s: no file matches", pattern), fault.Nearby(pattern)))
	}
	return files, nil
}

// deepGlob matches a pattern with ** in it against all that lies below its first folder.
func deepGlob(pattern string) (found []string, err error) {
	parts := strings.Split(filepath.ToSlash(filepath.Clean(pattern)), "/")
	fixed := slices.IndexFunc(parts, func(p string) bool { return strings.ContainsAny(p, "*?[") })
	root := filepath.FromSlash(strings.Join(parts[:fixed], "/"))
	if root == "" && fixed > 0 {
		root = "/"
	}
	names, err := below(cmp.Or(root, "."))
	for _, name := range names {
		if matchDeep(parts[fixed:], strings.Split(name, "/")) {
			found = append(found, filepath.Join(root, filepath.FromSlash(name)))
		}
	}
	return found, err
}

func matchDeep(pattern, name []string) bool {
	switch {
	case len(pattern) == 0:
		return len(name) == 0
	case pattern[0] == "**":
		return matchDeep(pattern[1:], name) || len(name) > 0 && matchDeep(pattern, name[1:])
	case len(name) == 0:
		return false
	}
	ok, _ := path.Match(pattern[0], name[0])
	return ok && matchDeep(pattern[1:], name[1:])
}

// Pick lists the files to train on among those of a folder or a dataset. As in
// Hugging Face's datasets, names tell the splits: if some speak of training, those;
// else all that do not speak of validation or test. Of several formats the one with
// the most files is taken.
func Pick(names []string) ([]string, error) {
	picked, _, err := pick(names)
	return picked, err
}

// pick is Pick with a note of the files of data that it left out.
func pick(names []string) (picked []string, note string, err error) {
	var train, rest, other []string
	for _, name := range slices.Sorted(slices.Values(names)) {
		switch {
		case formatOf(name) == "":
		case speaksOf(name, "train", "training"):
			train = append(train, name)
		case speaksOf(name, "validation", "valid", "val", "dev", "test", "testing", "eval", "evaluation"):
			other = append(other, name)
		default:
			rest = append(rest, name)
		}
	}
	all := slices.Concat(train, rest, other)
	if len(train) == 0 {
		train = rest
	}
	switch {
	case len(train) > 0:
		picked = oneFormat(train)
		if left := slices.DeleteFunc(all, func(name string) bool { return slices.Contains(picked, name) }); len(left) > 0 {
			note = "left out by their names: " + some(left)
		}
		return picked, note, nil
	case len(other) > 0:
		return nil, "", fault.Hint(fmt.Errorf("its files are for evaluation alone, by their names: %s", some(other)),
			"name the file that is meant")
	case slices.ContainsFunc(names, func(name string) bool { return strings.HasSuffix(name, ".py") }):
		return nil, "", fault.Hint(errors.New("a script makes this dataset, and there are no files of data"),
			"the hub may have made Parquet files of it: hf://owner/name@refs/convert/parquet")
	}
	return nil, "", fault.Hint(fmt.Errorf("no file of data among %s", some(names)),
		"want JSONL, JSON, CSV, Parquet or Arrow; the first three may be .gz or .zst")
}

func oneFormat(names []string) []string {
	count := map[string]int{}
	for _, name := range names {
		count[formatOf(name)]++
	}
	best := ""
	for _, format := range []string{".parquet", ".jsonl", ".json", ".arrow", ".csv", ".tsv"} {
		if count[format] > count[best] {
			best = format
		}
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return formatOf(name) != best })
}

// some names the first of many.
func some(names []string) string {
	const most = 6
	if len(names) == 0 {
		return "no files"
	}
	s := strings.Join(names[:min(most, len(names))], ", ")
	if n := len(names) - most; n > 0 {
		s += fmt.Sprintf(" and %d more", n)
	}
	return s
}
