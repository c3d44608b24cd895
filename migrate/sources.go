package migrate

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// source is an entry of data.sources: its keys in order, with their values as YAML.
type source struct {
	name, path string
	keys       []string // "format: alpaca"
}

func (s *source) add(key, value string) {
	if value != "" {
		s.keys = append(s.keys, key+": "+value)
	}
}

// columns names columns that are not called as usual.
func (s *source) columns(pairs ...string) {
	var out []string
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" && pairs[i+1] != pairs[i] {
			out = append(out, pairs[i]+": "+quote(pairs[i+1]))
		}
	}
	if out != nil {
		s.add("columns", "{"+strings.Join(out, ", ")+"}")
	}
}

// roles maps the names of roles in the file to ours.
func (s *source) roles(theirs map[string]string) {
	var out []string
	for _, name := range sorted(theirs) {
		if name != theirs[name] {
			out = append(out, quote(name)+": "+theirs[name])
		}
	}
	if out != nil {
		s.add("roles", "{"+strings.Join(out, ", ")+"}")
	}
}

func sorted(m map[string]string) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

var hubName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*$`)

// dataFile is how the names of files end that records are read from; no dataset of the hub is called so.
var dataFile = regexp.MustCompile(`\.(jsonl?|csv|tsv|parquet|arrow|txt)(\.gz|\.zst)?$`)

// dataset is where a dataset lies: a path that is there, or a name on the hub.
func (r *reader) dataset(name, revision string) string {
	if p, ok := r.found(name); ok {
		return p
	}
	if strings.Contains(name, "://") || !hubName.MatchString(name) || dataFile.MatchString(name) {
		return name
	}
	if revision != "" {
		revision = "@" + strings.ReplaceAll(revision, "/", "%2F")
	}
	return "hf://" + name + revision
}

// sources sets data.sources, or the list of what is held out.
func (r *reader) sources(ours, theirs string, list []source) {
	var out []string
	seen := map[string]int{}
	for _, s := range list {
		name := s.name
		if seen[name]++; seen[name] > 1 {
			name += "-" + strconv.Itoa(seen[name])
		}
		out = append(out, "{"+strings.Join(append([]string{"name: " + quote(name), "path: " + s.path}, s.keys...), ", ")+"}")
	}
	r.setFrom(ours, "["+strings.Join(out, ", ")+"]", theirs)
}

// named is a source with a name that follows from where it lies.
func named(path string) source {
	base := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	if strings.HasPrefix(path, "hf://") {
		base = filepath.Base(path)
		base, _, _ = strings.Cut(base, "@")
	}
	return source{name: base, path: quote(path)}
}

// quote writes text as YAML.
func quote(s string) string { return strconv.Quote(s) }

// least sets a key to the least of the numbers that it is told.
func (s *source) least(key string, n int) {
	for i, k := range s.keys {
		if said, ok := strings.CutPrefix(k, key+": "); ok {
			if before, err := strconv.Atoi(said); err == nil && n < before {
				s.keys[i] = key + ": " + strconv.Itoa(n)
			}
			return
		}
	}
	s.add(key, strconv.Itoa(n))
}

var part = regexp.MustCompile(`^train\[:(\d+)(%?)\]$`)

// split takes the part of a dataset that is meant. Others than that of training, and parts of it that are not the first of
// it, are said.
func (r *reader) split(key, name, of string, s *source) {
	said := name
	if key != "dataset_train_split" { // which is the key of it
		said = "split: " + name
	}
	switch m := part.FindStringSubmatch(name); {
	case name == "" || name == "train":
	case m != nil && m[2] == "%":
		n, _ := strconv.Atoi(m[1])
		s.add("fraction", decimal(float64(n)/100))
		r.notes = append(r.notes, Note{key, said, Differs, fmt.Sprintf("would have been the first %d %% of %s; here as many are "+
			"drawn by the seed", n, of)})
	case m != nil:
		n, _ := strconv.Atoi(m[1])
		s.least("samples", n)
		r.notes = append(r.notes, Note{key, said, Differs, fmt.Sprintf("would have been the first %s of %s; here as many are drawn "+
			"by the seed", m[1], of)})
	default:
		r.notes = append(r.notes, Note{key, said, Differs, fmt.Sprintf("would have been this part of %s; here a path names its "+
			"files (hf://owner/name/data/%s-*.parquet)", of, name)})
	}
}
