package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"lwtrain/data/record"
	"lwtrain/internal/atomicfile"
)

// A build that is stopped or killed leaves its folder with the shards that it
// finished, and unfinished.json beside them, which is written after each. The next
// build of the same inputs checks them and goes on behind them: it reads the
// records that are behind them again, which is fast, and tokenises the others.
const unfinishedName = "unfinished.json"

// halfway is a manifest of what is finished.
type halfway struct {
	Behind int `json:"behind"` // records of the source that were taken
	manifest
}

// sum is what its check must be.
func (u halfway) sum() string {
	u.Check = ""
	return hashOfJSON(u)
}

// Builder makes a store. Call [Builder.Add] for each conversation of a record and then
// [Builder.Taken], for one record after the other, and [Builder.Finish] behind the last;
// whatever comes, [Builder.End].
type Builder struct {
	in          Inputs
	source      string
	final       string // the folder's name when it is complete
	dir         string
	near        bool
	shardTokens int64
	lock        *os.File // nil: a folder that nobody else looks for
	w           *shardWriter
	done        halfway
}

// Build begins the store of a source, or goes on with what an earlier build of the same
// finished. path is where the source lies, for people; near says whether near copies are
// looked for.
func (c Cache) Build(name, path string, in Inputs, near bool) (*Builder, error) {
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return nil, err
	}
	c.removeStale()
	final := c.folder(name, in)
	b := &Builder{
		in: in, source: path, final: final, dir: filepath.Join(c.Dir, tempPrefix+filepath.Base(final)),
		near: near, shardTokens: cmp.Or(c.ShardTokens, shardTokens),
	}
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		return nil, err
	}
	if !b.take() { // another run builds the same
		var err error
		if b.dir, err = os.MkdirTemp(c.Dir, tempPrefix); err != nil {
			return nil, err
		}
	}
	if b.w = b.goOn(); b.w != nil {
		return b, nil
	}
	if b.lock != nil {
		old, _ := fs.Glob(os.DirFS(b.dir), "*")
		for _, name := range old {
			if err := os.RemoveAll(filepath.Join(b.dir, name)); err != nil {
				return nil, err
			}
		}
	}
	b.w = newShardWriter(b.dir, b.shardTokens)
	return b, nil
}

// take locks the folder, unless another process has it. The lock goes with the
// process.
func (b *Builder) take() bool {
	f, err := os.Open(b.dir)
	if err != nil {
		return false
	}
	b.lock = f
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil || !b.mine() {
		f.Close()
		b.lock = nil
		return false
	}
	return true
}

// mine reports whether the folder of that name is the one that is locked: another
// process may have finished it, and a third one begun it anew.
func (b *Builder) mine() bool {
	locked, err := b.lock.Stat()
	now, err2 := os.Stat(b.dir)
	return err == nil && err2 == nil && os.SameFile(locked, now)
}

// goOn opens what is finished, and returns nil if there is nothing, or if it is
// not what it was.
func (b *Builder) goOn() *shardWriter {
	var u halfway
	if b.lock == nil || readJSON(filepath.Join(b.dir, unfinishedName), &u) != nil {
		return nil
	}
	if u.Check != u.sum() || u.Format != Format || u.Inputs != b.in || b.near != (u.Near != nil) {
		return nil
	}
	for _, f := range []file{u.Index, u.Facts} { // rows of the shard that was not finished
		if os.Truncate(filepath.Join(b.dir, f.Name), f.Bytes) != nil {
			return nil
		}
	}
	s, err := openFiles(b.dir, u.manifest, false)
	if err != nil {
		return nil
	}
	s.Close()
	w := newShardWriter(b.dir, b.shardTokens)
	w.files, w.records, w.near = u.Shards, u.Records, s.Near
	if w.index.goOn(u.Index) != nil || w.facts.goOn(u.Facts) != nil {
		return nil
	}
	shards, _ := fs.Glob(os.DirFS(b.dir), "samples-*")
	for _, name := range shards { // one that was not finished
		known := slices.ContainsFunc(u.Shards, func(f file) bool { return f.Name == name })
		if !known && os.Remove(filepath.Join(b.dir, name)) != nil {
			return nil
		}
	}
	b.done = u
	return w
}

// Behind is how many records of the source an earlier build took, and what it found out
// about them.
func (b *Builder) Behind() (records int, about About) { return b.done.Behind, b.done.About }

// Add adds a conversation.
func (b *Builder) Add(t record.Tokenised) error { return b.w.add(t) }

// Taken is told of each record of the source, with what is known of those so far. Where
// it was the last one of a shard, it writes down what is finished.
func (b *Builder) Taken(about About) error {
	b.done.Behind++
	if b.w.out != nil || len(b.w.files) == len(b.done.Shards) || b.lock == nil {
		return nil
	}
	index, err := b.w.index.finished()
	if err != nil {
		return err
	}
	facts, err := b.w.facts.finished()
	if err != nil {
		return err
	}
	if b.done.manifest, err = b.describe(about, index, facts); err != nil {
		return err
	}
	b.done.Check = b.done.sum()
	raw, err := json.Marshal(b.done)
	if err != nil {
		return err
	}
	return atomicfile.WriteBytes(filepath.Join(b.dir, unfinishedName), raw)
}

// describe returns a manifest of all that is there.
func (b *Builder) describe(about About, index, facts file) (m manifest, err error) {
	m = manifest{
		Format: Format, Source: b.source, Inputs: b.in, Records: b.w.records, About: about, Index: index, Facts: facts, Shards: b.w.files,
	}
	if !b.near {
		return m, nil
	}
	near, err := writeRows(b.dir, nearName, b.w.near)
	m.Near = &near
	return m, err
}

// Finish completes the store, gives it its place in the cache, and opens it.
func (b *Builder) Finish(about About) (*Store, error) {
	if err := b.w.close(); err != nil {
		return nil, err
	}
	index, err := b.w.index.close()
	if err != nil {
		return nil, err
	}
	facts, err := b.w.facts.close()
	if err != nil {
		return nil, err
	}
	m, err := b.describe(about, index, facts)
	if err != nil {
		return nil, err
	}
	b.w.near = nil // they are read back, and are the most of what a store takes
	m.Check = m.sum()
	if err := os.Remove(filepath.Join(b.dir, unfinishedName)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	err = commit(b.dir, b.final, m, func() bool {
		s, err := openStore(b.final, b.in, false)
		if err == nil {
			s.Close()
		}
		return err == nil
	})
	if err != nil {
		return nil, err
	}
	return openStore(b.final, b.in, true)
}

// End removes the folder, if it has not become part of the cache and there is
// nothing in it to go on from.
func (b *Builder) End(ctx context.Context) {
	b.w.abandon()
	_, err := os.Stat(filepath.Join(b.dir, unfinishedName))
	if goesOn := err == nil && ctx.Err() != nil; !goesOn && (b.lock == nil || b.mine()) {
		os.RemoveAll(b.dir)
	}
	if b.lock != nil {
		b.lock.Close()
	}
}
