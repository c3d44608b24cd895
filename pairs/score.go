package pairs

import (
	"math/rand/v2"

	"lwtrain/internal/prose"
)

// Sample is an answer to a prompt and its scores, a line of samples.jsonl.
type Sample struct {
	Prompt   int    `json:"prompt"` // counted from 0
	Sample   int    `json:"sample"`
	Origin   string `json:"origin"`
	Required int    `json:"required_words,omitempty"`
	Words    int    `json:"words"`
	Tokens   int    `json:"tokens"`
	Stop     string `json:"stop"` // eos, or length: it was cut off
	Scores
	Answer string `json:"answer"`
}

// Scores are what an answer is rated by. One that was not made is nil.
type Scores struct {
	Length  *float64       `json:"length_score,omitempty"`  // S_l, 0 to 100
	Judge   *float64       `json:"judge_score,omitempty"`   // S_q, 0 to 100
	Ratings map[string]int `json:"judge_ratings,omitempty"` // that it is made of, 1 to 5
	Command *float64       `json:"command_score,omitempty"`
	Total   *float64       `json:"score,omitempty"` // nil: one that was wanted is missing
}

// total is the weighted mean of the scores that are wanted of an answer to a
// prompt: the length's only where a length is asked for. It is nil where one is
// missing, or none is wanted.
func (o Options) total(s Scores, required int) *float64 {
	sum, weights := 0.0, 0.0
	for _, part := range []struct {
		wanted bool
		score  *float64
		weight float64
	}{
		{o.LengthWeight > 0 && required > 0, s.Length, o.LengthWeight},
		{o.Judge.URL != "", s.Judge, o.JudgeWeight},
		{len(o.Command) > 0, s.Command, o.CommandWeight},
	} {
		if !part.wanted {
			continue
		}
		if part.score == nil {
			return nil
		}
		sum += part.weight * *part.score
		weights += part.weight
	}
	if weights == 0 {
		return nil
	}
	sum /= weights
	return &sum
}

// ratable reports whether an answer to a prompt has any score.
func (o Options) ratable(required int) bool {
	return o.LengthWeight > 0 && required > 0 || o.Judge.URL != "" || len(o.Command) > 0
}

// choose takes the best of the answers to a prompt, and another one: any, or the
// worst. reason says why there is no pair. An answer that was cut off is not
// chosen: a model that learns from it would learn to stop anywhere.
func (o Options) choose(all []Sample, r *rand.Rand) (chosen, rejected Sample, reason string) {
	var rated []Sample
	unrated := false
	for _, s := range all {
		switch {
		case s.Total == nil:
			unrated = true
		case s.Words > 0:
			rated = append(rated, s)
		}
	}
	best := -1
	for i, s := range rated {
		if s.Stop != "length" && (best < 0 || *s.Total > *rated[best].Total) {
			best = i
		}
	}
	switch {
	case len(rated) < 2 && unrated:
		return chosen, rejected, "not_rated"
	case len(rated) < 2:
		return chosen, rejected, "empty_answers"
	case best < 0:
		return chosen, rejected, "cut_off"
	}
	chosen = rated[best]
	rest := append(rated[:best:best], rated[best+1:]...)
	rejected = rest[r.IntN(len(rest))]
	if o.Rejected == "worst" {
		for _, s := range rest {
			if *s.Total < *rejected.Total {
				rejected = s
			}
		}
	}
	if chosen.Answer == rejected.Answer || !(*chosen.Total-*rejected.Total > o.MinMargin) {
		return chosen, rejected, "tie"
	}
	return chosen, rejected, ""
}

// lengthScore is S_l of an answer, nil where no length is asked for.
func lengthScore(required, words int) *float64 {
	if required == 0 {
		return nil
	}
	s := prose.LengthScore(required, words)
	return &s
}
