package data

import (
	"slices"
	"sort"
)

// piece is a sample: a stretch of a conversation's tokens.
type piece struct {
	source       int32
	conversation int32 // of the source's store
	from, to     int32 // tokens
	targets      int32
}

// pieces are the samples of a set, source by source. Of millions they are the most of what it holds: one that begins
// where its conversation does, as most do, takes 12 bytes.
type pieces struct {
	list   []begun
	later  []piece // the others
	begins []int32 // the first sample of each source
}

// begun is the begin of a conversation, or piece -1-conversation of those that begin later.
type begun struct{ conversation, to, targets int32 }

// source begins the next source, of about so many samples.
func (l *pieces) source(size int) {
	l.list = slices.Grow(l.list, size)
	l.begins = append(l.begins, int32(len(l.list)))
}

// add adds a piece of the last source.
func (l *pieces) add(p piece) {
	if p.from > 0 {
		l.later = append(l.later, p)
		l.list = append(l.list, begun{conversation: -int32(len(l.later))})
		return
	}
	l.list = append(l.list, begun{p.conversation, p.to, p.targets})
}

func (l *pieces) len() int { return len(l.list) }

// at is piece i.
func (l *pieces) at(i int) piece {
	p := l.list[i]
	if p.conversation < 0 {
		return l.later[-1-p.conversation]
	}
	return piece{int32(l.sourceOf(i)), p.conversation, 0, p.to, p.targets}
}

// size is how many tokens and targets piece i has.
func (l *pieces) size(i int) (tokens, targets int32) {
	p := &l.list[i]
	if p.conversation < 0 {
		later := l.later[-1-p.conversation]
		return later.to - later.from, later.targets
	}
	return p.to, p.targets
}

// sourceOf is the source of piece i.
func (l *pieces) sourceOf(i int) int {
	if len(l.begins) == 1 {
		return 0
	}
	return sort.Search(len(l.begins), func(k int) bool { return int(l.begins[k]) > i }) - 1
}

// cut returns the first limit tokens of a whole conversation, whose targets these are, or with split all of it in pieces
// of at most limit tokens. A piece without targets is left out.
func (whole piece) cut(target [][2]int32, limit int32, split bool) (pieces []piece) {
	for from := int32(0); from < whole.to; from += limit {
		p := piece{whole.source, whole.conversation, from, min(from+limit, whole.to), 0}
		for _, t := range within(target, p.from, p.to) {
			p.targets += t[1] - max(t[0], 1)
		}
		if p.targets > 0 {
			pieces = append(pieces, p)
		}
		if !split {
			break
		}
	}
	return pieces
}

// within cuts ranges to [from, to) and counts them from there.
func within(ranges [][2]int32, from, to int32) [][2]int32 {
	var out [][2]int32
	for _, t := range ranges {
		if a, b := max(t[0], from), min(t[1], to); a < b {
			out = append(out, [2]int32{a - from, b - from})
		}
	}
	return out
}
