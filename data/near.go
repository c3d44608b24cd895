package data

import (
	"cmp"
	"slices"

	"lwtrain/data/record"
)

const (
	nearShare  = 0.8 // of its grams that a near copy has in common with a conversation
	nearBucket = 64  // that one sample is compared with in a bucket
)

// nearCopies tells for each sample whether it is a near copy of an earlier one,
// be that a copy itself or not. alike compares two samples that may be.
func nearCopies(samples []*record.Sketch, alike func(i, j int) bool) []bool {
	type held struct {
		key uint32
		at  int32
	}
	out := make([]bool, len(samples))
	all := make([]held, len(samples))
	for band := range len(record.Sketch{}.Bands) {
		for i, s := range samples {
			all[i] = held{s.Bands[band], int32(i)}
		}
		slices.SortFunc(all, func(a, b held) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.at, b.at)) })
		for i, start := 0, 0; i < len(all); i++ {
			if all[i].key != all[start].key {
				start = i
			}
			for j := start; j < min(i, start+nearBucket); j++ {
				if !out[all[i].at] && alike(int(all[i].at), int(all[j].at)) {
					out[all[i].at] = true
					break
				}
			}
		}
	}
	return out
}
