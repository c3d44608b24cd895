package session

import (
	"context"

	"lwtrain/chat"
	"lwtrain/model"
	"lwtrain/tokenizer"
)

// Generator writes with a model: it continues prompts or, with a chat template, answers
// them. Order of calls: OpenGenerator, UseTemplate, Continue or Answer, Load, Generate, Close; so
// what is wrong with prompts is known before weights are read.
type Generator struct {
	Tokenizer *tokenizer.Tokenizer

	dir      string
	template *chat.Template // nil: prompts are continued as they are
	weights  *model.Model
}

// OpenGenerator opens the model of a folder, a checkpoint among them, or of a name on the
// hub, which is fetched. Its weights are not read yet.
func OpenGenerator(ctx context.Context, name string, e Events) (*Generator, error) {
	dir, err := modelFolder(ctx, name, e)
	if err != nil {
		return nil, err
	}
	tok, err := tokenizer.Load(dir)
	return &Generator{Tokenizer: tok, dir: dir}, err
}

// UseTemplate puts prompts into a chat template: auto (the model's own), a shipped name
// or a .jinja file.
func (g *Generator) UseTemplate(template string) (err error) {
	g.template, err = chat.Open(g.Tokenizer, template)
	return err
}

// Continue is the request that a text is gone on with. How it is sampled, and how far, is left
// to the caller.
func (g *Generator) Continue(text string) model.Request {
	return model.Request{Prompt: g.Tokenizer.Encode(text), Stop: g.Tokenizer.EOS()}
}

// Answer is the request that a conversation is answered, in the template.
func (g *Generator) Answer(messages []chat.Message) (model.Request, error) {
	_, ids, err := g.template.Prompt(messages)
	return model.Request{Prompt: ids, Stop: g.template.Stop()}, err
}

// Load reads the weights, in one of the [Precisions].
func (g *Generator) Load(precision string) (err error) {
	g.weights, err = loadToAnswer(g.dir, precision)
	return err
}

// Generate writes what follows the prompts of requests, batch of them at a time.
func (g *Generator) Generate(ctx context.Context, requests []model.Request, batch int) ([]model.Generated, error) {
	return model.NewGenerator(g.weights).Generate(ctx, requests, batch)
}

// Close frees the weights.
func (g *Generator) Close() {
	if g.weights != nil {
		g.weights.Free()
	}
}
