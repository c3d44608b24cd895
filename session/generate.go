package session

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"path/filepath"
	"strconv"

	"lwtrain/answers"
	"lwtrain/chat"
	"lwtrain/checkpoints"
	"lwtrain/configs"
	"lwtrain/data/record"
	"lwtrain/internal/fault"
	"lwtrain/internal/human"
	"lwtrain/internal/llm"
	"lwtrain/internal/machine"
	"lwtrain/internal/rundir"
	"lwtrain/model"
	"lwtrain/serve"
	"lwtrain/talk"
	"lwtrain/tokenizer"
)

// Generator writes with a model: it continues prompts or, with a chat template, answers
// them. Order of calls: OpenGenerator, UseTemplate, Load, Decoder, Close; what is wrong with
// prompts is known before weights are read ([llm.Decoder.Texts]).
type Generator struct {
	Tokenizer *tokenizer.Tokenizer

	parts    parts
	events   Events
	template *chat.Template // nil: prompts are continued as they are
	weights  *model.Model
}

// OpenGenerator opens the model of a folder, a checkpoint or a run's folder among them, or of
// a name on the hub, which is fetched. Of an adapter base is the model that it is for; "": the one that its
// files name. Weights are not read yet.
func OpenGenerator(ctx context.Context, name, base string, e Events) (*Generator, error) {
	dir, err := ModelFolder(ctx, name, e)
	if err != nil {
		return nil, err
	}
	p, err := partsOf(ctx, dir, base, e)
	if err != nil {
		return nil, err
	}
	tok, err := tokenizer.Load(p.tokenizer())
	return &Generator{Tokenizer: tok, parts: p, events: e}, err
}

// UseTemplate puts prompts into a chat template: auto (the model's own), a shipped name
// or a .jinja file.
func (g *Generator) UseTemplate(template string) (err error) {
	g.template, err = chat.Open(g.Tokenizer, template)
	return err
}

// Load reads the weights, in one of the [Precisions].
func (g *Generator) Load(precision string) (err error) {
	g.weights, err = g.parts.loadToAnswer(precision, g.events)
	return err
}

// Decoder is what answers, batch texts at a time.
func (g *Generator) Decoder(batch int) *llm.Decoder {
	return &llm.Decoder{Model: g.weights, Tokenizer: g.Tokenizer, Template: g.template, Batch: batch}
}

// Identity is what the answers to a job's prompts depend on. How many are answered together is
// no part of it. How the prompts were made, and in which precision they are answered, is the caller's to say.
func (g *Generator) Identity(j answers.Job, settings map[string]string) (id rundir.Identity, err error) {
	id.Contents, id.Settings = map[string]string{}, settings
	if id.Contents["model"], err = g.parts.fingerprint(); err != nil {
		return id, err
	}
	id.Contents["tokenizer and template"] = g.Tokenizer.Fingerprint()
	if g.template != nil {
		id.Contents["tokenizer and template"] = g.template.Fingerprint()
	}
	if id.Contents["prompts"], err = contentOf(j.Prompts); err != nil {
		return id, err
	}
	id.Contents["ids of prompts"] = idsOf(j.Prompts)
	number := func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
	settings["max_new_tokens"], settings["temperature"] = strconv.Itoa(j.MaxTokens), number(j.Sampling.Temperature)
	if j.Sampling.Temperature > 0 {
		settings["top_p"], settings["seed"] = number(j.Sampling.TopP), strconv.FormatUint(j.Sampling.Seed, 10)
	}
	return id, nil
}

// idsOf is a hash of where prompts stand and what they are called.
func idsOf(prompts []record.Prompt) string {
	h := sha256.New()
	for _, p := range prompts {
		fmt.Fprintf(h, "%d %s\n", p.Line, p.ID)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Close frees the weights.
func (g *Generator) Close() {
	if g.weights != nil {
		g.weights.Free()
	}
}

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
				g.events.warn("texts may have %s of the model's %s tokens: %d at a time may take %s, and %s are free; --context and "+
					"--batch say otherwise", human.Grouped(o.Context), human.Grouped(context), o.Batch,
					human.Bytes(needs), human.Bytes(free))
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
