package answers

import (
	"context"
	"encoding/json"

	"lwtrain/internal/llm"
	"lwtrain/internal/prose"
)

// Compared is what two models answer to the same prompts.
type Compared struct {
	Models  [2]string  `json:"models"`
	Prompts []Pair     `json:"prompts"`
	Means   [2]Average `json:"means"`
}

// Pair is a prompt with the answer of each model.
type Pair struct {
	Line    int             `json:"line"`
	ID      json.RawMessage `json:"id"`
	Prompt  any             `json:"prompt"` // as [Answer.Prompt]
	Stated  *prose.Length   `json:"stated_length"`
	Answers [2]Said         `json:"answers"`
}

// Said is an answer.
type Said struct {
	Words      int      `json:"words"`
	Tokens     int      `json:"tokens"`
	Stop       string   `json:"stop"`
	Repetition float64  `json:"repetition"`
	Score      *float64 `json:"length_score"` // S_l, [prose.LengthScore]; nil: the prompt asks for no length
	Text       string   `json:"text"`
}

// Average is the mean over a model's answers.
type Average struct {
	Words      float64  `json:"words"`
	Tokens     float64  `json:"tokens"`
	Repetition float64  `json:"repetition"`
	Score      *float64 `json:"length_score"` // over prompts that ask for a length
	Ended      int      `json:"ended"`        // how many the model ended itself
}

// Compare has two models answer a job's prompts, one model after the other: open opens what answers for one of them, and
// what closes it; told is called with each answer that has come.
func Compare(ctx context.Context, j Job, models [2]string, open func(side int) (from llm.Answerer, end func(), err error),
	told func(side int, r llm.Reply)) (*Compared, error) {
	c := &Compared{Models: models, Prompts: make([]Pair, len(j.Prompts))}
	requests := make([]llm.Request, len(j.Prompts))
	for i := range requests {
		requests[i] = j.Request(i)
	}
	for side := range models {
		from, end, err := open(side)
		if err != nil {
			return nil, err
		}
		err = llm.Answer(ctx, from, requests, func(i int, r llm.Reply) error {
			a := j.answer(i, r)
			p := &c.Prompts[i]
			p.Line, p.ID, p.Prompt, p.Stated = a.Line, a.ID, a.Prompt, a.Stated
			p.Answers[side] = Said{a.Words, a.Tokens, a.Stop, a.Repetition, nil, a.Text}
			if a.Stated != nil {
				score := prose.LengthScore(a.Stated.Words(), a.Words)
				p.Answers[side].Score = &score
			}
			told(side, r)
			return nil
		})
		end()
		if err != nil {
			return nil, err
		}
	}
	for side := range models {
		c.Means[side] = c.mean(side)
	}
	return c, nil
}

func (c *Compared) mean(side int) (m Average) {
	score, scored := 0., 0
	for _, p := range c.Prompts {
		a := p.Answers[side]
		m.Words, m.Tokens, m.Repetition = m.Words+float64(a.Words), m.Tokens+float64(a.Tokens), m.Repetition+a.Repetition
		if a.Stop == llm.StopEOS {
			m.Ended++
		}
		if a.Score != nil {
			score, scored = score+*a.Score, scored+1
		}
	}
	n := float64(len(c.Prompts))
	m.Words, m.Tokens, m.Repetition = m.Words/n, m.Tokens/n, m.Repetition/n
	if scored > 0 {
		score /= float64(scored)
		m.Score = &score
	}
	return m
}
