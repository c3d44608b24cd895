package pairs

import (
	"path/filepath"

	"lwtrain/internal/jsonl"
	"lwtrain/internal/llm"
	"lwtrain/internal/rng"
	"lwtrain/internal/rundir"
)

// pair is a line of pairs.jsonl.
type pair struct {
	Prompt        []llm.Message `json:"prompt"`
	Chosen        []llm.Message `json:"chosen"`
	Rejected      []llm.Message `json:"rejected"`
	ChosenTotal   float64       `json:"chosen_score"`
	RejectedTotal float64       `json:"rejected_score"`
	ChosenWords   int           `json:"chosen_words"`
	RejectedWords int           `json:"rejected_words"`
	Required      int           `json:"required_words,omitempty"`
	Least         int           `json:"min_words,omitempty"`
	Most          int           `json:"max_words,omitempty"`
	Origin        string        `json:"origin"`
}

// results chooses the pairs among the candidates of each prompt, and writes what came
// of the run.
func (j Job) results(candidate func(key) (c Candidate, there bool), failed map[string]int) (Summary, error) {
	sum := newSummary(len(j.Prompts))
	sum.Failed = failed
	var pairs []pair
	var candidates []Candidate
	for p, prompt := range j.Prompts {
		if !j.Rates(prompt) {
			sum.drop("no_stated_length")
			continue
		}
		first := len(candidates)
		for n := range j.Samples {
			if c, there := candidate(key{p, n}); there {
				candidates = append(candidates, c)
				sum.add(c)
			}
		}
		if len(candidates)-first < 2 {
			sum.drop("not_answered")
			continue
		}
		chosen, rejected, reason := j.choose(candidates[first:], rng.New(j.Seed, "pairs/rejected", uint64(p)))
		if reason != "" {
			sum.drop(reason)
			continue
		}
		pairs = append(pairs, pair{
			Prompt:      llm.Messages(prompt.Messages),
			Chosen:      []llm.Message{{Role: "assistant", Content: chosen.Answer}},
			Rejected:    []llm.Message{{Role: "assistant", Content: rejected.Answer}},
			ChosenTotal: *chosen.Total, RejectedTotal: *rejected.Total,
			ChosenWords: chosen.Words, RejectedWords: rejected.Words,
			Required: prompt.Required, Least: prompt.Least, Most: prompt.Most, Origin: prompt.Origin,
		})
		sum.addPair(chosen, rejected)
	}
	sum.finish()
	if err := jsonl.Write(filepath.Join(j.Dir, CandidatesFile), candidates); err != nil {
		return *sum, err
	}
	if err := jsonl.Write(filepath.Join(j.Dir, PairsFile), pairs); err != nil {
		return *sum, err
	}
	return *sum, rundir.WriteJSON(filepath.Join(j.Dir, SummaryFile), sum)
}
