package store

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	"lwtrain/data/record"
	"lwtrain/internal/atomicfile"
	"lwtrain/internal/plainjson"
)

// Format is the number of the stores' format. It changes when the same inputs would
// give other files.
const Format = 15

// Rules is the number of the format in which most records became the tokens that they are. Runs are
// known by it: those of earlier formats go on.
const Rules = 7

// manifest describes a store. It is written last: a folder without it does not exist.
type manifest struct {
	Format  int    `json:"format"`
	Source  string `json:"source"`  // its path, for people and for the reason of a rebuild
	Inputs  Inputs `json:"inputs"`  // what the content depends on
	Records int    `json:"records"` // conversations; of a pair both are counted
	About
	Index  file   `json:"index"`
	Facts  file   `json:"facts"`
	Near   *file  `json:"near,omitempty"`
	Shards []file `json:"shards"`
	Check  string `json:"check"` // SHA-256 of the manifest without it, see sum
}

// sum is what the manifest's check must be.
func (m manifest) sum() string {
	m.Check = ""
	return hashOfJSON(m)
}

func hashOfJSON(v any) string {
	raw, _ := json.Marshal(v) // names and numbers, which do not fail
	return HashOf(raw)
}

// Inputs are what a store depends on, by content.
type Inputs struct {
	File string `json:"file_sha256"`            // of the source, see [read.Hash]
	Chat string `json:"tokenizer_and_template"` // see [chat.Template.Fingerprint]
	Read string `json:"reading"`                // see [record.Options.Key]
}

func (in Inputs) key() string {
	return HashOf(fmt.Appendf(nil, "%d %s %s %s", Format, in.File, in.Chat, in.Read))
}

// HashOf is the SHA-256 of some bytes, in hexadecimal digits.
func HashOf(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// About is what is known of the records of a source, beside their conversations.
type About struct {
	Layout string  `json:"layout"`           // their format, as it was said or recognised
	Keys   string  `json:"keys,omitempty"`   // those of the first, for people
	Starts []int64 `json:"starts,omitempty"` // of several files, see [read.Places]
	Empty  []int   `json:"empty,omitempty"`  // files without any record, by their index
	// NeverMet are keys that the source's options tell to ignore, and no record had.
	NeverMet []string `json:"never_met,omitempty"`
	record.Drops
}

// file is a file of a store, as the manifest knows it.
type file struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
	Bytes  int64  `json:"bytes"`
}

// openFile opens a file of a store and checks its hash.
func openFile(dir string, want file) (*os.File, error) {
	if filepath.Base(want.Name) != want.Name {
		return nil, fmt.Errorf("%s: the manifest names the file %q, want a name without a folder", dir, want.Name)
	}
	f, err := os.Open(filepath.Join(dir, want.Name))
	if err != nil {
		return nil, err
	}
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err == nil && (n != want.Bytes || hex.EncodeToString(h.Sum(nil)) != want.SHA256) {
		err = fmt.Errorf("%s: %d bytes with another hash, want the %d bytes of the manifest", f.Name(), n, want.Bytes)
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// hashedFile is a file that is written from front to back.
type hashedFile struct {
	*os.File
	sum hash.Hash
}

func createHashed(path string) (*hashedFile, error) {
	f, err := os.Create(path)
	return &hashedFile{f, sha256.New()}, err
}

func (f *hashedFile) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	f.sum.Write(b[:n])
	return n, err
}

// written is what a manifest says of the file.
func (f *hashedFile) written(size int64) file {
	return file{filepath.Base(f.Name()), hex.EncodeToString(f.sum.Sum(nil)), size}
}

const (
	manifestName = "manifest.json"
	tempPrefix   = ".building-"
)

// maxManifest bounds what is read of a manifest: shards are counted in it, not
// conversations.
const maxManifest, maxValues = 64 << 20, 1 << 20 // bytes, and values of JSON

func readManifest(dir string) (m manifest, err error) {
	return m, readJSON(filepath.Join(dir, manifestName), &m)
}

func readJSON(path string, v any) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxManifest))
	if err != nil {
		return err
	}
	if err := plainjson.Decode(raw, maxValues, v); err != nil {
		return plainjson.In(path, err)
	}
	return nil
}

// commit writes the manifest of a folder of the cache that has been filled, and gives it
// its name. there checks whether another run was faster.
func commit(temp, dir string, manifest any, there func() bool) error {
	raw, err := json.MarshalIndent(manifest, "", "  ")
	if err != nil {
		return err
	}
	if err := atomicfile.WriteBytes(filepath.Join(temp, manifestName), append(raw, '\n')); err != nil {
		return err
	}
	if os.Rename(temp, dir) != nil {
		if there() {
			return nil
		}
		if err := os.RemoveAll(dir); err != nil { // a damaged one
			return err
		}
		if err := os.Rename(temp, dir); err != nil {
			return err
		}
	}
	return atomicfile.SyncDir(filepath.Dir(dir))
}
