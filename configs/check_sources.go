package configs

import (
	"fmt"
	"maps"
	"slices"

	"lwtrain/data"
	"lwtrain/data/record"
)

// source checks the keys of a source against each other.
func (k *checker) source(at string, s data.Source) {
	bad := s.Filter.Validate()
	for _, key := range slices.Sorted(maps.Keys(bad)) {
		k.bad(at+".filter."+key, bad[key])
	}
	var said []string
	for _, amount := range []struct {
		key  string
		some bool
	}{{"samples", s.Samples > 0}, {"fraction", s.Fraction > 0}, {"tokens", s.Tokens > 0}} {
		if amount.some {
			said = append(said, amount.key)
		}
	}
	if len(said) > 1 {
		k.bad(at+"."+said[1], fmt.Sprintf("given beside %s, want one of samples, fraction and tokens", said[0]))
	}
	for _, from := range slices.Sorted(maps.Keys(s.Roles)) {
		if to := s.Roles[from]; !slices.Contains(record.Roles, to) {
			k.bad(at+".roles."+from, quoted(to)+", want "+oneOf(record.Roles)+nearest(to, record.Roles))
		}
	}
	if s.Probability > 0 && k.c.Data.Mix.Strategy != "interleave" {
		k.bad(at+".probability", fmt.Sprintf("%g, but only interleaved sources are drawn by it, want data.mix.strategy: "+
			"interleave, or samples, fraction, tokens or repeat", s.Probability), "data.mix.strategy")
	}
}

// heldOutSource checks a source that nothing is trained on.
func (k *checker) heldOutSource(at string, s data.Source) {
	if s.Repeat != 1 {
		k.bad(at+".repeat", fmt.Sprintf("%g, want it left out: what is held out is measured once", s.Repeat))
		s.Repeat = 1
	}
	if s.Probability > 0 {
		k.bad(at+".probability", fmt.Sprintf("%g, want it left out: what is held out is not mixed", s.Probability))
		s.Probability = 0
	}
	k.source(at, s)
}

// probabilities checks that those of interleaved sources add up.
func (k *checker) probabilities(path string, sources []data.Source) {
	if k.c.Data.Mix.Strategy != "interleave" {
		return
	}
	if at, problem := data.CheckProbabilities(sources); problem != "" {
		if at >= 0 {
			path = fmt.Sprintf("%s[%d].probability", path, at)
		}
		k.bad(path, problem)
	}
}

// names checks that every source has a name of its own: statistics and metrics
// are kept by it.
func (k *checker) names(seen map[string]string, path string, sources []data.Source) {
	for i, s := range sources {
		here := fmt.Sprintf("%s[%d].name", path, i)
		if first, ok := seen[s.Name]; ok {
			k.bad(here, fmt.Sprintf("%s, which is the name of %s too, want another", quoted(s.Name), first))
			continue
		}
		seen[s.Name] = parent(here)
	}
}
