package experiment

import "fmt"

// Arm is a model that is compared.
type Arm struct {
	Name string `json:"name"`
	Cap  int    `json:"cap"`  // words; 0: the model as it is, untrained
	Seed int    `json:"seed"` // which of the trainings, from 0
	// Control: it sees as many answers as the model with the longest ones, and so fewer target tokens.
	Control bool    `json:"control,omitempty"`
	Steps   int     `json:"steps"`
	Epochs  float64 `json:"epochs"` // through the documents

	Documents int   `json:"documents"`     // that it is trained on
	Answers   int   `json:"answers_seen"`  // ends of answers that it saw
	Targets   int64 `json:"target_tokens"` // that it saw
}

// Untrained is the model as it is.
var Untrained = Arm{Name: "untrained"}

// Arms are the models of an experiment: the one as it is, each cap, and beside all but the longest
// a control.
func Arms(o Options) []Arm {
	arms := []Arm{Untrained}
	for seed := range o.Seeds {
		suffix := ""
		if seed > 0 {
			suffix = fmt.Sprintf("-seed-%d", seed+1)
		}
		for _, c := range o.Caps {
			arms = append(arms, Arm{Name: fmt.Sprintf("cap-%d", c) + suffix, Cap: c, Seed: seed})
		}
		for _, c := range o.Caps[:len(o.Caps)-1] {
			arms = append(arms, Arm{Name: fmt.Sprintf("cap-%d-control", c) + suffix, Cap: c, Seed: seed, Control: true})
		}
	}
	return arms
}

// Fit says how an arm's steps follow from those of an epoch of it, so that it sees about as many
// target tokens as budget.
func (a *Arm) Fit(documents, stepsPerEpoch int, targetsPerEpoch int64, budget float64) {
	a.Steps = max(1, int(budget/float64(targetsPerEpoch)*float64(stepsPerEpoch)+0.5))
	a.Epochs = float64(a.Steps) / float64(stepsPerEpoch)
	a.Answers = max(1, int(a.Epochs*float64(documents)+0.5))
	a.Documents = min(documents, a.Answers)
	a.Targets = int64(a.Epochs * float64(targetsPerEpoch))
}
