package configs

import "strings"

// sameElsewhere finds where a key that stands in the wrong section belongs.
func sameElsewhere(name string) string {
	found := ""
	for _, f := range table().leaves {
		if f.name == name {
			if found != "" {
				return ""
			}
			found = f.path
		}
	}
	return found
}

// unknownKey explains a key that no field has: what it is called here, where it
// belongs, what it may be a misspelling of, or what there is. meant is the path
// of the key that is surely meant, or "".
func unknownKey(path string, in *field) (problem, meant string) {
	name := lastPart(path)
	if f := table().byPath[path]; f != nil {
		nested := strings.ReplaceAll(path, ".", ": {") + ": ..." + strings.Repeat("}", strings.Count(path, "."))
		return "unknown key, want it nested: " + nested, path
	}
	if s := ours(path, name); s != "" {
		return "unknown key, want " + s, s
	}
	shown, meant := misspelt(name, in)
	why := family(name)
	if sure := 1 + min(1, len(name)/8); meant != "" && (why == "" || edits(strings.ToLower(name), lastPart(meant), sure+1) <= sure) {
		return "unknown key; did you mean " + shown + "?", meant
	}
	if why != "" {
		return "unknown key, want it left out (" + why + ")", ""
	}
	known := names(in.keys)
	if in == table().root {
		known = append([]string{"recipe"}, known...)
	}
	return "unknown key, want one of: " + strings.Join(known, ", "), ""
}

// ours is the name here of another trainer's key, or where a key of ours that
// stands in the wrong section belongs.
func ours(path, name string) string {
	for _, n := range []string{strings.ToLower(path), strings.ToLower(name)} {
		s, ok := foreign[n]
		switch {
		case !ok:
		case table().byPath[s] != nil || !strings.Contains(s, " "):
			return s
		default:
			return "it left out (" + s + ")"
		}
	}
	return sameElsewhere(strings.ToLower(name))
}

// misspelt is the key that name is likely to be a misspelling of: one of a
// section's own, else one of another section's. shown is how it is written there.
func misspelt(name string, in *field) (shown, path string) {
	if near := closest(name, names(in.keys)); near != "" {
		return near, join(in.path, near)
	}
	var all []string
	for _, f := range table().leaves {
		all = append(all, f.name)
	}
	if near := closest(name, all); near != "" {
		path = sameElsewhere(near)
	}
	return path, path
}

// family is why a key of another trainer has no counterpart, or "".
func family(name string) string {
	low := strings.ToLower(name)
	for _, f := range families {
		for part := range strings.FieldsSeq(f.names) {
			if strings.HasPrefix(low, part) || part[0] == '_' && strings.HasSuffix(low, part) {
				return f.why
			}
		}
	}
	return ""
}

// nearest suggests the known value that was most likely meant.
func nearest(got string, known []string) string {
	low := strings.ToLower(got)
	if v, ok := values[low]; ok {
		for _, k := range known {
			if k == v {
				return "; did you mean " + v + "?"
			}
		}
	}
	if c := closest(low, known); c != "" {
		return "; did you mean " + c + "?"
	}
	return ""
}

// closest returns the word that is few edits away from got, or "". The fewest
// edits win, then the first in the list.
func closest(got string, words []string) string {
	const most = 64
	if len(got) < 2 || len(got) > most {
		return ""
	}
	best, at := "", 1+max(1, len(got)/3)
	for _, w := range words {
		if d := edits(strings.ToLower(got), w, at); d < at {
			best, at = w, d
		}
	}
	return best
}

// edits is the optimal string alignment distance (insertions, deletions,
// substitutions and swaps of neighbours), or limit when it is no smaller.
func edits(a, b string, limit int) int {
	if abs(len(a)-len(b)) >= limit {
		return limit
	}
	before, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, prev, row = prev, row, before
	}
	return min(prev[len(b)], limit)
}

func abs(x int) int {
	if x < 0 {
		return -x
	}
	return x
}

// Elsewhere says what there is instead of a key of another trainer: a key of ours, or a sentence; "": it is not known.
func Elsewhere(name string) string {
	if s, ok := foreign[strings.ToLower(name)]; ok {
		if table().byPath[s] != nil {
			return "here " + s + " is what comes near it"
		}
		return s
	}
	return family(name)
}
