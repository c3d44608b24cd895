package hub

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"lwtrain/internal/plainjson"
	"lwtrain/internal/transport"
)

// File is a file of a repository at one commit.
type File struct {
	Path string // with slashes
	Size int64
	blob string // name of its content in the cache: SHA-256 of large files, else git's SHA-1; "": not known
	said treeFile
}

type treeFile struct {
	Size    int64  `json:"size"`
	BlobID  string `json:"blob_id"`
	LFS     string `json:"lfs_sha256,omitempty"`
	LFSSize int64  `json:"lfs_size,omitempty"`
	Xet     string `json:"xet_hash,omitempty"`
}

// newFile is a file as a list says it.
func newFile(path string, said treeFile) File {
	f := File{path, said.Size, said.BlobID, said}
	if said.LFS != "" {
		f.Size, f.blob = said.LFSSize, said.LFS
	}
	return f
}

const (
	maxListing = 64 << 20 // bytes of what the hub says of a repository
	maxValues  = 2 << 20  // of JSON in it
	maxPages   = 1000
	maxFiles   = 200_000
	maxBytes   = 1 << 46 // 64 TiB, of one file
)

// resolve asks the hub for the commit of a revision.
func (c *Client) resolve(ctx context.Context, ref Ref) (string, error) {
	if commitHash.MatchString(ref.Revision) {
		return ref.Revision, nil
	}
	var info struct {
		SHA string `json:"sha"`
	}
	if _, err := c.ask(ctx, ref, c.api(ref, "revision", ref.Revision), &info); err != nil {
		return "", err
	}
	if !commitHash.MatchString(info.SHA) {
		return "", fmt.Errorf("%s: the hub names commit %q, want 40 hexadecimal digits; is HF_ENDPOINT (%s) a hub?",
			ref, info.SHA, c.Endpoint)
	}
	return info.SHA, nil
}

// list asks the hub for the files of a commit.
func (c *Client) list(ctx context.Context, ref Ref, commit string) ([]File, error) {
	var files []File
	next := c.api(ref, "tree", commit) + "?recursive=true&expand=false"
	for page := 0; next != ""; page++ {
		if page == maxPages {
			return nil, fmt.Errorf("%s: a list of files of more than %d pages", ref, maxPages)
		}
		var entries []struct {
			Type, Path, OID, XetHash string
			Size                     int64
			LFS                      *struct {
				OID  string
				Size int64
			}
		}
		link, err := c.ask(ctx, ref, next, &entries)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if e.Type != "file" {
				continue
			}
			said := treeFile{Size: e.Size, BlobID: e.OID, Xet: e.XetHash}
			if e.LFS != nil {
				said.LFS, said.LFSSize = e.LFS.OID, e.LFS.Size
			}
			files = append(files, newFile(e.Path, said))
		}
		if len(files) > maxFiles {
			return nil, fmt.Errorf("%s: more than %d files", ref, maxFiles)
		}
		next = link
	}
	return files, check(ref, files)
}

// check refuses a list that would lead out of the cache, or is none.
func check(ref Ref, files []File) error {
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	seen := map[string]bool{}
	for _, f := range files {
		switch {
		case !isFileName(f.Path):
			return fmt.Errorf("%s: the hub lists a file %q, want a plain relative name; nothing was fetched", ref, f.Path)
		case seen[f.Path]:
			return fmt.Errorf("%s: the hub lists %q twice", ref, f.Path)
		case f.Size < 0 || f.Size > maxBytes:
			return fmt.Errorf("%s: %q has %d bytes, by what the hub says", ref, f.Path, f.Size)
		case f.blob != "" && !blobHash.MatchString(f.blob):
			return fmt.Errorf("%s: the hub gives %q as hash of %q, want hexadecimal digits", ref, f.blob, f.Path)
		}
		seen[f.Path] = true
	}
	for _, f := range files {
		for dir, ok := above(f.Path); ok; dir, ok = above(dir) {
			if seen[dir] {
				return fmt.Errorf("%s: the hub lists %q as a file and as a folder", ref, dir)
			}
		}
	}
	return nil
}

func above(path string) (string, bool) {
	i := strings.LastIndexByte(path, '/')
	return path[:max(i, 0)], i > 0
}

// some names the first of many files.
func some(files []File) string {
	const most = 6
	var names []string
	for _, f := range files[:min(most, len(files))] {
		names = append(names, f.Path)
	}
	if len(files) == 0 {
		return "no files"
	}
	s := strings.Join(names, ", ")
	if n := len(files) - most; n > 0 {
		s += fmt.Sprintf(" and %d more", n)
	}
	return s
}

// api is the address of what the hub says of a repository.
func (c *Client) api(ref Ref, parts ...string) string {
	address := c.Endpoint + "/api/" + string(ref.Kind) + "s/" + ref.Repo
	for _, p := range parts {
		address += "/" + url.PathEscape(p)
	}
	return address
}

// ask reads an answer of the hub in JSON, and returns the address of its next
// page. Other hosts are not asked.
func (c *Client) ask(ctx context.Context, ref Ref, address string, into any) (next string, err error) {
	const times = 2 // without a network this is where it is known
	err = c.again(ctx, min(c.retry.Times, times), func() error {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		res, err := c.get(ctx, address, http.Header{"Accept": {"application/json"}}, nil)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return c.refused(ref, res)
		}
		body := transport.Watch(res.Body, cancel)
		defer body.Stop()
		raw, err := transport.ReadAll(ctx, body, maxListing)
		if err != nil {
			return fmt.Errorf("%s: %w", ref, err)
		}
		if err := plainjson.Decode(raw, maxValues, into); err != nil {
			return fmt.Errorf("%s: the answer of %s is not what a hub says: %w", ref, c.Endpoint, err)
		}
		next, err = c.nextPage(res.Header.Get("Link"))
		return err
	})
	return next, err
}

var linkNext = regexp.MustCompile(`<([^>]*)>\s*;\s*rel="?next"?`)

// nextPage reads the header Link.
func (c *Client) nextPage(link string) (string, error) {
	m := linkNext.FindStringSubmatch(link)
	if m == nil {
		return "", nil
	}
	home, err := url.Parse(c.Endpoint)
	if err != nil {
		return "", err
	}
	next, err := home.Parse(m[1])
	if err != nil || next.Host != home.Host || next.Scheme != home.Scheme {
		return "", fmt.Errorf("the hub's next page is %q, want one of %s", m[1], c.Endpoint)
	}
	return next.String(), nil
}
