package data

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"syscall"

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

// building is a folder of the cache on its way.
type building struct {
	cache
	src  Source
	dir  string
	lock *os.File // nil: a folder that nobody else looks for
	w    *shardWriter
	halfway
}

// begin makes the folder that becomes dir, or finds it with what an earlier build
// finished.
func (c cache) begin(src Source, dir string, in inputs) (*building, error) {
	b := &building{cache: c, src: src, dir: filepath.Join(c.dir, tempPrefix+filepath.Base(dir))}
	b.Inputs = in
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		return nil, err
	}
	if !b.take() { // another run builds the same
		var err error
		if b.dir, err = os.MkdirTemp(c.dir, tempPrefix); err != nil {
			return nil, err
		}
	}
	if b.w = b.goOn(in); b.w != nil {
		return b, nil
	}
	b.halfway = halfway{manifest: manifest{Inputs: in}}
	if b.lock != nil {
		old, _ := filepath.Glob(filepath.Join(b.dir, "*"))
		for _, path := range old {
			if err := os.RemoveAll(path); err != nil {
				return nil, err
			}
		}
	}
	b.w = newShardWriter(b.dir)
	return b, nil
}

// take locks the folder, unless another process has it. The lock goes with the
// process.
func (b *building) take() bool {
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
func (b *building) mine() bool {
	locked, err := b.lock.Stat()
	now, err2 := os.Stat(b.dir)
	return err == nil && err2 == nil && os.SameFile(locked, now)
}

// goOn opens what is finished, and returns nil if there is nothing, or if it is
// not what it was.
func (b *building) goOn(in inputs) *shardWriter {
	var u halfway
	if b.lock == nil || readJSON(filepath.Join(b.dir, unfinishedName), &u) != nil || u.Format != storeFormat || u.Inputs != in || b.near != (u.Near != nil) {
		return nil
	}
	if os.Truncate(filepath.Join(b.dir, factsName), u.Facts.Bytes) != nil { // rows of the shard that was not finished
		return nil
	}
	p := &part{dir: b.dir}
	defer p.close()
	if p.open(u.manifest, false) != nil {
		return nil
	}
	w := newShardWriter(b.dir)
	w.files, w.entries, w.near = u.Shards, p.entries, p.near
	if w.facts.goOn(u.Facts) != nil {
		return nil
	}
	shards, _ := filepath.Glob(filepath.Join(b.dir, "samples-*"))
	for _, path := range shards { // one that was not finished
		known := slices.ContainsFunc(u.Shards, func(f file) bool { return f.Name == filepath.Base(path) })
		if !known && os.Remove(path) != nil {
			return nil
		}
	}
	b.halfway = u
	return w
}

// after is told of each record of the source. Where it was the last one of a
// shard, it writes down what is finished.
func (b *building) after(in ingested) error {
	b.Behind++
	if b.w.out != nil || len(b.w.files) == len(b.Shards) || b.lock == nil {
		return nil
	}
	facts, err := b.w.facts.finished()
	if err != nil {
		return err
	}
	m, err := b.describe(in, facts)
	if err != nil {
		return err
	}
	b.manifest = m
	raw, err := json.Marshal(b.halfway)
	if err != nil {
		return err
	}
	return atomicfile.WriteBytes(filepath.Join(b.dir, unfinishedName), raw)
}

// describe writes the index, and returns a manifest of all that is there.
func (b *building) describe(in ingested, facts file) (m manifest, err error) {
	m = manifest{Format: storeFormat, Source: b.src.Path, Inputs: b.Inputs, Records: len(b.w.entries), Layout: in.format, Starts: in.starts, Dropped: in.dropped, Passed: in.passed, Facts: facts, Shards: b.w.files}
	if m.Index, err = writeRows(b.dir, indexName, b.w.entries); err != nil || !b.near {
		return m, err
	}
	near, err := writeRows(b.dir, nearName, b.w.near)
	m.Near = &near
	return m, err
}

// end removes the folder, if it has not become part of the cache and there is
// nothing in it to go on from.
func (b *building) end(ctx context.Context) {
	_, err := os.Stat(filepath.Join(b.dir, unfinishedName))
	if goesOn := err == nil && ctx.Err() != nil; !goesOn && (b.lock == nil || b.mine()) {
		os.RemoveAll(b.dir)
	}
	if b.lock != nil {
		b.lock.Close()
	}
}
