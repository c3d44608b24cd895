package read

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
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
		return matches(at)
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
func below(dir string) (names, unlisted []string, err error) {
	listed := map[string]map[string]bool{} // by folder
	err = fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != "." && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case name != "." && isOwn(filepath.Join(dir, name)):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			saved, there, err := savedFiles(filepath.Join(dir, name))
			if there {
				listed[name] = map[string]bool{}
				for _, file := range saved {
					listed[name][file] = true
				}
			}
			return err
		case d.Type()&fs.ModeSymlink != 0 && isFolder(filepath.Join(dir, name)):
			return fault.Hint(fmt.Errorf("%s is a link to a folder, which is not followed, want its files", name),
				"name the folder that it leads to, too: path: [a, b]")
		}
		switch list, there := listed[path.Dir(name)]; {
		case !there || list[path.Base(name)]:
			names = append(names, name)
		case !noData(name):
			unlisted = append(unlisted, name)
		}
		if len(names)+len(unlisted) > maxFiles {
			return fmt.Errorf("more than %d files", maxFiles)
		}
		return nil
	})
	return names, unlisted, err
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func folder(dir string) (files []File, note string, err error) {
	split, note, err := savedSplit(dir)
	var names, unlisted []string
	if err == nil {
		names, unlisted, err = below(filepath.Join(dir, split))
	}
	if err == nil {
		var left string
		names, left, err = pick(names)
		note = joined(note, left, leftOut("not in the list of a saved dataset", unlisted))
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
func matches(pattern string) (files []File, note string, err error) {
	found, err := filepath.Glob(pattern)
	if strings.Contains(pattern, "**") && err == nil {
		found, err = deepGlob(pattern)
	}
	if err != nil {
		return nil, "", fault.Usage(fmt.Errorf("%s: %w", pattern, err))
	}
	var names, left []string
	for _, f := range found {
		switch info, err := os.Stat(f); {
		case err != nil || info.IsDir() || isOwn(f):
		case noData(f):
			left = append(left, filepath.Base(f))
		default:
			names, files = append(names, f), append(files, File{f, f})
		}
	}
	switch {
	case len(files) == 0 && len(left) > 0:
		return nil, "", fault.Usage(fault.Hint(fmt.Errorf("%s: no file of data matches, only %s", pattern, some(found)),
			"name the file itself, if it is meant"))
	case len(files) == 0 && strings.ContainsAny(pattern, "{}"):
		return nil, "", fault.Usage(fault.Hint(fmt.Errorf("%s: no file matches", pattern),
			"{a,b} is none of a glob: name a list of paths, path: [a, b]"))
	case len(files) == 0:
		return nil, "", fault.Usage(fault.Hint(fmt.Errorf("%s: no file matches", pattern), fault.Nearby(pattern)))
	}
	if err := missingParts(names, inTheirFolders(names)); err != nil {
		return nil, "", fault.Usage(fault.Hint(fmt.Errorf("%s: %w", pattern, err), fault.HintOf(err)))
	}
	return files, leftOut("no data by their names", left), nil
}

// deepGlob matches a pattern with ** in it against all that lies below its first folder.
func deepGlob(pattern string) (found []string, err error) {
	parts := strings.Split(filepath.ToSlash(filepath.Clean(pattern)), "/")
	fixed := slices.IndexFunc(parts, func(p string) bool { return strings.ContainsAny(p, "*?[") })
	root := filepath.FromSlash(strings.Join(parts[:fixed], "/"))
	if root == "" && fixed > 0 {
		root = "/"
	}
	names, _, err := below(cmp.Or(root, "."))
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

// pick is Pick with a note of the files that it left out, but for those that are no data by their names.
func pick(names []string) (picked []string, note string, err error) {
	var train, rest, other, foreign []string
	for _, name := range slices.Sorted(slices.Values(names)) {
		switch {
		case noData(name):
		case formatOf(name) == "":
			foreign = append(foreign, name)
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
		taken := map[string]bool{}
		for _, name := range picked {
			taken[name] = true
		}
		left := slices.DeleteFunc(all, func(name string) bool { return taken[name] })
		note = joined(leftOut("by their names", left), leftOut("in no format of data", foreign))
		return picked, note, missingParts(picked, names)
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

// leftOut says which files were left out and why, "" for none.
func leftOut(why string, names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "left out " + why + ": " + some(names)
}

// joined puts notes that say something one behind the other.
func joined(notes ...string) string {
	return strings.Join(slices.DeleteFunc(notes, func(note string) bool { return note == "" }), "; ")
}

// part is the name of a part of several, train-00001-of-00003.parquet; datasets may put a hash behind the numbers, which
// differs from part to part.
var part = regexp.MustCompile(`^(.*?)([0-9]{1,5})-of-([0-9]{1,5})(?:-[0-9a-f]{16})?(\..*)?$`)

// missingParts is the error of files that are parts of a series whose others are not among all that there are.
func missingParts(files, all []string) error {
	type series struct{ before, of, behind string }
	split := func(name string) (s series, number int, ok bool) {
		m := part.FindStringSubmatch(name)
		if m == nil || len(m[2]) != len(m[3]) {
			return s, 0, false
		}
		number, _ = strconv.Atoi(m[2])
		return series{m[1], m[3], m[4]}, number, true
	}
	there := map[series]map[int]bool{}
	for _, name := range files {
		if s, _, ok := split(name); ok {
			there[s] = map[int]bool{}
		}
	}
	for _, name := range all {
		if s, n, ok := split(name); ok && there[s] != nil {
			there[s][n] = true
		}
	}
	var missing []string
	for s, parts := range there {
		of, _ := strconv.Atoi(s.of)
		first, last := 0, of-1
		if parts[of] && !parts[0] { // numbered from 1
			first, last = 1, of
		}
		for n := first; n <= last; n++ {
			if !parts[n] {
				missing = append(missing, fmt.Sprintf("%s%0*d-of-%s%s", s.before, len(s.of), n, s.of, s.behind))
			}
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	return fault.Hint(fmt.Errorf("parts are missing: %s", some(missing)),
		"get them again; to train on those that are there, name them: paths: [a, b]")
}

// inTheirFolders lists all that lies in the folders of files.
func inTheirFolders(files []string) (all []string) {
	seen := map[string]bool{}
	for _, f := range files {
		dir := filepath.Dir(f)
		if !part.MatchString(f) || seen[dir] {
			continue
		}
		seen[dir] = true
		entries, _ := os.ReadDir(dir) // what could not be read is missing
		for _, e := range entries {
			all = append(all, strings.TrimSuffix(f, filepath.Base(f))+e.Name())
		}
	}
	return all
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
