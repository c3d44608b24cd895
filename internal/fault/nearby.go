package fault

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Nearby is the hint to a path that leads nowhere: where relative ones start, and what is
// there that looks alike.
func Nearby(path string) string {
	var said []string
	if !filepath.IsAbs(path) {
		from := "relative paths start at the folder that lwtrain runs in"
		if here, err := os.Getwd(); err == nil {
			from += " (" + here + ")"
		}
		said = append(said, from)
	}
	if found, in := alike(filepath.Clean(path)); found != "" {
		said = append(said, "there is "+found)
	} else if filepath.IsAbs(path) {
		said = append(said, in+" is there, and nothing in it looks alike")
	}
	return strings.Join(said, "; ")
}

// alike is a path that is there and may be meant: the same one below or above the folder, or one
// with a name like that of the first part which is not there; in is the folder of that part.
func alike(path string) (found, in string) {
	if !filepath.IsAbs(path) && !strings.ContainsAny(path, `*?[\`) {
		for _, pattern := range []string{filepath.Join("*", path), filepath.Join("*", "*", path), filepath.Join("..", path)} {
			if found, _ := filepath.Glob(pattern); len(found) > 0 {
				return found[0], ""
			}
		}
	}
	dir, rest := path, ""
	for {
		parent, name := filepath.Split(dir)
		parent = filepath.Clean(parent)
		if _, err := os.Stat(parent); err == nil {
			return likest(parent, name, rest), parent
		}
		if parent == dir {
			return "", dir
		}
		dir, rest = parent, filepath.Join(name, rest)
	}
}

// likest is what lies in dir with a name like the one given, and behind it the rest of the path if
// that is there.
func likest(dir, name, rest string) string {
	const most = 1000 // entries that are looked at
	f, err := os.Open(dir)
	if err != nil {
		return ""
	}
	defer f.Close()
	names, _ := f.Readdirnames(most)
	slices.Sort(names)
	stems := make([]string, len(names))
	for i, n := range names {
		stems[i] = stem(n)
	}
	i := slices.Index(stems, Likest(stem(name), stems))
	if i < 0 {
		return ""
	}
	found := filepath.Join(dir, names[i])
	if whole := filepath.Join(found, rest); rest != "" {
		if _, err := os.Stat(whole); err == nil {
			return whole
		}
	}
	return found
}

var ending = regexp.MustCompile(`(\.[A-Za-z]+[0-9]*)+$`)

// stem is a name without its endings, which files have in common that have nothing to do with each other.
func stem(name string) string {
	if s := ending.ReplaceAllString(name, ""); s != "" {
		return s
	}
	return name
}

// Likest is the one of some names that a name is most like, the first that begins with it before others; "": it is like none.
func Likest(name string, names []string) string {
	best, found := 0.5, ""
	for _, n := range names {
		s := likeness(n, name)
		if begin := letters(name); len(begin) > 3 && strings.HasPrefix(string(letters(n)), string(begin)) {
			s = 1
		}
		if s > best {
			best, found = s, n
		}
	}
	return found
}

// likeness is the share of two names that they begin and end with alike, letters and digits
// alone, in any case.
func likeness(a, b string) float64 {
	x, y := letters(a), letters(b)
	n := min(len(x), len(y))
	first := 0
	for first < n && x[first] == y[first] {
		first++
	}
	last := 0
	for last < n-first && x[len(x)-1-last] == y[len(y)-1-last] {
		last++
	}
	return float64(first+last) / float64(max(len(x), len(y), 1))
}

func letters(name string) []rune {
	return []rune(strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, name))
}
