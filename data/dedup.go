package data

import (
	"lwtrain/data/record"
	"lwtrain/internal/prose"
)

const nearShare = 0.8 // of its grams that a near copy has in common with a conversation

// dropCopies drops the items that are copies of earlier ones. Sources that are
// held out come first: what is trained on may not be in them.
func (s *Set) dropCopies(all [][]item, opts Options) {
	if opts.Dedup == "" || opts.Dedup == "none" {
		return
	}
	type place struct{ source, at int }
	var order []place
	n := len(opts.Sources)
	for k := range all {
		i := (k + n) % len(all)
		for at := range all[i] {
			order = append(order, place{i, at})
		}
	}
	copies := make([]map[int]string, len(all))
	drop := func(p place, reason string) {
		if copies[p.source] == nil {
			copies[p.source] = map[int]string{}
		}
		copies[p.source][p.at] = reason
	}
	seen := make(map[[2]uint64]bool, len(order))
	kept := order[:0]
	for _, p := range order {
		key := s.itemHash(p.source, all[p.source][p.at])
		if seen[key] {
			drop(p, "duplicate")
			continue
		}
		seen[key] = true
		kept = append(kept, p)
	}
	if opts.Dedup == "near" {
		sketch := func(p place, rejected bool) *record.Sketch {
			it := all[p.source][p.at]
			k := it.first
			if rejected {
				k = it.rejected
			}
			if k < 0 {
				return nil
			}
			return &s.stores[p.source].Near[k]
		}
		firsts := make([]*record.Sketch, len(kept))
		for i, p := range kept {
			firsts[i] = sketch(p, false)
		}
		for i, of := range prose.NearCopies(firsts, func(i, j int) bool {
			a, b := sketch(kept[i], true), sketch(kept[j], true)
			return (a == nil) == (b == nil) && firsts[i].Share(firsts[j]) >= nearShare && (a == nil || a.Share(b) >= nearShare)
		}) {
			if of >= 0 {
				drop(kept[i], "near_duplicate")
			}
		}
	}
	for i, items := range all {
		left := items[:0]
		for at, it := range items {
			if reason, ok := copies[i][at]; ok {
				s.sources[i].drop(reason, 1)
				continue
			}
			left = append(left, it)
		}
		all[i] = left
	}
}

// itemHash tells items apart by their tokens and targets.
func (s *Set) itemHash(source int, it item) (key [2]uint64) {
	entries := s.stores[source].Entries
	key[0] = entries.At(int(it.first)).Hash
	if it.rejected >= 0 {
		key[1] = entries.At(int(it.rejected)).Hash
	}
	return key
}
