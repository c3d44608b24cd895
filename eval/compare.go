package eval

import (
	"fmt"
	"slices"

	"lwtrain/internal/fault"
	"lwtrain/internal/stats"
)

// Comparison is what `lwtrain eval compare` says of two evaluations, A and B.
type Comparison struct {
	A       string   `json:"name_a"`
	B       string   `json:"name_b"`
	Metrics []Paired `json:"metrics"`
	// Tasks that one of them alone has: they are not compared.
	OnlyA []string `json:"tasks_of_a_alone,omitempty"`
	OnlyB []string `json:"tasks_of_b_alone,omitempty"`
}

// Paired is a metric over the prompts that both evaluations answered: the means of each,
// and B less A.
type Paired struct {
	Task   string          `json:"task"`
	Metric string          `json:"metric"`
	N      int             `json:"n"` // prompts
	A      float64         `json:"a"`
	B      float64         `json:"b"`
	Diff   float64         `json:"difference"`
	CI     *stats.Interval `json:"ci95"` // of the difference, over prompts
	Wins   int             `json:"wins"` // prompts where B has more
	Ties   int             `json:"ties"`
	Losses int             `json:"losses"`
	Only   [2]int          `json:"only"` // prompts that A alone, and B alone has a value of
	Note   string          `json:"note,omitempty"`
}

// metric is a value that answers have, or have not.
type metric struct {
	name string
	of   func(Score) *float64
}

// metrics are what two evaluations are compared by, beside the task's own measures.
var metrics = []metric{
	{"s_l", func(x Score) *float64 { return x.Length }},
	{"words", func(x Score) *float64 { w := float64(x.Words); return &w }},
	{"ended", func(x Score) *float64 { return share(x.Ended) }},
	{"repeated", func(x Score) *float64 { return &x.Repeated }},
	{"distinct_sentences", func(x Score) *float64 { return &x.Distinct }},
	{"language_kept", func(x Score) *float64 { return share(x.Kept) }},
	{"s_q", func(x Score) *float64 { return x.Quality }},
}

// measured is a measure of a task's own.
func measured(name string) metric {
	return metric{name, func(x Score) *float64 {
		if v, ok := x.Measures[name]; ok {
			return &v
		}
		return nil
	}}
}

// Compare pairs the answers of two evaluations of a task by their prompts.
func Compare(task Asked, a, b []Score) []Paired {
	all := slices.Clone(metrics)
	for _, m := range task.Measures {
		all = append(all, measured(m.Name))
	}
	var out []Paired
	for _, m := range all {
		if p, ok := pair(byPrompt(a, m.of), byPrompt(b, m.of)); ok {
			p.Task, p.Metric = task.Name, m.name
			out = append(out, p)
		}
	}
	return out
}

// AskedAlike is the error of a prompt that asks for another length in one of two evaluations of a task than in the
// other: their S_l are no two values of one thing.
func AskedAlike(task string, a, b []Score) error {
	asked := map[string][]int{}
	for _, x := range a {
		asked[x.Prompt] = append(asked[x.Prompt], x.Asked)
	}
	for _, x := range b {
		if in := asked[x.Prompt]; in != nil && !slices.Contains(in, x.Asked) {
			err := fmt.Errorf("%s: the prompt %s asks for %d words in A and for %d in B", task, x.ID, in[0], x.Asked)
			return fault.Usage(fault.Hint(err,
				"`lwtrain eval score DIR` measures the answers of a folder again, by what the task asks now"))
		}
	}
	return nil
}

// means are the mean of a metric over the answers to each prompt, in the order in which
// prompts come.
type means struct {
	order []string
	of    map[string]float64
}

func byPrompt(scores []Score, of func(Score) *float64) means {
	m := means{of: map[string]float64{}}
	n := map[string]int{}
	for _, x := range scores {
		v := of(x)
		if x.Failed != "" || v == nil {
			continue
		}
		if n[x.Prompt] == 0 {
			m.order = append(m.order, x.Prompt)
		}
		n[x.Prompt]++
		m.of[x.Prompt] += *v
	}
	for p, k := range n {
		m.of[p] /= float64(k)
	}
	return m
}

// pair compares prompt by prompt; false: there is none that both have.
func pair(a, b means) (p Paired, ok bool) {
	var differences [][]float64
	for _, prompt := range a.order {
		y, both := b.of[prompt]
		if !both {
			p.Only[0]++
			continue
		}
		x := a.of[prompt]
		p.N++
		p.A += x
		p.B += y
		differences = append(differences, []float64{y - x})
		switch {
		case y > x:
			p.Wins++
		case y < x:
			p.Losses++
		default:
			p.Ties++
		}
	}
	if p.N == 0 {
		return p, false
	}
	p.Only[1] = len(b.order) - p.N
	p.A, p.B = p.A/float64(p.N), p.B/float64(p.N)
	p.Diff, p.CI = stats.Mean(differences)
	if p.N < smallCount {
		p.Note = smallNote
	}
	return p, true
}
