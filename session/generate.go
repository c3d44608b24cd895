package session

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"

	"lwtrain/answers"
	"lwtrain/chat"
	"lwtrain/data/record"
	"lwtrain/internal/llm"
	"lwtrain/internal/rundir"
	"lwtrain/model"
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
