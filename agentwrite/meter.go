package agentwrite

import (
	"context"
	"unicode/utf8"

	"lwtrain/internal/llm"
	"lwtrain/internal/prose"
)

// Spent is what a job has taken so far, replies that were kept among it.
type Spent struct {
	Calls     int     `json:"calls"`
	Prompt    int     `json:"prompt_tokens"`
	Reply     int     `json:"reply_tokens"`
	Cost      float64 `json:"cost"`      // by the price
	Estimated int     `json:"estimated"` // calls whose tokens the server did not say: they are estimated by words

	Lost float64 `json:"-"` // cost of replies that failed since the job was begun or gone on with: they are kept nowhere
}

// meter counts what a job takes.
type meter struct {
	Spent
	price  Price
	budget float64 // 0: any
	asking bool    // what is not kept: the budget counts
}

// add counts a reply that is one, and returns it with its tokens, which are estimated where the server does not say them.
func (m *meter) add(r llm.Request, reply llm.Reply) llm.Reply {
	prompt, tokens, estimated := reply.Prompt, reply.Tokens, 0
	if reply.Failed != "" && prompt+tokens == 0 && reply.Text+reply.Reasoning == "" {
		return reply // nothing was read or written that a server would count
	}
	if tokens == 0 && reply.Text != "" || prompt == 0 {
		estimated = 1
		if prompt == 0 {
			for _, message := range r.Messages {
				prompt += tokensOf(message.Content)
			}
		}
		if tokens == 0 {
			tokens = tokensOf(reply.Text) + tokensOf(reply.Reasoning)
		}
	}
	cost := m.price.of(prompt, tokens)
	if reply.Failed != "" {
		m.Lost += cost
		return reply
	}
	m.Calls++
	m.Prompt += prompt
	m.Reply += tokens
	m.Cost += cost
	m.Estimated += estimated
	reply.Prompt, reply.Tokens = prompt, tokens
	return reply
}

func (p Price) of(prompt, reply int) float64 {
	return (p.Input*float64(prompt) + p.Output*float64(reply)) / 1e6
}

func (m *meter) spent() bool { return m.budget > 0 && m.asking && m.Cost+m.Lost >= m.budget }

// tokensOf is about how many tokens a text has: 4 for 3 words, or for 12 bytes where it has few.
func tokensOf(text string) int {
	return max(prose.Words(text)*4/3, utf8.RuneCountInString(text)/4)
}

// fresh answers what is not kept, as long as the budget lasts.
type fresh struct {
	*meter
	from llm.Answerer
}

// Converse implements [llm.Answerer].
func (f *fresh) Converse(ctx context.Context, requests []llm.Request, done func(int, llm.Reply) ([]llm.Request, error)) error {
	f.asking = true
	if f.spent() {
		return llm.ErrEnough
	}
	return f.from.Converse(ctx, requests, done)
}

// Progress is how far a job is.
type Progress struct {
	Spent
	Items, Ended, Written, Dropped int // that were selected; that are through, whatever came of them
}

// add counts an item, or with -1 counts it no more.
func (p *Progress) add(it *Item, n int) {
	switch {
	case it.Stage == Select:
		return
	case it.State == Dropped:
		p.Dropped += n
	case it.Stage == Filter:
		p.Written += n
	}
	p.Items += n
	p.Ended = p.Dropped + p.Written
}
