package configs

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"lwtrain/engine"
	"lwtrain/train"
)

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
	for _, f := range table().root.keys {
		v, _ := c.leaf(f)
		o, ok := v.Interface().(interface{ Validate() map[string]string })
		served := c.Pairs.Server.URL != "" || c.Eval.Server.URL != "" || c.AgentWrite.Writer.URL != ""
		if !ok || f.name == "model" && served { // a server answers
			continue
		}
		k.options(f.name, o.Validate(), decisive[f.name])
	}
	k.sources()
	k.lengths()
	k.heldOut()
	if o := c.Train.Optim; o == train.AdamW8Bit && c.Engine.Kind != engine.Native {
		k.bad("train.optim", fmt.Sprintf("%s, and engine.kind is %s, which does not have it: want %s, or engine.kind: %s",
			o, c.Engine.Kind, train.AdamW, engine.Native), "engine.kind")
	}
	for i, name := range c.Output.ReportTo {
		if slices.Contains(c.Output.ReportTo[:i], name) {
			k.bad("output.report_to", name+" is there twice, want each once")
		}
	}
	if c.Output.Dir == "" {
		k.bad("output.dir", "empty, want a folder")
	}
	return k.problems
}

// decisive is the key of a section that its other problems may follow from.
var decisive = map[string]string{"model": "model.init", "dpo": "dpo.loss_type", "train": "train.lr_scheduler_type"}

func (k *checker) sources() {
	const path = "data.sources"
	sources := k.c.Data.Sources
	if len(sources) == 0 && (k.c.says("eval") || k.c.AgentWrite.Prompts != "") {
		return // they are not read
	}
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

func (k *checker) lengths() {
	capacity, longest := k.c.Packing.Capacity, k.c.Data.MaxLength
	switch at := k.c.origins; {
	case capacity >= longest:
	case at["data.max_length"].Kind > at["packing.capacity"].Kind:
		k.bad("data.max_length",
			fmt.Sprintf("%d, want at most packing.capacity (%d): the longest samples would fit no pack", longest, capacity),
			"packing.capacity")
	default:
		k.bad("packing.capacity",
			fmt.Sprintf("%d, want at least data.max_length (%d): the longest samples would fit no pack", capacity, longest),
			"data.max_length")
	}
}

func (k *checker) heldOut() {
	d := k.c.Data
	if d.HeldOut.IsZero() {
		if n := k.c.Train.EvalSteps; n > 0 {
			k.bad("train.eval_steps",
				fmt.Sprintf("%d, but data.held_out leaves nothing to measure on, want 0, or held-out samples", n), "data.held_out")
		}
		if k.c.Eval.During.Prompts != "" {
			k.bad("eval.during.prompts", "asked at every evaluation, but data.held_out leaves nothing to evaluate on, "+
				"want none, or held-out samples", "data.held_out")
		}
		if n := k.c.Sample.Prompts; n > 0 {
			k.bad("sample.prompts",
				fmt.Sprintf("%d, but data.held_out leaves no prompts, want 0, or held-out samples", n), "data.held_out")
		}
	}
	if k.c.Eval.During.Prompts != "" && k.c.Train.EvalSteps == 0 {
		k.bad("eval.during.prompts", "asked at every evaluation, but train.eval_steps is 0, want none, or evaluations", "train.eval_steps")
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
		k.bad("data.held_out",
			fmt.Sprintf("%d, want fewer than the %d samples of data.sources, so that some are left to train on", n, all), "data.sources")
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

// says reports whether anything is said of a section, beside its defaults.
func (c *Config) says(section string) bool {
	for path, o := range c.origins {
		if o.Kind != Default && strings.HasPrefix(path, section+".") {
			return true
		}
	}
	return false
}
