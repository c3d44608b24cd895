package hub

import (
	"fmt"
	"regexp"
	"strings"

	"lwtrain/internal/fault"
)

// Kind is what a repository of the hub holds.
type Kind string

// The kinds that are fetched.
const (
	Model   Kind = "model"
	Dataset Kind = "dataset"
)

// Scheme begins the name of a repository where a path could stand as well.
const Scheme = "hf://"

// HasScheme reports whether the text that stands for a path begins with [Scheme].
func HasScheme(text string) bool { return strings.HasPrefix(text, Scheme) }

// Ref names a repository of the hub, or files of it, at one of its revisions.
type Ref struct {
	Kind     Kind
	Repo     string // owner/name
	Revision string // a branch, a tag or a commit; main where nothing is said
	Path     string // a file, a folder or a glob in it; "": what is needed of all of it
}

// The hub's own rules for names: letters, digits, - _ and ., at most 96 of them,
// no .. or --, and none of - and . at the ends.
var partOfName = regexp.MustCompile(`^[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?$`)

func isRepo(name string) bool {
	owner, rest, ok := strings.Cut(name, "/")
	if owner == "datasets" || owner == "models" || owner == "spaces" { // of the hub itself
		return false
	}
	return ok && partOfName.MatchString(owner) && partOfName.MatchString(rest) &&
		!strings.Contains(name, "..") && !strings.Contains(name, "--") && !strings.HasSuffix(name, ".git")
}

// IsName reports whether text may name a repository without hf:// before it:
// owner/name, with a revision or without.
func IsName(text string) bool {
	name, _, _ := strings.Cut(text, "@")
	return isRepo(name)
}

// Parse reads owner/name, owner/name@revision and owner/name[@revision]/path, with
// hf:// before them or without. As in Hugging Face's own URLs the kind may come
// first (hf://datasets/owner/name), and must be the kind that is wanted. A slash in a
// revision is written %2F, but for those of the hub itself (refs/convert/parquet).
func Parse(kind Kind, text string) (Ref, error) {
	r := Ref{Kind: kind, Revision: "main"}
	wrong := func(what string) (Ref, error) {
		return r, fault.Usage(fault.Hint(fmt.Errorf("%s: %s, want %sowner/name, or %sowner/name@revision/file", text, what, Scheme, Scheme),
			"the page of a "+string(kind)+" on the hub begins with its name"))
	}
	rest := strings.TrimPrefix(text, Scheme)
	for _, k := range []Kind{Dataset, Model} {
		if after, ok := strings.CutPrefix(rest, string(k)+"s/"); ok {
			if k != kind {
				return wrong(fmt.Sprintf("the name of a %s", k))
			}
			rest = after
			break
		}
	}
	owner, rest, _ := strings.Cut(rest, "/")
	end := strings.IndexAny(rest, "@/")
	if end < 0 {
		end = len(rest)
	}
	r.Repo, rest = owner+"/"+rest[:end], rest[end:]
	if !isRepo(r.Repo) {
		return wrong("no name of a repository")
	}
	if after, ok := strings.CutPrefix(rest, "@"); ok {
		segments := 1
		if strings.HasPrefix(after, "refs/convert/") || strings.HasPrefix(after, "refs/pr/") {
			segments = 3
		}
		parts := strings.SplitN(after, "/", segments+1)
		r.Revision, rest = strings.Join(parts[:min(segments, len(parts))], "/"), ""
		if len(parts) > segments {
			rest = "/" + parts[segments]
		}
		r.Revision = strings.ReplaceAll(r.Revision, "%2F", "/")
		if r.Revision == "refs" || !isRevision(r.Revision) { // the hub's own have two names behind it
			return wrong(fmt.Sprintf("%q is no revision", r.Revision))
		}
	}
	r.Path = strings.Trim(rest, "/")
	if r.Path != "" && !isFileName(r.Path) {
		return wrong(fmt.Sprintf("%q is no file of a repository", r.Path))
	}
	return r, nil
}

// String is the name as [Parse] reads it.
func (r Ref) String() string {
	s := Scheme + r.Repo
	if r.Revision != "main" {
		revision := r.Revision
		if !strings.HasPrefix(revision, "refs/") {
			revision = strings.ReplaceAll(revision, "/", "%2F")
		}
		s += "@" + revision
	}
	if r.Path != "" {
		s += "/" + r.Path
	}
	return s
}

func (r Ref) at(path string) Ref {
	r.Path = path
	return r
}

// folder is the name of the repository's part of the cache.
func (r Ref) folder() string {
	return string(r.Kind) + "s--" + strings.ReplaceAll(r.Repo, "/", "--")
}

var (
	commitHash = regexp.MustCompile(`^[0-9a-f]{40}$`)
	blobHash   = regexp.MustCompile(`^(?:[0-9a-f]{40}|[0-9a-f]{64})$`)
)

// isRevision reports whether text may be the name of a branch, a tag or a
// commit. It becomes a file below refs/.
func isRevision(text string) bool { return isFileName(text) && !strings.ContainsAny(text, " ~^:?*[") }

// isFileName reports whether a name that a server or a person gives stays inside
// of the folder that it is put in: relative, without . and .., of sane length, in
// characters that can be shown.
func isFileName(name string) bool {
	if name == "" || len(name) > 1024 {
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "." || part == ".." || len(part) > 255 {
			return false
		}
	}
	return !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 || r == '\\' || r == '\ufffd' })
}
