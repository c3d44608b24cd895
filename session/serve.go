package session

import (
	"fmt"
	"io"
	"path/filepath"

	"lwtrain/checkpoints"
	"lwtrain/configs"
	"lwtrain/internal/fault"
	"lwtrain/internal/human"
	"lwtrain/internal/machine"
	"lwtrain/internal/rundir"
	"lwtrain/serve"
	"lwtrain/talk"
)

// Trained names the model that a config has come to: its run's folder where that holds a checkpoint, else the model
// that it begins with.
func Trained(c *configs.Config) (name string, err error) {
	found, err := checkpoints.List(filepath.Join(c.Output.Dir, rundir.Checkpoints))
	switch {
	case err == nil && len(found) > 0:
		return c.Output.Dir, nil
	case c.Model.Path != "":
		return c.Model.Path, nil
	}
	return "", fault.Usage(fault.Hint(fmt.Errorf("%s holds no checkpoint, and the config begins with a fresh model", c.Output.Dir),
		"`lwtrain sft` trains one"))
}

// Server is what answers requests over HTTP. Options.Context 0 takes what the model has positions for, as far as there is
// memory for a full batch of such texts.
func (g *Generator) Server(o serve.Options) (*serve.Server, error) {
	const least = 256
	given := o.Context > 0
	context := g.Context(o.Context)
	free := machine.ReadMemory().Available()
	for o.Context = context; ; o.Context /= 2 {
		s := serve.New(g.weights, g.Tokenizer, g.template, o)
		needs := s.Memory()
		switch {
		case needs <= free:
			if o.Context < context {
				g.events.warn("texts may have %s of the model's %s tokens: %d at a time may take %s, and %s are free; --context and --batch "+
					"say otherwise", human.Grouped(o.Context), human.Grouped(context), o.Batch, human.Bytes(needs), human.Bytes(free))
			}
			return s, nil
		case given || o.Context/2 < least:
			return nil, fault.Usage(fault.Hint(fmt.Errorf("%d texts of %s tokens at a time may take %s, and %s are free", o.Batch,
				human.Grouped(o.Context), human.Bytes(needs), human.Bytes(free)), "--context and --batch lower that"))
		}
	}
}

// Context is how many tokens a text may have where so many are asked for; 0: as many as the model has positions for.
func (g *Generator) Context(asked int) int {
	const unknown = 4096
	most := g.weights.Config.MaxTokens
	switch {
	case asked > 0 && most > 0 && asked > most:
		g.events.warn("texts may have %s tokens, and the model has seen positions up to %s: the rest is new to it",
			human.Grouped(asked), human.Grouped(most))
		return asked
	case asked > 0:
		return asked
	case most > 0:
		return most
	}
	return unknown
}

// Talk begins a conversation, whose answers go to out and all else that is said to notes. Options.Context 0 takes what the
// model has positions for.
func (g *Generator) Talk(o talk.Options, out, notes io.Writer) *talk.Talk {
	o.Context = g.Context(o.Context)
	return talk.New(g.weights, g.Tokenizer, g.template, o, out, notes)
}
