package prose

import (
	"cmp"
	"slices"
	"sync"
)

// Near copies are found by MinHash with one permutation (Li, Owen and Zhang
// 2012; empty bins borrow from their neighbours as in Shrivastava and Li 2014)
// over five-grams of units. 128 bins in 32 bands of four find a pair that has 0.8 of
// its grams in common with a probability above 0.999, and of 0.6 with 0.98; what they
// find is counted again over all bins.
const (
	nearGram   = 5
	nearBins   = 128
	nearBands  = 32
	nearRows   = nearBins / nearBands
	nearBucket = 64 // that one text is compared with in a bucket
)

// Sketch is what a text's near copies are known by.
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

// SketchOf sketches texts, together as one. Where they have no units they are alike if
// alone, a hash of them, is the same.
func SketchOf(alone func() uint64, texts ...string) *Sketch {
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
	for _, text := range texts {
		units, _ := appendUnits((*held)[:0], text)
		*held = units
		for i := 0; i+nearGram <= len(units); i++ {
			add(units[i : i+nearGram])
		}
		if n := len(units); n > 0 && n < nearGram {
			add(units)
		}
	}
	if !any {
		add([]uint64{alone()})
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

// Share estimates the part of the grams that two texts have in common.
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

// NearCopies tells for each text of which earlier one it is a near copy, be that a copy itself or
// not; -1: of none. alike compares two texts that may be. Memory is linear, and each text is
// compared with at most 64 others for each of its 32 bands.
func NearCopies(sketches []*Sketch, alike func(i, j int) bool) []int {
	type held struct {
		key uint32
		at  int32
	}
	of := make([]int, len(sketches))
	for i := range of {
		of[i] = -1
	}
	all := make([]held, len(sketches))
	for band := range nearBands {
		for i, s := range sketches {
			all[i] = held{s.Bands[band], int32(i)}
		}
		slices.SortFunc(all, func(a, b held) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.at, b.at)) })
		for i, start := 0, 0; i < len(all); i++ {
			if all[i].key != all[start].key {
				start = i
			}
			for j := start; j < min(i, start+nearBucket); j++ {
				if of[all[i].at] < 0 && alike(int(all[i].at), int(all[j].at)) {
					of[all[i].at] = int(all[j].at)
					break
				}
			}
		}
	}
	return of
}
