package hub

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"lwtrain/internal/atomicfile"
	"lwtrain/internal/transport"
)

// File is a file of a repository at one commit.
type File struct {
	Path string // with slashes
	Size int64
	blob string // name of its content in the cache: SHA-256 of large files, else git's SHA-1; "": not known
	said treeFile
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
	maxPages   = 1000
	maxFiles   = 200_000
	maxBytes   = 1 << 46 // 64 TiB, of one file
)

// api is the address of what the hub says of a repository.
func (c *Client) api(ref Ref, parts ...string) string {
	address := c.Endpoint + "/api/" + string(ref.Kind) + "s/" + ref.Repo
	for _, p := range parts {
		address += "/" + url.PathEscape(p)
	}
	return address
}

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
		return "", fmt.Errorf("%s: the hub names commit %q, want 40 hexadecimal digits; is HF_ENDPOINT (%s) a hub?", ref, info.SHA, c.Endpoint)
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

// ask reads an answer of the hub in JSON, and returns the address of its next
// page. Other hosts are not asked.
func (c *Client) ask(ctx context.Context, ref Ref, address string, into any) (next string, err error) {
	retry := c.retry
	retry.Times = min(retry.Times, 2) // without a network this is where it is known
	err = retry.Do(ctx, func() error {
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
		if err := json.Unmarshal(raw, into); err != nil {
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

// The list of a commit's files never changes. It is kept in the cache as
// huggingface_hub keeps it since version 2: trees/<commit>.json.

const treeFormat = 1

type tree struct {
	Format int                 `json:"format_version"`
	Files  map[string]treeFile `json:"files"`
}

type treeFile struct {
	Size    int64  `json:"size"`
	BlobID  string `json:"blob_id"`
	LFS     string `json:"lfs_sha256,omitempty"`
	LFSSize int64  `json:"lfs_size,omitempty"`
	Xet     string `json:"xet_hash,omitempty"`
}

func (c *Client) treePath(ref Ref, commit string) string {
	return filepath.Join(c.Cache, ref.folder(), "trees", commit+".json")
}

// readTree returns the list that is kept, or an error of fs.ErrNotExist. One that
// can't be read is as good as none.
func (c *Client) readTree(ref Ref, commit string) ([]File, error) {
	raw, err := readSmall(c.treePath(ref, commit), maxListing)
	if err != nil {
		return nil, err
	}
	var t tree
	if json.Unmarshal(raw, &t) != nil || t.Format != treeFormat {
		return nil, fs.ErrNotExist
	}
	var files []File
	for path, said := range t.Files {
		files = append(files, newFile(path, said))
	}
	return files, check(ref, files)
}

func (c *Client) writeTree(ref Ref, commit string, files []File) error {
	t := tree{treeFormat, map[string]treeFile{}}
	for _, f := range files {
		t.Files[f.Path] = f.said
	}
	var raw bytes.Buffer
	e := json.NewEncoder(&raw)
	e.SetIndent("", " ")
	e.SetEscapeHTML(false)
	if err := e.Encode(t); err != nil {
		return err
	}
	return writeWhole(c.treePath(ref, commit), bytes.TrimSuffix(raw.Bytes(), []byte("\n")))
}

func readSmall(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(raw)) > most {
		err = fmt.Errorf("%s: more than %d bytes", path, most)
	}
	return raw, err
}

// local lists what there is of a commit in the cache, where no list is kept.
func (c *Client) local(ref Ref, commit string) ([]File, error) {
	dir := c.snapshot(ref, commit)
	var files []File
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) { // a link whose blob was removed
			return nil
		}
		if err == nil {
			files = append(files, File{Path: filepath.ToSlash(rel), Size: info.Size()})
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return files, check(ref, files)
}

func (c *Client) snapshot(ref Ref, commit string) string {
	return filepath.Join(c.Cache, ref.folder(), "snapshots", commit)
}

func writeWhole(path string, raw []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return atomicfile.WriteBytes(path, raw)
}
