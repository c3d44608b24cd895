package checkpoints

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"lwtrain/internal/plainjson"
	"lwtrain/internal/tensorfile"
)

// The manifest makes a folder a checkpoint; docs/formats/checkpoint.md
// describes it.
const (
	manifestFile    = "manifest.json"
	manifestFormat  = "lwtrain checkpoint"
	manifestVersion = 1
	maxManifest     = 16 << 20
)

type manifest struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	Step    int    `json:"step"`
	Files   []File `json:"files"`
}

// File is a file of a checkpoint; its name has forward slashes. The order of
// the fields is that of manifest.json.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// parseManifest reads a manifest and checks that it leads nowhere but into its
// own folder.
func parseManifest(data []byte) (*manifest, error) {
	if !plainjson.Within(data, maxValues) {
		return nil, fmt.Errorf("more than %d values, want fewer", maxValues)
	}
	m := &manifest{}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(m); err != nil {
		if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
			err = tensorfile.ErrCutShort
		}
		return nil, plainjson.InWords(data, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("something follows the json object")
	}
	switch {
	case m.Format != manifestFormat:
		return nil, fmt.Errorf("format is %.40q, want %q", m.Format, manifestFormat)
	case m.Version != manifestVersion:
		return nil, fmt.Errorf("version is %d, want %d", m.Version, manifestVersion)
	case m.Step < 0:
		return nil, fmt.Errorf("step is %d, want 0 or more", m.Step)
	case len(m.Files) == 0:
		return nil, errors.New("lists no files")
	}
	for i, f := range m.Files {
		if !fs.ValidPath(f.Name) || !filepath.IsLocal(filepath.FromSlash(f.Name)) || strings.Contains(f.Name, `\`) ||
			f.Name == manifestFile || f.Name == "." {
			return nil, fmt.Errorf("lists %.80q, want a file of this folder", f.Name)
		}
		if i > 0 && f.Name <= m.Files[i-1].Name {
			return nil, fmt.Errorf("lists %.80q behind %.80q, want the order of the names", f.Name, m.Files[i-1].Name)
		}
		if sum, err := hex.DecodeString(f.SHA256); f.Size < 0 || err != nil || len(sum) != sha256.Size {
			return nil, fmt.Errorf("%.80s has the size %d and the sha-256 %.80q, want a size and 64 hexadecimal digits",
				f.Name, f.Size, f.SHA256)
		}
	}
	return m, nil
}

// describe makes the manifest of a folder from the files that lie in it.
func describe(dir string, step int) (*manifest, error) {
	m := &manifest{Format: manifestFormat, Version: manifestVersion, Step: step}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if !e.Type().IsRegular() {
			return fmt.Errorf("%s: not a regular file", path)
		}
		if name == manifestFile {
			return fmt.Errorf("%s: the name is taken, want a folder without it", path)
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		m.Files = append(m.Files, File{Name: name, Size: info.Size()})
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(m.Files) == 0 {
		return nil, fmt.Errorf("%s: no files, want a checkpoint", dir)
	}
	slices.SortFunc(m.Files, func(a, b File) int { return cmp.Compare(a.Name, b.Name) })
	sums, err := hashFiles(dir, m.Files)
	for i := range m.Files {
		m.Files[i].SHA256 = sums[i]
	}
	return m, err
}

// verify holds a folder against its manifest. Errors start with the file's
// name within the folder. First all names and sizes are looked at, which costs
// nothing, then all content.
func verify(dir string) (*manifest, error) {
	m, err := readManifest(dir)
	if err != nil {
		return nil, err
	}
	if step, ok := stepOf(filepath.Base(dir)); ok && step != m.Step {
		return nil, fmt.Errorf("%s: step is %d, want %d as the folder's name says", manifestFile, m.Step, step)
	}
	return m, m.verify(dir)
}

// verify holds the files of a folder against those that m lists.
func (m *manifest) verify(dir string) error {
	for _, f := range m.Files {
		info, err := os.Stat(filepath.Join(dir, filepath.FromSlash(f.Name)))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("%s: the file is missing", f.Name)
		case err != nil:
			return fmt.Errorf("%s: %w", f.Name, withoutPath(err))
		case !info.Mode().IsRegular():
			return fmt.Errorf("%s: not a regular file", f.Name)
		case info.Size() != f.Size:
			return fmt.Errorf("%s: %d bytes, want %d", f.Name, info.Size(), f.Size)
		}
	}
	sums, err := hashFiles(dir, m.Files)
	if err != nil {
		return err
	}
	for i, f := range m.Files {
		if !strings.EqualFold(sums[i], f.SHA256) {
			return fmt.Errorf("%s: sha-256 is %s, want %s", f.Name, sums[i], f.SHA256)
		}
	}
	return nil
}

var errNoManifest = errors.New(manifestFile + ": the file is missing: this save was never completed")

func readManifest(dir string) (*manifest, error) {
	if info, err := os.Stat(dir); err != nil {
		return nil, withoutPath(err)
	} else if !info.IsDir() {
		return nil, errors.New("not a folder")
	}
	f, size, err := tensorfile.Open(filepath.Join(dir, manifestFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoManifest
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", manifestFile, withoutPath(err))
	}
	defer f.Close()
	if size > maxManifest {
		return nil, fmt.Errorf("%s: %d bytes, want at most %d", manifestFile, size, maxManifest)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxManifest))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", manifestFile, withoutPath(err))
	}
	m, err := parseManifest(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", manifestFile, err)
	}
	return m, nil
}

// withoutPath takes the path out of an error whose message names it already.
func withoutPath(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// hashFiles returns the SHA-256 of each file, in hexadecimal. The cores take
// the files in turn, the largest first. The error is that of the first file
// that has one.
func hashFiles(dir string, files []File) ([]string, error) {
	order := make([]int, len(files))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(files[b].Size, files[a].Size) })
	sums, errs := make([]string, len(files)), make([]error, len(files))
	var next atomic.Int64
	var wait sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(files)) {
		wait.Go(func() {
			buf := make([]byte, tensorfile.ChunkBytes)
			for n := next.Add(1) - 1; n < int64(len(order)); n = next.Add(1) - 1 {
				i := order[n]
				sums[i], errs[i] = hashFile(filepath.Join(dir, filepath.FromSlash(files[i].Name)), buf)
			}
		})
	}
	wait.Wait()
	for i, err := range errs {
		if err != nil {
			return sums, fmt.Errorf("%s: %w", files[i].Name, withoutPath(err))
		}
	}
	return sums, nil
}

func hashFile(path string, buf []byte) (string, error) {
	f, _, err := tensorfile.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	for {
		n, err := f.Read(buf)
		h.Write(buf[:n])
		if err == io.EOF {
			return hex.EncodeToString(h.Sum(nil)), nil
		}
		if err != nil {
			return "", err
		}
	}
}
