package data

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"

	"lwtrain/data/read"
	"lwtrain/data/record"
	"lwtrain/internal/fault"
)

// Prompts reads the prompts of a source ([record.Layout.Prompt]); files are those of its
// paths that are none of this machine, as in [Run]. length, if not "", is the column that
// holds the number of words that are asked for; a range is read then, too. Records that can't be used are an error, or
// with skip counted by reason.
func Prompts(
	ctx context.Context, options Source, files map[string][]read.File, length string, skip bool,
) (prompts []record.Prompt, dropped map[string]int, err error) {
	src, err := locate(options, files)
	if err != nil {
		return nil, nil, err
	}
	l := src.reading().Layout(nil)
	columns := l.Columns()
	columns[record.IDColumn], columns[record.MinColumn], columns[record.MaxColumn] = true, true, true
	if length != "" {
		columns[length] = true
	}
	from, err := src.open(columns)
	if err != nil {
		return nil, nil, err
	}
	defer from.Close()
	var out []record.Prompt
	var drops record.Drops
	bad := 0
	for {
		x, err := from.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, nil, err
		}
		p, err := l.Prompt(x, length)
		if err != nil {
			drops.Add(x.Number, err)
			bad++
			if err := drops.Hopeless(bad + len(out)); err != nil {
				return nil, nil, fmt.Errorf("%s: %w", src.shown, err)
			}
			continue
		}
		p.Line, p.Origin = x.Number, from.Places().At(x.Number)
		out = append(out, p)
	}
	if len(drops.Dropped) > 0 && !skip {
		return nil, nil, src.unusable(drops.Dropped, from.Places().Starts)
	}
	counts := map[string]int{}
	for _, d := range drops.Dropped {
		counts[d.Reason] += d.Count
	}
	return out, counts, nil
}

// SuitsPrompts refuses what a source of prompts can not have.
func SuitsPrompts(s Source) error {
	filter := s.Filter
	if filter.StatedLength == "any" {
		filter.StatedLength = ""
	}
	for _, x := range []struct {
		key  string
		said bool
	}{
		{"samples", s.Samples != 0}, {"fraction", s.Fraction != 0}, {"tokens", s.Tokens != 0}, {"repeat", s.Repeat != 0 && s.Repeat != 1},
		{"probability", s.Probability != 0}, {"cut_answer", s.CutAnswer.Words != 0}, {"filter", !reflect.ValueOf(filter).IsZero()},
	} {
		if x.said {
			err := fmt.Errorf("source %s has %s, which is about samples to train on", s.Name, x.key)
			return fault.Usage(fault.Hint(err, "prompts are all taken; leave it out"))
		}
	}
	return nil
}
