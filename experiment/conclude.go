package experiment

import (
	"lwtrain/eval"
	"lwtrain/eval/tasks"
	"lwtrain/internal/stats"
)

// Result is summary.json of an experiment.
type Result struct {
	Model  string    `json:"model"`
	Task   string    `json:"prompts"`
	Mode   string    `json:"mode"`
	Caps   []int     `json:"caps"`
	Arms   []Outcome `json:"arms"`
	Order  Ordered   `json:"order"`          // of the trained models, controls left out
	Equal  Ordered   `json:"order_controls"` // of the controls and the longest: about as many answers seen
	Length *Gain     `json:"s_l_gain"`       // of the longest over the shortest
	Holds  []Claim   `json:"claims"`
}

// Gain is a difference of S_l, paired by prompts.
type Gain struct {
	Shortest float64         `json:"shortest"`
	Longest  float64         `json:"longest"`
	Points   float64         `json:"points"`
	CI       *stats.Interval `json:"ci95"`
}

// Claim is what the experiment is to show, and whether it did.
type Claim struct {
	Text  string `json:"claim"`
	Holds bool   `json:"holds"`
}

// Conclude puts together what came of all models. The answers of trainings with other seeds are
// taken together.
func Conclude(o Options, model, task string, all []Answers) Result {
	r := Result{Model: model, Task: task, Mode: o.Mode, Caps: o.Caps}
	for _, a := range all {
		r.Arms = append(r.Arms, Measure(a))
	}
	group := func(limit int, control bool) (out []eval.Score) {
		for _, a := range all {
			if a.Arm.Cap == limit && a.Arm.Control == control {
				out = append(out, a.Scores...)
			}
		}
		return out
	}
	var trained, controls [][]eval.Score
	for _, c := range o.Caps {
		trained = append(trained, group(c, false))
		controls = append(controls, group(c, c != o.Longest()))
	}
	r.Order, r.Equal = testOrder(trained), testOrder(controls)
	shortest, longest := trained[0], trained[len(trained)-1]
	for _, p := range eval.Compare(eval.Asked{Task: tasks.Task{Name: task}}, shortest, longest) {
		if p.Metric == "s_l" {
			r.Length = &Gain{p.A, p.B, p.Diff, p.CI}
		}
	}
	r.claims(o)
	return r
}

// claims are what makes such an experiment convincing.
func (r *Result) claims(o Options) {
	claim := func(text string, holds bool) { r.Holds = append(r.Holds, Claim{text, holds}) }
	arms := r.trained()
	ordered := true
	for i, a := range arms {
		if a.Median == nil || i > 0 && (arms[i-1].Median == nil || *arms[i-1].Median >= *a.Median) {
			ordered = false
		}
	}
	claim("the medians of ended answers are in the order of the caps", ordered)
	first, last := arms[0], arms[len(arms)-1]
	claim("the 95 % intervals of the medians of the shortest and the longest do not overlap",
		first.MedianCI != nil && last.MedianCI != nil && first.MedianCI[1] < last.MedianCI[0])
	falls := true
	for i, a := range arms[:len(arms)-1] {
		next := arms[i+1]
		if a.Survival == nil || next.Survival == nil || a.Survival.At(1.5*float64(a.Cap)) >= 0.5 ||
			next.Survival.At(1.5*float64(a.Cap)) <= a.Survival.At(1.5*float64(a.Cap)) {
			falls = false
		}
	}
	claim("survival curves fall at their caps: below a half at one and a half times the cap, and below that of the next", falls)
	claim("the ordered test gives p < 0.01", r.Order.P < 0.01)
	claim("controls that saw about as many answers keep the order, p < 0.01", r.Equal.P < 0.01)
	if r.Length != nil {
		claim("S_l of the longest is at least 20 points above that of the shortest", r.Length.Points >= 20)
	}
}

// trained are the models of the first training, controls left out, from the shortest cap.
func (r Result) trained() (out []Outcome) {
	for _, a := range r.Arms {
		if a.Cap > 0 && !a.Control && a.Seed == 0 {
			out = append(out, a)
		}
	}
	return out
}
