package hub

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"

	"lwtrain/internal/fault"
	"lwtrain/internal/transport"
)

// Upload is a file that is to lie in a repository.
type Upload struct {
	Path    string // in the repository
	File    string // on this machine; "": Content
	Content []byte
	Size    int64 // found by Push

	sum     string // SHA-256
	oid     string // git's SHA-1 of it as a file of its own
	sample  []byte // its first bytes, by which the hub tells texts from others
	large   bool   // it goes to the store of large files
	isThere bool   // the repository holds the same
}

// Pushed is what came of [Client.Push].
type Pushed struct {
	Page   string   // of the repository
	Commit string   // "": there was nothing new
	Sent   []string // files that the repository had otherwise, or not
	Same   []string // that it had
}

// Bounds of what the hub takes at a time.
const (
	manyFiles     = 256
	sampleBytes   = 512
	mostInCommit  = 16 << 20 // of texts, which travel in the commit itself
	mostOfAnswer  = 4 << 20
	tokenPage     = "/settings/tokens"
	lfsMediaType  = "application/vnd.git-lfs+json"
	mostPartCount = 10_000
)

// Push makes one commit with the files on the repository's branch, which is made, private if so asked, where it is not there. What the
// repository holds already is not sent, so a push that was interrupted goes on: large files that have arrived stay.
//
// Errors: no token, one that may not write, files that .gitignore leaves out, and those of the network.
func (c *Client) Push(ctx context.Context, ref Ref, files []Upload, message string, private bool, progress Progress) (*Pushed, error) {
	page := c.Endpoint + "/" + ref.Repo
	if err := c.MayPush(ref); err != nil {
		return nil, err
	}
	if err := c.create(ctx, ref, private); err != nil {
		return nil, err
	}
	files = slices.Clone(files)
	for i := range files {
		if err := files[i].hash(ctx); err != nil {
			return nil, err
		}
	}
	for part := range slices.Chunk(files, manyFiles) {
		if err := c.sort(ctx, ref, part); err != nil {
			return nil, err
		}
	}
	if err := c.sendLarge(ctx, ref, files, progress); err != nil {
		return nil, err
	}
	out := &Pushed{Page: page}
	for _, f := range files {
		if f.isThere {
			out.Same = append(out.Same, f.Path)
		} else {
			out.Sent = append(out.Sent, f.Path)
		}
	}
	if len(out.Sent) == 0 {
		return out, nil
	}
	commit, err := c.commit(ctx, ref, files, message)
	out.Commit = commit
	return out, err
}

// MayPush refuses what can be known before anything is asked: no network, no token.
func (c *Client) MayPush(ref Ref) error {
	switch {
	case c.Offline:
		return fault.Usage(fault.Hint(fmt.Errorf("%s: nothing is sent while HF_HUB_OFFLINE is set", ref), "unset it"))
	case c.Token == "":
		return fault.Usage(fault.Hint(fmt.Errorf("%s: no token, want one that may write", ref),
			"make one on "+c.Endpoint+tokenPage+" and set HF_TOKEN to it, or log in with `hf auth login`"))
	}
	return nil
}

// Holds reports whether a repository has a file; one that is not there has none.
func (c *Client) Holds(ctx context.Context, ref Ref, path string) (bool, error) {
	files, err := c.list(ctx, ref, ref.Revision)
	var no refusal
	switch {
	case errors.As(err, &no):
		return false, nil
	case err != nil:
		return false, err
	}
	return slices.ContainsFunc(files, func(f File) bool { return f.Path == path }), nil
}

// create makes the repository where it is not there.
func (c *Client) create(ctx context.Context, ref Ref, private bool) error {
	owner, name, _ := strings.Cut(ref.Repo, "/")
	ask := map[string]any{"name": name, "organization": owner, "type": string(ref.Kind)}
	if private {
		ask["visibility"] = "private"
	}
	err := c.post(ctx, ref, c.Endpoint+"/api/repos/create", "application/json", encoded(ask), nil)
	var no *statusError
	if errors.As(err, &no) && no.status == http.StatusConflict { // it is there
		return nil
	}
	return err
}

// hash reads the file, once.
func (u *Upload) hash(ctx context.Context) error {
	in, err := u.open()
	if err != nil {
		return err
	}
	defer in.Close()
	if u.Size, err = u.length(); err != nil {
		return err
	}
	long, short := sha256.New(), sha1.New()
	fmt.Fprintf(short, "blob %d\x00", u.Size)
	buf := make([]byte, 1<<20)
	var n int64
	for {
		k, err := in.Read(buf)
		if len(u.sample) < sampleBytes {
			u.sample = append(u.sample, buf[:min(k, sampleBytes-len(u.sample))]...)
		}
		long.Write(buf[:k])
		short.Write(buf[:k])
		n += int64(k)
		switch {
		case err == io.EOF && n != u.Size:
			return fmt.Errorf("%s: %d bytes where there were %d, want a file that does not change", u.File, n, u.Size)
		case err == io.EOF:
			u.sum, u.oid = hex.EncodeToString(long.Sum(nil)), hex.EncodeToString(short.Sum(nil))
			return nil
		case err != nil:
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
	}
}

func (u *Upload) open() (io.ReadCloser, error) {
	if u.File == "" {
		return io.NopCloser(bytes.NewReader(u.Content)), nil
	}
	return os.Open(u.File)
}

func (u *Upload) length() (int64, error) {
	if u.File == "" {
		return int64(len(u.Content)), nil
	}
	info, err := os.Stat(u.File)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// sort asks the hub which files go where, and which it has.
func (c *Client) sort(ctx context.Context, ref Ref, files []Upload) error {
	type asked struct {
		Path   string `json:"path"`
		Sample string `json:"sample"`
		Size   int64  `json:"size"`
	}
	var ask struct {
		Files []asked `json:"files"`
	}
	at := map[string]*Upload{}
	for i := range files {
		f := &files[i]
		at[f.Path] = f
		ask.Files = append(ask.Files, asked{f.Path, base64.StdEncoding.EncodeToString(f.sample), f.Size})
	}
	var said struct {
		Files []struct {
			Path, UploadMode, OID string
			ShouldIgnore          bool
		}
	}
	if err := c.post(ctx, ref, c.api(ref, "preupload", ref.Revision), "application/json", encoded(ask), &said); err != nil {
		return err
	}
	told := 0
	for _, s := range said.Files {
		f := at[s.Path]
		if f == nil {
			continue
		}
		told++
		f.large = s.UploadMode == "lfs" && f.Size > 0 // the store takes no empty files
		f.isThere = s.OID != "" && (s.OID == f.oid || s.OID == f.sum)
		if s.ShouldIgnore {
			return fault.Usage(fmt.Errorf("%s: .gitignore of the repository leaves out %s, want all files in it", ref, f.Path))
		}
	}
	if told != len(files) {
		return fmt.Errorf("%s: the hub says of %d of %d files how they are sent", ref, told, len(files))
	}
	return nil
}

// action is what the store of large files asks for.
type action struct {
	Href   string
	Header map[string]any
}

// sendLarge sends what the store of large files does not have.
func (c *Client) sendLarge(ctx context.Context, ref Ref, files []Upload, progress Progress) error {
	var total, done int64
	var large []*Upload
	seen := map[string]bool{}
	for i := range files {
		if f := &files[i]; f.large && !f.isThere && !seen[f.sum] {
			seen[f.sum] = true
			large = append(large, f)
			total += f.Size
		}
	}
	tell := func(n int64) {
		if done += n; progress != nil {
			progress(done, total)
		}
	}
	for part := range slices.Chunk(large, manyFiles) {
		at := map[string]*Upload{}
		var objects []map[string]any
		for _, f := range part {
			at[f.sum] = f
			objects = append(objects, map[string]any{"oid": f.sum, "size": f.Size})
		}
		ask := map[string]any{"operation": "upload", "transfers": []string{"basic", "multipart"}, "objects": objects,
			"hash_algo": "sha256",
			"ref":       map[string]string{"name": ref.Revision}}
		var said struct {
			Objects []struct {
				OID     string
				Actions struct{ Upload, Verify *action }
				Error   *struct {
					Code    int
					Message string
				}
			}
		}
		if err := c.post(ctx, ref, c.git(ref)+"/info/lfs/objects/batch", lfsMediaType, encoded(ask), &said); err != nil {
			return err
		}
		for _, o := range said.Objects {
			f := at[o.OID]
			switch {
			case f == nil:
				continue
			case o.Error != nil:
				return fmt.Errorf("%s: the hub does not take %s: %s", ref, f.Path, fault.Excerpt([]byte(o.Error.Message)))
			case o.Actions.Upload == nil:
				tell(f.Size)
			default:
				if err := c.send(ctx, ref, f, *o.Actions.Upload, o.Actions.Verify, tell); err != nil {
					return err
				}
			}
			delete(at, o.OID)
		}
		if len(at) > 0 {
			return fmt.Errorf("%s: the hub says of %d files not where they are sent", ref, len(at))
		}
	}
	return nil
}

// git is the address of the repository as git has it.
func (c *Client) git(ref Ref) string {
	if ref.Kind == Dataset {
		return c.Endpoint + "/datasets/" + ref.Repo + ".git"
	}
	return c.Endpoint + "/" + ref.Repo + ".git"
}

// send sends a large file, in one piece or in those that the hub asks for.
func (c *Client) send(ctx context.Context, ref Ref, f *Upload, up action, verify *action, tell func(int64)) error {
	chunk, err := pieceSize(up.Header)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", ref, err)
	case chunk == 0:
		if _, err := c.put(ctx, ref, f, up.Href, 0, f.Size, tell); err != nil {
			return err
		}
	default:
		type part struct {
			Number int    `json:"partNumber"`
			ETag   string `json:"etag"`
		}
		var parts []part
		for n := int64(0); n*chunk < f.Size; n++ {
			href, ok := up.Header[pieceName(n+1, up.Header)].(string)
			if !ok {
				return fmt.Errorf("%s: the hub names no address for part %d of %s", ref, n+1, f.Path)
			}
			tag, err := c.put(ctx, ref, f, href, n*chunk, min(chunk, f.Size-n*chunk), tell)
			if err != nil {
				return err
			}
			if tag == "" {
				return fmt.Errorf("%s: no etag for part %d of %s, want one", ref, n+1, f.Path)
			}
			parts = append(parts, part{int(n + 1), tag})
		}
		whole := encoded(map[string]any{"oid": f.sum, "parts": parts})
		if err := c.post(ctx, ref, up.Href, lfsMediaType, whole, nil); err != nil {
			return err
		}
	}
	if verify == nil {
		return nil
	}
	return c.post(ctx, ref, verify.Href, "application/json", encoded(map[string]any{"oid": f.sum, "size": f.Size}), nil)
}

// pieceSize is how large the pieces of a file are; 0: it is sent in one.
func pieceSize(header map[string]any) (int64, error) {
	v, ok := header["chunk_size"]
	if !ok {
		return 0, nil
	}
	n, err := strconv.ParseInt(fmt.Sprint(v), 10, 64)
	if f, ok := v.(float64); ok {
		n, err = int64(f), nil
	}
	if err != nil || n <= 0 || len(header) > mostPartCount {
		return 0, fmt.Errorf("the hub asks for pieces of %v bytes, want a size above 0", v)
	}
	return n, nil
}

// pieceName finds the name of a piece's address: its number, with or without zeros before it.
func pieceName(n int64, header map[string]any) string {
	for width := range 6 {
		if name := fmt.Sprintf("%0*d", width, n); header[name] != nil {
			return name
		}
	}
	return ""
}

// put sends bytes of a file to an address of the hub's choice, and returns their etag.
func (c *Client) put(ctx context.Context, ref Ref, f *Upload, address string, from, n int64, tell func(int64)) (tag string, err error) {
	at, err := c.mayGo(address)
	if err != nil {
		return "", fmt.Errorf("%s: %w", ref, err)
	}
	err = c.again(ctx, c.retry.Times, func() error {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		in, err := f.open()
		if err != nil {
			return err
		}
		defer in.Close()
		if s, ok := in.(io.Seeker); ok {
			_, err = s.Seek(from, io.SeekStart)
		} else {
			_, err = io.CopyN(io.Discard, in, from)
		}
		if err != nil {
			return err
		}
		var sent int64
		watched := transport.Watch(io.LimitReader(in, n), cancel)
		defer watched.Stop()
		req, err := http.NewRequestWithContext(ctx, http.MethodPut, at.String(), &counted{watched, func(k int64) { sent += k; tell(k) }})
		if err != nil {
			return err
		}
		req.ContentLength = n
		req.Header.Set("User-Agent", "lwtrain")
		res, err := transport.RoundTrip(c.http, req, c.keyFor(at))
		if err != nil {
			tell(-sent) // it is sent again
			return err
		}
		defer res.Body.Close()
		if res.StatusCode/100 != 2 {
			tell(-sent)
			return c.answered(ref, res, "does not take "+f.Path)
		}
		tag = res.Header.Get("ETag")
		return nil
	})
	return tag, err
}

// counted tells how much is read.
type counted struct {
	io.Reader
	tell func(int64)
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.tell(int64(n))
	return n, err
}

// commit makes the commit: small files travel in it, large ones are named.
func (c *Client) commit(ctx context.Context, ref Ref, files []Upload, message string) (string, error) {
	var body bytes.Buffer
	line := func(key string, value any) {
		body.Write(encoded(map[string]any{"key": key, "value": value}))
		body.WriteByte('\n')
	}
	line("header", map[string]string{"summary": message, "description": ""})
	for i := range files {
		f := &files[i]
		switch {
		case f.isThere:
		case f.large:
			line("lfsFile", map[string]any{"path": f.Path, "algo": "sha256", "oid": f.sum, "size": f.Size})
		default:
			in, err := f.open()
			if err != nil {
				return "", err
			}
			raw, err := io.ReadAll(io.LimitReader(in, mostInCommit+1))
			in.Close()
			if err != nil {
				return "", err
			}
			if len(raw) > mostInCommit || body.Len() > 4*mostInCommit {
				return "", fmt.Errorf("%s: the hub wants %s in the commit itself, want at most %d MiB there", ref, f.Path,
					mostInCommit>>20)
			}
			line("file", map[string]any{"content": base64.StdEncoding.EncodeToString(raw), "path": f.Path, "encoding": "base64"})
		}
	}
	var said struct {
		CommitOID string
	}
	err := c.post(ctx, ref, c.api(ref, "commit", ref.Revision), "application/x-ndjson", body.Bytes(), &said)
	return said.CommitOID, err
}
