// Package data has the samples of a run: it tokenises what is not in the cache, drops
// copies, draws what each source gives and what is held out, cuts what is too long, mixes
// the rest, and counts what is in it.
//
// A sample goes through these forms, each with one name:
//
//   - a line is what a file hands out at a time (package read);
//   - a record is what a line says: a conversation, or the two of a pair (package record);
//   - a conversation is a list of messages and, tokenised, its ids and targets (package store);
//   - a piece is a stretch of a conversation's tokens: all of it, unless it is too long;
//   - a sample is a piece that a run uses, one document of a pack. What is drawn, held out
//     and repeated are whole conversations, or pairs of them.
//
// Call [Build] first; everything else is a method of the [Set] it returns. A
// set is a function of its sources' content, the tokenizer, the template, the
// options and the seed: the same inputs give the same samples in the same
// order. Nothing is lost unseen: every record that is dropped or cut is counted
// with its reason.
//
// The package knows nothing of packs or models, and nothing of how a template
// marks its targets.
package data

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"lwtrain/data/read"
	"lwtrain/data/store"
	"lwtrain/internal/fault"
)

// Sample is a sample with its tokens.
type Sample struct {
	IDs    []int32
	Target [][2]int32 // half-open ranges of target tokens
	Source int        // index into [Set.Sources]
	File   string     // of the source
	Line   int        // of the record in it
	Turns  int        // messages of the assistant in the conversation
	Words  int        // in them, by [prose.Words]
}

// Set is the samples of a run. It is safe for concurrent use.
type Set struct {
	from             []source
	sources          []SourceStats
	stores           []*store.Store // of the sources
	pieces           pieces         // the samples
	train            []int32        // samples of the first epoch
	heldOut          []int32
	trained, held    limit                            // of conversations to train on, and of held-out ones
	paired, labelled bool                             // it is of preferences
	alone            bool                             // labelled answers are samples one by one
	redraw           func(epoch int) ([]int32, error) // nil: every epoch has the samples of train
}

// Len is the number of samples, held-out ones included.
func (s *Set) Len() int { return s.pieces.len() }

// Tokens is the length of sample i.
func (s *Set) Tokens(i int) int {
	tokens, _ := s.pieces.size(i)
	return int(tokens)
}

// Targets is the number of sample i's target tokens, without a first token,
// which nothing precedes.
func (s *Set) Targets(i int) int {
	_, targets := s.pieces.size(i)
	return int(targets)
}

// Words is the number of words in the answers of sample i's conversation.
func (s *Set) Words(i int) int { return int(s.entry(i).Words) }

// entry is what the store knows of sample i's conversation.
func (s *Set) entry(i int) store.Entry {
	p := s.pieces.at(i)
	return s.stores[p.source].Entries.At(int(p.conversation))
}

// Sources returns the statistics of each source: those to train on, then the
// held-out sources.
func (s *Set) Sources() []SourceStats { return s.sources }

// Mix adds up the statistics of all sources.
func (s *Set) Mix() SourceStats { return mixOf(s.sources) }

// Source is the index into [Set.Sources] of sample i's source.
func (s *Set) Source(i int) int { return s.pieces.sourceOf(i) }

// Train lists the samples of the first epoch, in the order in which the sources
// were mixed. A sample that is repeated is there as often; of pairs both sides are.
func (s *Set) Train() []int32 { return s.train }

// Epoch lists those of an epoch, from 0. It differs from epoch to epoch if
// [Set.Redraws].
func (s *Set) Epoch(epoch int) ([]int32, error) {
	if epoch == 0 || s.redraw == nil {
		return s.train, nil
	}
	return s.redraw(epoch)
}

// Redraws reports whether samples are drawn anew for each epoch: of interleaved
// sources, and of those that are repeated, but not as a whole.
func (s *Set) Redraws() bool { return s.redraw != nil }

// HeldOut lists the samples that are held out.
func (s *Set) HeldOut() []int32 { return s.heldOut }

// places says where the records of a source are.
func (s *Set) places(source int) read.Places {
	return read.Places{Files: s.from[source].files, Starts: s.stores[source].Starts}
}

// At says where a record of a source is, as file:line. Numbers are those of [Set.Place].
func (s *Set) At(source, number int) string { return s.places(source).At(number) }

// Number is the number of the record on a line of a file, which is named by its path or
// the last part of it; ok is false if the source has no such file.
func (s *Set) Number(source int, file string, line int) (_ int, ok bool) {
	return s.places(source).Number(file, line)
}

// Place is the source and the number of the record that sample i comes from.
func (s *Set) Place(i int) (source, number int) {
	return s.Source(i), int(s.entry(i).Line)
}

// Origin says where sample i comes from, as file:line.
func (s *Set) Origin(i int) string { return s.At(s.Place(i)) }

// Sample reads sample i. Its slices are its own.
func (s *Set) Sample(i int) (Sample, error) {
	p := s.pieces.at(i)
	c, err := s.stores[p.source].Read(int(p.conversation))
	if err != nil {
		return Sample{}, err
	}
	file, line := s.places(int(p.source)).Find(int(c.Line))
	return Sample{
		IDs: c.IDs[p.from:p.to], Target: within(c.Target, p.from, p.to), Source: int(p.source),
		File: file.Name, Line: line, Turns: int(c.Turns), Words: int(c.Words),
	}, nil
}

// Answers is how many answers with targets each sample has, by its index: ranges of targets, but for one of a first token, which
// nothing precedes. They are read in the order of the samples.
func (s *Set) Answers() ([]int32, error) {
	readers := make([]*store.TargetsReader, len(s.stores))
	for i, p := range s.stores {
		readers[i] = p.TargetsReader()
	}
	out := make([]int32, s.Len())
	for i := range out {
		p := s.pieces.at(i)
		target, err := readers[p.source].At(int(p.conversation))
		if err != nil {
			return nil, err
		}
		for _, t := range within(target, p.from, p.to) {
			if t[1] > 1 {
				out[i]++
			}
		}
	}
	return out, nil
}

// Contents says what the samples follow from, each part by a SHA-256: every
// source's file, the tokenizer with its template, and which pieces of the
// conversations are the samples. Sets with the same contents are the same.
func (s *Set) Contents() map[string]string {
	out := map[string]string{}
	choice := sha256.New()
	for i, p := range s.stores {
		out[fmt.Sprintf("source %d, %s", i+1, s.sources[i].Name)] = p.Inputs.File
		out["tokenizer and template"] = store.HashOf(fmt.Appendf(nil, "%d %s", store.Rules, p.Inputs.Chat))
		if p.Inputs.Read != "" {
			out[fmt.Sprintf("how source %d, %s, is read", i+1, s.sources[i].Name)] = store.HashOf([]byte(p.Inputs.Read))
		}
		fmt.Fprintf(choice, "%g\n", s.sources[i].LossFactor)
	}
	for _, list := range [][]int32{s.train, s.heldOut} {
		s.addChoice(choice, list)
	}
	out["choice of samples"] = hex.EncodeToString(choice.Sum(nil))
	return out
}

// addChoice adds which pieces a list of samples is.
func (s *Set) addChoice(to io.Writer, list []int32) {
	fmt.Fprintf(to, "%d\n", len(list))
	var lines []byte
	for _, i := range list {
		p := s.pieces.at(int(i))
		for k, v := range [...]int32{p.source, p.conversation, p.from, p.to} {
			lines = append(strconv.AppendInt(lines, int64(v), 10), "   \n"[k])
		}
		if len(lines) > 1<<12 {
			to.Write(lines)
			lines = lines[:0]
		}
	}
	to.Write(lines)
}

// NothingLeft is the error of a set that has no sample to train on, each of which is called
// what: it says what became of the records.
func (s *Set) NothingLeft(what string) error {
	mix := s.Mix()
	var dropped []string
	for _, reason := range slices.Sorted(maps.Keys(mix.Dropped)) {
		dropped = append(dropped, fmt.Sprintf(", %s %d", reason, mix.Dropped[reason]))
	}
	err := fmt.Errorf("no %s is left to train on: %d in all, %d held out%s", what, s.Len(), len(s.heldOut), strings.Join(dropped, ""))
	var notes []string // what of the files was left out, or empty
	for _, x := range s.sources {
		if x.Samples == 0 {
			notes = append(notes, x.Notes...)
		}
	}
	if len(notes) > 0 {
		err = fault.Hint(err, strings.Join(notes, "; "))
	}
	if mix.Dropped["no_target"] > 0 {
		err = fault.Hint(err, "no_target: all answers of a record are taken out by train: false or a weight of 0, or train_on takes none")
	}
	return fault.Usage(err)
}

// Close closes the files of the set.
func (s *Set) Close() error {
	for _, p := range s.stores {
		p.Close()
	}
	return nil
}
