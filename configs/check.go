package configs

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"lwtrain/data"
)

// checker collects what is wrong between values. Keys whose own value is wrong
// already are passed over: what would be said of them is a consequence.
type checker struct {
	c        *Config
	at       Origin          // where a key that is not there is missed
	wrong    map[string]bool // keys with a problem of their own
	within   map[string]bool // and what they lie in
	problems Problems
}

// check looks at values against each other. found are the problems so far.
func (c *Config) check(at Origin, found Problems) Problems {
	k := &checker{c: c, at: at, wrong: map[string]bool{}, within: map[string]bool{}}
	for _, p := range found {
		if (p.Path == "" || p.Path == "recipe") && p.Origin.Kind != Argument {
			return nil // the file, or what it starts from, could not be read at all
		}
		k.wrong[p.Path], k.wrong[p.meant] = true, true
		for path := parent(p.Path); path != ""; path = parent(path) {
			k.within[path] = true
		}
	}
	if c.Pairs.Server.URL == "" { // else it answers
		k.options("model", c.Model.Validate(), "model.init")
	}
	k.options("train", c.Train.Validate())
	k.options("dpo", c.DPO.Validate(), "dpo.loss_type")
	k.options("pairs", c.Pairs.Validate())
	k.sources()
	k.lengths()
	k.heldOut()
	if c.Output.Dir == "" {
		k.bad("output.dir", "empty, want a folder")
	}
	return k.problems
}

func parent(path string) string {
	return path[:max(0, strings.LastIndexAny(path, ".["))]
}

// bad notes a problem at path, unless path or one of the keys it depends on has
// one already. It stands where the value came from.
func (k *checker) bad(path, text string, dependsOn ...string) {
	for _, p := range append(dependsOn, path) {
		if k.within[p] {
			return
		}
		for ; p != ""; p = parent(p) {
			if k.wrong[p] {
				return
			}
		}
	}
	o := k.c.origins[path]
	for p := path; o.Kind == Default && p != ""; p = parent(p) {
		o = k.c.origins[p]
	}
	if o.Kind == Default {
		o = k.at
	}
	k.problems = append(k.problems, Problem{Origin: o, Path: path, Text: text})
}

// options takes over what a package says about its own Options.
func (k *checker) options(section string, bad map[string]string, dependsOn ...string) {
	for key, text := range bad {
		path := section + "." + key
		if path == "model.init" {
			path = "model.init.config"
		}
		k.bad(path, text, dependsOn...)
	}
}

func (k *checker) sources() {
	const path = "data.sources"
	sources := k.c.Data.Sources
	if len(sources) == 0 {
		k.bad(path, "missing, want a list of {name: ..., path: ...}")
		return
	}
	seen := map[string]string{}
	k.names(seen, path, sources)
	k.names(seen, "data.held_out", k.c.Data.HeldOut.Sources)
	for i, s := range sources {
		k.source(fmt.Sprintf("%s[%d]", path, i), s)
	}
	for i, s := range k.c.Data.HeldOut.Sources {
		k.heldOutSource(fmt.Sprintf("data.held_out[%d]", i), s)
	}
	k.probabilities(path, sources)
	carry := false
	for _, s := range sources {
		carry = carry || s.LossFactor > 0
	}
	if !carry {
		k.bad(path, "every loss_factor is 0, want at least one above 0")
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

func (k *checker) lengths() {
	capacity, longest := k.c.Packing.Capacity, k.c.Data.MaxLength
	switch at := k.c.origins; {
	case capacity >= longest:
	case at["data.max_length"].Kind > at["packing.capacity"].Kind:
		k.bad("data.max_length", fmt.Sprintf("%d, want at most packing.capacity (%d): the longest samples would fit no pack", longest, capacity),
			"packing.capacity")
	default:
		k.bad("packing.capacity", fmt.Sprintf("%d, want at least data.max_length (%d): the longest samples would fit no pack", capacity, longest),
			"data.max_length")
	}
}

func (k *checker) heldOut() {
	d := k.c.Data
	if d.HeldOut.IsZero() {
		if k.c.Train.EvalSteps > 0 {
			k.bad("train.eval_steps", fmt.Sprintf("%d, but data.held_out leaves nothing to measure on, want 0, or held-out samples", k.c.Train.EvalSteps),
				"data.held_out")
		}
		if k.c.Sample.Prompts > 0 {
			k.bad("sample.prompts", fmt.Sprintf("%d, but data.held_out leaves no prompts, want 0, or held-out samples", k.c.Sample.Prompts),
				"data.held_out")
		}
	}
	all := 0
	for _, s := range d.Sources {
		if s.Samples == 0 {
			all = math.MaxInt // known when the data is read
			break
		}
		all += s.Samples
	}
	if n := d.HeldOut.Count; n > 0 && n >= all {
		k.bad("data.held_out", fmt.Sprintf("%d, want fewer than the %d samples of data.sources, so that some are left to train on", n, all), "data.sources")
	}
	trained := map[string]int{}
	for i, s := range d.Sources {
		for _, path := range s.AllPaths() {
			trained[filepath.Clean(path)] = i
		}
	}
	for i, s := range d.HeldOut.Sources {
		for _, path := range s.AllPaths() {
			if j, ok := trained[filepath.Clean(path)]; ok {
				k.bad(fmt.Sprintf("data.held_out[%d].path", i),
					fmt.Sprintf("%s, which data.sources[%d] trains on, want a file of its own", quoted(path), j))
			}
		}
	}
}
