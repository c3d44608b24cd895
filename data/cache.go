package data

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lwtrain/chat"
	"lwtrain/internal/atomicfile"
)

// storeFormat changes when the same inputs would give other files.
const storeFormat = 5

// manifest describes the tokenised form of one source. It is written last:
// a folder without it does not exist.
type manifest struct {
	Format  int       `json:"format"`
	Source  string    `json:"source"`           // its path, for people and for the reason of a rebuild
	Inputs  inputs    `json:"inputs"`           // what the content depends on
	Records int       `json:"records"`          // that can be trained on
	Layout  string    `json:"layout"`           // the format of its records, as it was said or recognised
	Starts  []int64   `json:"starts,omitempty"` // of several files, how many numbers are before the records of each
	Dropped []dropped `json:"dropped"`          // that can not
	Passed  []dropped `json:"passed"`           // that are not wanted
	Index   file      `json:"index"`            //
	Facts   file      `json:"facts"`            //
	Near    *file     `json:"near,omitempty"`
	Shards  []file    `json:"shards"` //
}

// inputs is what the tokenised form of a source depends on, by content.
type inputs struct {
	File string `json:"file_sha256"`
	Chat string `json:"tokenizer_and_template"`
	Read string `json:"reading"` // format, columns, roles and filter; "": the defaults
}

func (in inputs) key() string {
	return hashOf(fmt.Appendf(nil, "%d %s %s %s", storeFormat, in.File, in.Chat, in.Read))
}

func hashOf(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// part is one source in its tokenised form.
type part struct {
	ingested
	inputs inputs
	dir    string // "": not on the disk
	reason string // why it was tokenised now; "": it was there
	shards []*shard
	near   []sketched   // of each entry; nil where near copies are not looked for
	facts  *os.File     // nil where nothing is on the disk
	dry    [][][2]int32 // targets of each entry, where no ids are kept
}

// read returns the record of entry i.
func (p *part) read(i int) (record, error) {
	if p.dry != nil {
		return record{}, fmt.Errorf("a dry run keeps no tokens")
	}
	e := p.entries[i]
	return p.shards[e.Shard].read(e)
}

// target returns the target ranges of entry i.
func (p *part) target(i int) ([][2]int32, error) {
	if p.dry != nil {
		return p.dry[i], nil
	}
	r, err := p.read(i)
	return r.target, err
}

func (p *part) close() {
	for _, s := range p.shards {
		s.f.Close()
	}
	if p.facts != nil {
		p.facts.Close()
	}
	p.shards, p.facts = nil, nil
}

// cache finds or makes the tokenised form of sources in a folder.
type cache struct {
	dir      string
	template *chat.Template
	dryRun   bool // write nothing, keep no ids
	stop     bool // at the first bad record
	want     Run  // what is trained on
	near     bool // keep what near copies are found by
}

// get returns a source's tokenised form: the one in the cache if its hashes
// hold, else a new one.
func (c cache) get(ctx context.Context, src Source, progress func(done int64)) (*part, error) {
	sum, err := src.hash()
	if err != nil {
		return nil, err
	}
	in := inputs{sum, c.template.Fingerprint(), src.reading(c.near)}
	dir := filepath.Join(c.dir, fileName(src.Name)+"-"+in.key()[:16])
	p, err := c.openPart(dir, in, false)
	switch {
	case err == nil:
		if err := c.want.suits(src, p.format); err != nil {
			p.close()
			return nil, err
		}
		if c.stop && len(p.dropped) > 0 {
			p.close()
			return nil, src.unusable(p.dropped, p.starts)
		}
		return p, nil
	case errors.Is(err, os.ErrNotExist):
		p = &part{inputs: in, reason: c.whyNew(src, in)}
	default:
		p = &part{inputs: in, reason: err.Error()}
	}
	if c.dryRun {
		p.dry = [][][2]int32{}
		var entries []entry
		p.ingested, err = c.ingest(ctx, src, in.File, sink{add: func(r record) error {
			entries = append(entries, r.entry())
			p.dry = append(p.dry, r.target)
			if r.sketch != nil {
				p.near = append(p.near, *r.sketch)
			}
			return nil
		}}, progress)
		p.entries = entries
		return p, err
	}
	if err := c.make(ctx, src, dir, in, progress); err != nil {
		return nil, err
	}
	made, err := c.openPart(dir, in, true)
	if err != nil {
		return nil, err
	}
	made.reason = p.reason
	return made, nil
}

// openPart opens a folder of the cache and checks all of it, but for the samples if they
// were written just now.
func (c cache) openPart(dir string, in inputs, written bool) (*part, error) {
	m, err := readManifest(dir)
	if err != nil {
		return nil, err
	}
	if m.Format != storeFormat || m.Inputs != in {
		return nil, fmt.Errorf("%s: the manifest speaks of other inputs", dir)
	}
	p := &part{inputs: in, dir: dir}
	p.format, p.starts, p.dropped, p.passed = m.Layout, m.Starts, m.Dropped, m.Passed
	if err := p.open(m, written); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *part) open(m manifest, written bool) (err error) {
	if p.entries, err = readRows[entry](p.dir, m.Index, m.Records); err != nil {
		return err
	}
	if p.facts, err = openFacts(p.dir, m.Facts, m.Records); err != nil {
		return err
	}
	if m.Near != nil {
		if p.near, err = readRows[sketched](p.dir, *m.Near, m.Records); err != nil {
			return err
		}
	}
	for _, f := range m.Shards {
		s, err := openShard(p.dir, f, written)
		if err != nil {
			return err
		}
		p.shards = append(p.shards, s)
	}
	for i, e := range p.entries {
		if e.Shard < 0 || int(e.Shard) >= len(p.shards) || e.Batch < 0 || e.Row < 0 || e.Tokens < 1 {
			return fmt.Errorf("%s: entry %d of the index lies outside the shards", p.dir, i)
		}
	}
	return nil
}

// make tokenises a source into dir, which appears when it is complete.
func (c cache) make(ctx context.Context, src Source, dir string, in inputs, progress func(done int64)) error {
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return err
	}
	c.removeStale()
	b, err := c.begin(src, dir, in)
	if err != nil {
		return err
	}
	defer b.end(ctx)
	temp, w := b.dir, b.w
	got, err := c.ingest(ctx, src, in.File, sink{w.add, b.after, b.Behind, b.Dropped, b.Passed}, progress)
	if closeErr := w.close(); err == nil {
		err = closeErr
	}
	about, closeErr := w.facts.close()
	if err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	m, err := b.describe(got, about)
	if err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(temp, unfinishedName)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return commit(temp, dir, m, func() bool {
		p, err := c.openPart(dir, in, false)
		if err == nil {
			p.close()
		}
		return err == nil
	})
}

// commit writes the manifest of a folder of the cache that has been filled, and
// gives it its name. there checks whether another run was faster.
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

const (
	manifestName = "manifest.json"
	tempPrefix   = ".building-"
)

// removeStale removes what runs left behind that were killed a day ago.
func (c cache) removeStale() {
	found, _ := filepath.Glob(filepath.Join(c.dir, tempPrefix+"*"))
	for _, dir := range found {
		if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) > 24*time.Hour {
			os.RemoveAll(dir)
		}
	}
}

// maxManifest bounds what is read of a manifest: shards are counted in it, not
// samples.
const maxManifest = 64 << 20

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
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// whyNew says what changed since the source was tokenised last.
func (c cache) whyNew(src Source, in inputs) string {
	var last manifest
	var nearest int // how much of it is the same, then how late it was made
	var made time.Time
	paths, _ := filepath.Glob(filepath.Join(c.dir, "*", manifestName))
	for _, path := range paths {
		m, err := readManifest(filepath.Dir(path))
		info, statErr := os.Stat(path)
		if err != nil || statErr != nil || m.Source != src.Path {
			continue
		}
		near := 1
		if m.Inputs.Chat == in.Chat {
			near++
		}
		if m.Inputs.File == in.File {
			near++
		}
		if m.Inputs.Read == in.Read {
			near++
		}
		if near > nearest || near == nearest && info.ModTime().After(made) {
			last, nearest, made = m, near, info.ModTime()
		}
	}
	if nearest == 0 {
		return "new"
	}
	var changed []string
	if last.Inputs.File != in.File {
		changed = append(changed, "the file")
	}
	if last.Inputs.Chat != in.Chat {
		changed = append(changed, "the tokenizer or the template")
	}
	if last.Inputs.Read != in.Read {
		changed = append(changed, "how it is read")
	}
	if last.Format != storeFormat {
		changed = append(changed, "the store's format")
	}
	return strings.Join(changed, " and ") + " changed"
}

// fileName makes a name that is fit for a folder.
func fileName(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || '0' <= r && r <= '9' || 'a' <= r|0x20 && r|0x20 <= 'z' && r < 0x80 {
			return r
		}
		return '_'
	}, name)
}
