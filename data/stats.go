package data

import (
	"maps"
	"slices"

	"lwtrain/data/record"
	"lwtrain/data/store"
)

// SourceStats is what is in one source, or in the mix of all. The keys are older than
// the package's words: under samples conversations are counted that are used, the
// held-out ones included, and under pieces what they are cut into, which are the samples
// of a [Set]. Tokens are those of the pieces.
type SourceStats struct {
	Name         string         `json:"name"`
	Path         string         `json:"path,omitempty"`
	Format       string         `json:"format,omitempty"` // of its records
	Samples      int            `json:"samples"`
	Pairs        int            `json:"pairs,omitempty"`            // of a better and a worse answer, each counted under samples
	HeldOut      int            `json:"held_out"`                   // of the samples
	HeldOutLong  int            `json:"held_out_longer,omitempty"`  // pieces of them that are longer than max_length
	HeldOutMost  int            `json:"held_out_longest,omitempty"` // tokens of the longest of these
	HeldOutCut   Shortened      `json:"held_out_cut,omitzero"`      // of them, those that are too long themselves
	Pieces       int            `json:"pieces"`                     // more than samples where long ones are split
	Turns        int            `json:"turns"`                      // messages of the assistant
	Words        int64          `json:"words"`                      // in them, by [prose.Words]; of the whole conversation where it is cut
	Tokens       int64          `json:"tokens"`                     //
	TargetTokens int64          `json:"target_tokens"`              // of those: they carry loss
	Chosen       Side           `json:"chosen,omitzero"`            // of preferences, and so of single labelled answers the good ones
	Rejected     Side           `json:"rejected,omitzero"`
	Dropped      map[string]int `json:"dropped"`             // records that are not used, by reason; of pairs pairs
	Unread       map[string]int `json:"unread,omitempty"`    // records that are used, by their keys that nothing reads
	Cut          int            `json:"cut"`                 // samples to train on longer than max_length, truncated or split
	LostTokens   int64          `json:"lost_tokens"`         // of samples dropped or cut for their length
	LostEnds     int            `json:"lost_ends,omitempty"` // of the samples that are cut: their last answer's end is not there
	Undrawn      int            `json:"-"`                   // records that samples, fraction or tokens of the source leave out
	Epoch        Epoch          `json:"epoch"`
	LossFactor   float64        `json:"loss_factor,omitempty"`
	Notes        []string       `json:"notes,omitempty"` // what else its owner should know
	Cache        string         `json:"cache,omitempty"`
	Tokenised    string         `json:"tokenised,omitempty"` // why now and not taken from the cache; "": it was taken from there

	whole histogram // tokens of each sample that could be used, before cutting, the dropped ones too
}

// Paired reports whether all that is used are pairs.
func (s *SourceStats) Paired() bool { return s.Pairs > 0 && 2*s.Pairs == s.Samples }

// Preferences reports whether all that is used are answers with another one, or with a
// label, and there are some of both kinds.
func (s *SourceStats) Preferences() bool {
	return s.Chosen.Answers > 0 && s.Rejected.Answers > 0 && s.Chosen.Answers+s.Rejected.Answers == s.Samples
}

// Shortened are held-out samples that are truncated or split.
type Shortened struct {
	Samples    int   `json:"samples"`
	Pieces     int   `json:"pieces"`
	LostTokens int64 `json:"lost_tokens"`
}

// CutPieces is how many pieces the samples to train on that are cut are cut into.
func (s *SourceStats) CutPieces() int {
	return s.Pieces - s.HeldOutCut.Pieces - (s.Samples - s.Cut - s.HeldOutCut.Samples)
}

// Epoch is what an epoch has of a source, as often as it is repeated and without
// what is held out.
type Epoch struct {
	Samples      int   `json:"samples"` // pieces, where long ones are split
	Tokens       int64 `json:"tokens"`
	TargetTokens int64 `json:"target_tokens"`
}

func (s *SourceStats) drop(reason string, n int) {
	s.Dropped[reason] += n
}

func (s *SourceStats) leaveUnread(key string, n int) {
	if s.Unread == nil {
		s.Unread = map[string]int{}
	}
	s.Unread[key] += n
}

// shorten counts a conversation that is cut into pieces; false: none has a target, and it is dropped.
func (s *SourceStats) shorten(e store.Entry, target [][2]int32, pieces []piece, heldOut bool) bool {
	lost := int64(e.Tokens)
	for _, p := range pieces {
		lost -= int64(p.to - p.from)
	}
	switch n := len(target); {
	case len(pieces) == 0:
		s.drop("too_long", 1)
	case heldOut:
		s.HeldOutCut.Samples++
		s.HeldOutCut.Pieces += len(pieces)
		s.HeldOutCut.LostTokens += lost
		return true
	default:
		s.Cut++
		if n > 0 && target[n-1][1] > pieces[len(pieces)-1].to {
			s.LostEnds++
		}
	}
	s.LostTokens += lost
	return len(pieces) > 0
}

// take counts a conversation that is used; those to train on have limit tokens at most.
func (s *SourceStats) take(e store.Entry, pieces []piece, heldOut bool, limit int) {
	s.Samples++
	if heldOut {
		s.HeldOut++
	}
	s.Pieces += len(pieces)
	s.Turns += int(e.Turns)
	s.Words += int64(e.Words)
	switch e.Kind {
	case record.Chosen, record.Liked:
		s.Chosen.take(1, int64(e.Words), int64(e.Targets))
	case record.Rejected, record.Disliked:
		s.Rejected.take(1, int64(e.Words), int64(e.Targets))
	}
	for _, p := range pieces {
		if n := int(p.to - p.from); n > limit { // none is trained on
			s.HeldOutLong++
			s.HeldOutMost = max(s.HeldOutMost, n)
		}
		s.Tokens += int64(p.to - p.from)
		s.TargetTokens += int64(p.targets)
	}
}

// mixOf adds up the statistics of sources.
func mixOf(sources []SourceStats) SourceStats {
	mix := SourceStats{Name: "mix", Dropped: map[string]int{}}
	for _, x := range sources {
		mix.Samples += x.Samples
		mix.HeldOut += x.HeldOut
		mix.HeldOutLong += x.HeldOutLong
		mix.HeldOutCut.Samples += x.HeldOutCut.Samples
		mix.HeldOutCut.Pieces += x.HeldOutCut.Pieces
		mix.HeldOutCut.LostTokens += x.HeldOutCut.LostTokens
		mix.HeldOutMost = max(mix.HeldOutMost, x.HeldOutMost)
		mix.Pieces += x.Pieces
		mix.Turns += x.Turns
		mix.Words += x.Words
		mix.Tokens += x.Tokens
		mix.TargetTokens += x.TargetTokens
		mix.Cut += x.Cut
		mix.LostTokens += x.LostTokens
		mix.LostEnds += x.LostEnds
		mix.Pairs += x.Pairs
		mix.Chosen.take(x.Chosen.Answers, x.Chosen.Words, x.Chosen.TargetTokens)
		mix.Rejected.take(x.Rejected.Answers, x.Rejected.Words, x.Rejected.TargetTokens)
		mix.Epoch.Samples += x.Epoch.Samples
		mix.Epoch.Tokens += x.Epoch.Tokens
		mix.Epoch.TargetTokens += x.Epoch.TargetTokens
		for _, reason := range slices.Sorted(maps.Keys(x.Dropped)) {
			mix.drop(reason, x.Dropped[reason])
		}
		for _, note := range x.Notes {
			mix.Notes = append(mix.Notes, x.Name+": "+note)
		}
		for _, key := range slices.Sorted(maps.Keys(x.Unread)) {
			mix.leaveUnread(key, x.Unread[key])
		}
		mix.whole.merge(&x.whole)
	}
	return mix
}
