package data

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"reflect"

	"lwtrain/chat"
	"lwtrain/internal/fault"
	"lwtrain/internal/prose"
)

// Prompt is a conversation that waits for an answer.
type Prompt struct {
	Messages []chat.Message // the last one is not the assistant's
	Required int            // words that are asked for; 0: no length is stated
	Origin   string         // file:line
}

// Prompts reads the prompts of a source, whatever its records hold besides: a
// prompt, an instruction, or messages, without the answers at their end. The words
// asked for are those of the column length, where a record has it, else what the
// last message states ([prose.StatedLength]). Records that can't be used are an error, or
// with skip counted by reason.
func Prompts(ctx context.Context, src Source, length string, skip bool) ([]Prompt, map[string]int, error) {
	src, err := src.located()
	if err != nil {
		return nil, nil, err
	}
	l := src.layout()
	columns := l.topLevel()
	if length != "" {
		columns[length] = true
	}
	from, err := src.records(columns)
	if err != nil {
		return nil, nil, err
	}
	defer from.close()
	var out []Prompt
	var found ingested
	var places []int // of out
	for {
		x, err := from.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = ctx.Err()
		} else {
			err = from.fail(err)
		}
		if err != nil {
			return nil, nil, err
		}
		p, err := l.asked(x, length)
		if err != nil {
			found.drop(x.number, err)
			continue
		}
		out, places = append(out, p), append(places, x.number)
	}
	if len(found.dropped) > 0 && !skip {
		return nil, nil, src.unusable(found.dropped, from.starts)
	}
	for i := range out {
		out[i].Origin = src.at(from.starts, int64(places[i]))
	}
	counts := map[string]int{}
	for _, d := range found.dropped {
		counts[d.Reason] += d.Count
	}
	return out, counts, nil
}

// asked reads what a record asks.
func (l layout) asked(x line, length string) (p Prompt, err error) {
	if x.tooLong {
		return p, bad("too_many_bytes", "a record of more than %d MiB", maxLine>>20)
	}
	f, err := fieldsOf(x.text)
	if err != nil {
		return p, err
	}
	if p.Messages, err = l.prompt(f); err != nil {
		return p, err
	}
	c, err := l.withSystem(f, conversation{messages: p.Messages})
	if err != nil {
		return p, err
	}
	p.Messages = c.messages
	for n := len(p.Messages); n > 0 && p.Messages[n-1].Role == "assistant"; n-- {
		p.Messages = p.Messages[:n-1]
	}
	n := len(p.Messages)
	switch {
	case n == 0 || p.Messages[n-1].Role == "system":
		return p, bad("no_prompt", "a record without a prompt, messages or an instruction (%s)", keysOf(f))
	case c.tools != nil:
		return p, bad("tools", "a record with tools, want a prompt without any")
	case isBlank(p.Messages[n-1]):
		return p, bad("empty_prompt", "the prompt is empty")
	}
	if raw, ok := f[length]; ok && string(raw) != "null" {
		if json.Unmarshal(raw, &p.Required) != nil || p.Required < 0 || p.Required > 1<<30 {
			return p, bad("invalid_length", "%s is %s, want a number of words", length, kindOf(raw))
		}
	} else {
		p.Required = prose.StatedLength(p.Messages[n-1].Content).Words()
	}
	return p, nil
}

// SuitsPrompts refuses what a source of prompts can not have.
func (s Source) SuitsPrompts() error {
	filter := s.Filter
	if filter.StatedLength == "any" {
		filter.StatedLength = ""
	}
	for _, x := range []struct {
		key  string
		said bool
	}{
		{"samples", s.Samples != 0}, {"fraction", s.Fraction != 0}, {"tokens", s.Tokens != 0}, {"repeat", s.Repeat != 0 && s.Repeat != 1},
		{"probability", s.Probability != 0}, {"filter", !reflect.ValueOf(filter).IsZero()},
	} {
		if x.said {
			return fault.Usage(fault.Hint(errors.New("source "+s.Name+" has "+x.key+", which is about samples to train on"), "prompts are all taken; leave it out"))
		}
	}
	return nil
}
