// Package store keeps conversations in their tokenised form: a source's in Arrow shards, in
// a folder of a cache that is named by all that it depends on, written as
// docs/formats/sample-store.md says. A build that is stopped goes on where it was. It keeps
// what a reference says of answers ([LogProbs]) in the same cache.
package store

import (
	"fmt"
	"os"

	"lwtrain/data/record"
)

// Store is a source in its tokenised form: its conversations in the order of its records,
// those of a pair one behind the other, the chosen one first. It is safe for concurrent
// use.
type Store struct {
	About
	Inputs  Inputs
	Dir     string          // "": it is not on the disk
	Entries *Index          // of each conversation
	Near    []record.Sketch // of each; nil where near copies are not looked for

	shards []*shard
	facts  *os.File             // nil: nothing is on the disk
	dry    map[int32][][2]int32 // where no ids are kept: targets of those that have not one range
}

// openStore opens a folder of the cache and checks all of it, but for the shards if they
// were written just now.
func openStore(dir string, in Inputs, written bool) (*Store, error) {
	m, err := readManifest(dir)
	if err != nil {
		return nil, err
	}
	if m.Format != Format || m.Inputs != in {
		return nil, fmt.Errorf("%s: the manifest speaks of other inputs", dir)
	}
	if m.Check != m.sum() {
		return nil, fmt.Errorf("%s: the manifest is not what was written", dir)
	}
	return openFiles(dir, m, written)
}

func openFiles(dir string, m manifest, written bool) (_ *Store, err error) {
	s := &Store{About: m.About, Inputs: m.Inputs, Dir: dir}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if s.Entries, err = openIndex(dir, m); err != nil {
		return nil, err
	}
	if s.facts, err = openFacts(dir, m.Facts, m.Records); err != nil {
		return nil, err
	}
	if m.Near != nil {
		if s.Near, err = readRows[record.Sketch](dir, *m.Near, m.Records); err != nil {
			return nil, err
		}
	}
	for _, f := range m.Shards {
		one, err := openShard(dir, f, written)
		if err != nil {
			return nil, err
		}
		s.shards = append(s.shards, one)
	}
	return s, nil
}

// Read returns the tokens of conversation i. The slices are its own.
func (s *Store) Read(i int) (record.Tokenised, error) {
	if s.dry != nil {
		return record.Tokenised{}, fmt.Errorf("a dry run keeps no tokens")
	}
	e := s.Entries.At(i)
	return s.shards[e.Shard].read(e)
}

// Targets returns the target ranges of conversation i.
func (s *Store) Targets(i int) ([][2]int32, error) {
	if s.dry != nil {
		if several, there := s.dry[int32(i)]; there {
			return several, nil
		}
		return [][2]int32{oneTarget(s.Entries.At(i))}, nil
	}
	e := s.Entries.At(i)
	one := s.shards[e.Shard]
	return one.targets(e, one.lists(0))
}

// TargetsReader reads the target ranges of a store's conversations, fast where they are asked for in order.
type TargetsReader struct {
	s     *Store
	shard int32 // that is read
	lists *lists
}

// TargetsReader returns a reader of targets.
func (s *Store) TargetsReader() *TargetsReader { return &TargetsReader{s: s, shard: -1} }

// At returns the target ranges of conversation i.
func (r *TargetsReader) At(i int) ([][2]int32, error) {
	if r.s.dry != nil {
		return r.s.Targets(i)
	}
	e := r.s.Entries.At(i)
	if e.Shard != r.shard {
		r.shard, r.lists = e.Shard, r.s.shards[e.Shard].lists(aheadBytes)
	}
	return r.s.shards[e.Shard].targets(e, r.lists)
}

// Close closes the files.
func (s *Store) Close() {
	for _, one := range s.shards {
		one.f.Close()
	}
	if s.facts != nil {
		s.facts.Close()
	}
	s.shards, s.facts = nil, nil
}

// Dry is a store that is not on the disk, and keeps no tokens.
func Dry(in Inputs) *Store { return &Store{Inputs: in, Entries: &Index{}, dry: map[int32][][2]int32{}} }

// oneTarget is the range of a conversation whose targets are one, as most have.
func oneTarget(e Entry) [2]int32 { return [2]int32{e.Prompt, max(e.Prompt, 1) + e.Targets} }

// Add adds a conversation to a [Dry] store.
func (s *Store) Add(t record.Tokenised) error {
	e := entryOf(t)
	if len(t.Target) != 1 || t.Target[0] != oneTarget(e) {
		s.dry[int32(s.Entries.Len())] = t.Target
	}
	s.Entries.add(e)
	if t.Sketch != nil {
		s.Near = append(s.Near, *t.Sketch)
	}
	return nil
}
