package experiment

import "fmt"

// Arm is a model that is compared.
type Arm struct {
	Name string `json:"name"`
	Cap  int    `json:"cap"`  // words; 0: the model as it is, untrained
	Seed int    `json:"seed"` // which of the trainings, from 0
	// Control: it sees about as many answers as the model with the longest ones, in as many steps, and so fewer target tokens.
	Control bool    `json:"control,omitempty"`
	Steps   int     `json:"steps"`
	Epochs  float64 `json:"epochs"` // through the documents
	// Capacity is how many tokens a pack has; 0: as many as the config says (plans of an earlier version, which had no such packs).
	Capacity int `json:"pack_tokens,omitempty"`

	Documents int   `json:"documents"`     // that it is trained on
	Answers   int   `json:"answers_seen"`  // ends of answers that it saw
	Targets   int64 `json:"target_tokens"` // that it saw
}

// Untrained is the model as it is.
var Untrained = Arm{Name: "untrained"}

// Arms are the models of an experiment: the one as it is, each cap, and beside all but the longest
// a control, which follows the longest.
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

// Epoch is once through the documents of an arm.
type Epoch struct {
	Capacity  int // tokens in a pack
	Documents int
	Steps     int
	Targets   int64 // target tokens
}

// StepsOf is how many steps see about so many target tokens, at least one.
func (e Epoch) StepsOf(targets int) int {
	return max(1, int(float64(targets)/float64(e.Targets)*float64(e.Steps)+0.5))
}

// Take says what an arm sees in so many steps.
func (a *Arm) Take(e Epoch, steps int) {
	a.Steps, a.Capacity = steps, e.Capacity
	a.Epochs = float64(steps) / float64(e.Steps)
	a.Answers = max(1, int(a.Epochs*float64(e.Documents)+0.5))
	a.Documents = min(e.Documents, a.Answers)
	a.Targets = int64(a.Epochs * float64(e.Targets))
}
