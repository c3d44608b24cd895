package pairs

import (
	"lwtrain/data/record"
	"lwtrain/internal/llm"
	"lwtrain/internal/prose"
)

// Candidate is an answer to a prompt and how it is rated, a line of samples.jsonl.
type Candidate struct {
	Prompt   int    `json:"prompt"` // counted from 0
	Number   int    `json:"sample"` // of the answer to it, from 0
	Origin   string `json:"origin"` // of the prompt, file:line
	Required int    `json:"required_words,omitempty"`
	Least    int    `json:"min_words,omitempty"`
	Most     int    `json:"max_words,omitempty"`
	Words    int    `json:"words"`
	Tokens   int    `json:"tokens"`
	Stop     string `json:"stop"` // llm.StopEOS or llm.StopLength
	Rating
	Answer string `json:"answer"`
}

// Rating is what an answer is worth. A part that was not made is nil.
type Rating struct {
	Length  *float64           `json:"length_score,omitempty"`     // S_l, 0 to 100
	Range   *float64           `json:"range_score,omitempty"`      // LongWriter-Zero's, 0 to 100
	New     *float64           `json:"repetition_score,omitempty"` // 0 to 100, 100: nothing comes again
	End     *float64           `json:"end_score,omitempty"`        // 100: the model ended it, else 0
	Quality *float64           `json:"judge_score,omitempty"`      // S_q, 0 to 100
	Marks   map[string]float64 `json:"judge_ratings,omitempty"`    // of the judge, 1 to 5, which S_q is made of
	Command *float64           `json:"command_score,omitempty"`    // of the user's command
	Total   *float64           `json:"score,omitempty"`            // nil: one that was wanted is missing
}

// total is the weighted mean of the parts that are wanted of an answer to a prompt:
// the length's only where a length or a range is asked for. It is nil where one is missing, or
// none is wanted.
func (o Options) total(r Rating, p record.Prompt) *float64 {
	sum, weights := 0.0, 0.0
	for _, part := range o.parts(p) {
		value := part.of(r)
		if value == nil {
			return nil
		}
		sum += part.weight * *value
		weights += part.weight
	}
	if weights == 0 {
		return nil
	}
	sum /= weights
	return &sum
}

// Rates reports whether an answer to a prompt has any part of a rating.
func (o Options) Rates(p record.Prompt) bool { return len(o.parts(p)) > 0 }

// part is a part of a rating with its weight.
type part struct {
	weight float64
	of     func(Rating) *float64
}

// parts are those that are wanted of an answer to a prompt.
func (o Options) parts(p record.Prompt) (out []part) {
	for _, x := range []struct {
		wanted bool
		part
	}{
		{p.Required > 0, part{o.LengthWeight, func(r Rating) *float64 { return r.Length }}},
		{p.Ranged(), part{o.LengthWeight, func(r Rating) *float64 { return r.Range }}},
		{true, part{o.RepetitionWeight, func(r Rating) *float64 { return r.New }}},
		{true, part{o.EndWeight, func(r Rating) *float64 { return r.End }}},
		{o.Judge.URL != "", part{o.JudgeWeight, func(r Rating) *float64 { return r.Quality }}},
		{len(o.Command) > 0, part{o.CommandWeight, func(r Rating) *float64 { return r.Command }}},
	} {
		if x.wanted && x.weight > 0 {
			out = append(out, x.part)
		}
	}
	return out
}

// rate adds the parts that nobody has to be asked for.
func (o Options) rate(c *Candidate) {
	score := func(v float64) *float64 { return &v }
	if c.Required > 0 {
		c.Length = score(prose.LengthScore(c.Required, c.Words))
	}
	if c.Least+c.Most > 0 {
		limit := o.RangeLimit
		if limit == 0 {
			limit = 2 * c.Most
		}
		c.Range = score(prose.RangeScore(c.Least, c.Most, limit, c.Words))
	}
	if o.RepetitionWeight > 0 {
		c.New = score(100 * (1 - prose.Repeated(c.Answer)))
	}
	if o.EndWeight > 0 {
		c.End = score(0)
		if c.Stop == llm.StopEOS {
			*c.End = 100
		}
	}
}
