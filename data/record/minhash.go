package record

import (
	"sync"

	"lwtrain/chat"
	"lwtrain/internal/prose"
)

// Near copies are found by MinHash with one permutation (Li, Owen and Zhang
// 2012; empty bins borrow from their neighbours as in Shrivastava and Li 2014)
// over five-grams of words, or of characters of scripts without blanks. 128 bins
// in 32 bands of four find a pair that has 0.8 of its grams in common with a
// probability above 0.999; what they find is counted again over all bins.
const (
	nearGram  = 5
	nearBins  = 128
	nearBands = 32
	nearRows  = nearBins / nearBands
)

// Sketch is what a conversation's near copies are known by.
type Sketch struct {
	Bands [nearBands]uint32
	Least [nearBins]uint8 // of each bin's least hash, eight bits
}

// mix64 is the finaliser of SplitMix64 (Steele, Lea and Flood 2014).
func mix64(h uint64) uint64 {
	h = (h ^ h>>30) * 0xBF58476D1CE4E5B9
	h = (h ^ h>>27) * 0x94D049BB133111EB
	return h ^ h>>31
}

var unitsPool = sync.Pool{New: func() any { return new([]uint64) }}

// minhash sketches all that is said in a conversation.
func minhash(messages []chat.Message) *Sketch {
	held := unitsPool.Get().(*[]uint64)
	defer unitsPool.Put(held)
	const none = ^uint64(0)
	var least [nearBins]uint64
	for i := range least {
		least[i] = none
	}
	any := false
	add := func(units []uint64) {
		h := uint64(len(units))
		for _, u := range units {
			h = mix64(h ^ u)
		}
		bin := h >> 57
		least[bin] = min(least[bin], h&(1<<57-1))
		any = true
	}
	for _, m := range messages {
		for _, text := range []string{m.Content, m.Reasoning} {
			units, _ := prose.AppendUnits((*held)[:0], text)
			*held = units
			for i := 0; i+nearGram <= len(units); i++ {
				add(units[i : i+nearGram])
			}
			if n := len(units); n > 0 && n < nearGram {
				add(units)
			}
		}
	}
	if !any { // no word at all: only exact copies are alike
		add([]uint64{hashMessages(messages)})
	}
	s := &Sketch{}
	for i := range least {
		v, away := least[i], 0
		for v == none {
			away++
			v = least[(i+away)%nearBins]
		}
		v = mix64(v + uint64(away)<<57)
		s.Least[i] = uint8(v)
		band := &s.Bands[i/nearRows]
		*band = *band*0x9E3779B1 ^ uint32(v>>8)
	}
	return s
}

// Share estimates the part of the grams that two conversations have in common.
func (s *Sketch) Share(o *Sketch) float64 {
	same := 0
	for i, v := range s.Least {
		if v == o.Least[i] {
			same++
		}
	}
	const byChance = 1.0 / 256
	return max(0, (float64(same)/nearBins-byChance)/(1-byChance))
}
