package lengthcap

import (
	"fmt"
	"slices"
	"sort"
	"time"

	"lwtrain/experiment"
	"lwtrain/internal/fault"
	"lwtrain/packing"
)

// The least that is worth doing: prompts, and target tokens of a model.
const fewPrompts, fewTokens = 16, 3000

// measured is what the sizes of an experiment follow from.
type measured struct {
	epochs  map[int]experiment.Epoch // of the documents, by cap
	small   map[int]experiment.Epoch // those of the controls
	packs   int                      // of a step
	step    float64                  // seconds of one of the epochs, not of the small ones
	read    int                      // tokens of the held-out answers
	speed   float64                  // tokens a second that are written
	prompts int
}

// fit says how many target tokens, steps and prompts go into the time that the options give: prompts are
// made fewer first, down to a few, then target tokens.
func (m measured) fit(o experiment.Options, p *Plan) error {
	perPrompt := m.answering(o, *p)
	limit := 0.9 * 3600 * o.Hours
	for p.TargetTokens = o.TargetTokens; ; p.TargetTokens -= p.TargetTokens / 8 {
		m.fitArms(o, p)
		p.Prompts = m.prompts
		if fit := int((limit - p.Training - p.Reading) / perPrompt); fit < p.Prompts {
			p.Prompts = max(min(p.Prompts, fewPrompts), fit)
		}
		p.Answering = perPrompt * float64(p.Prompts)
		switch {
		case p.Seconds() <= limit:
			return nil
		case p.TargetTokens < fewTokens:
			took := time.Duration(p.Seconds() * float64(time.Second)).Round(time.Minute)
			return fault.Usage(fault.Hint(
				fmt.Errorf("models that see %d target tokens and answer %d prompts take some %s here, and experiment.hours is %g",
					p.TargetTokens, p.Prompts, took, o.Hours), "raise experiment.hours, or lower experiment.caps"))
		}
	}
}

// answering is how many seconds all models take to answer a prompt.
func (m measured) answering(o experiment.Options, p Plan) float64 {
	tokens, most := 0.0, float64(p.MaxTokens)
	for _, a := range experiment.Arms(o) {
		expected := 0.5 * most
		if a.Cap > 0 {
			expected = min(most, 1.4*float64(a.Cap)*p.PerWord+0.15*most)
		}
		tokens += expected * float64(o.Samples)
	}
	return tokens / m.speed
}

// fitArms makes the arms for the plan's target tokens, and estimates how long they take.
func (m measured) fitArms(o experiment.Options, p *Plan) {
	p.Arms, p.Training = experiment.Arms(o), 0
	whole := m.epochs[o.Longest()]
	steps := 0 // of the model with the longest answers
	for i := range p.Arms {
		a, e := &p.Arms[i], m.epochs[p.Arms[i].Cap]
		switch {
		case a.Cap == 0:
			continue
		case a.Control: // they follow
			e = m.small[a.Cap]
			a.Take(e, steps)
		default:
			a.Take(e, e.StepsOf(p.TargetTokens))
		}
		if a.Cap == o.Longest() {
			steps = a.Steps
		}
		p.Training += m.step * float64(a.Steps) * float64(e.Capacity) / float64(whole.Capacity)
	}
	perToken := m.step / (3 * float64(whole.Capacity*m.packs))
	p.Reading = float64(len(p.Arms)*m.read) * perToken
}

// smaller is the epoch of a control: that of documents of these lengths in packs of the least capacity at
// which a step has at least as many of them as one of the longest answers.
func smaller(e, longest experiment.Epoch, strategy string, packs int, lengths []int32) (experiment.Epoch, error) {
	most := max(1, e.Documents*longest.Steps/longest.Documents) // steps
	least := int(slices.Max(lengths))
	var err error
	steps := func(capacity int) int {
		var all [][]int32
		if all, err = packing.Assign(strategy, capacity, lengths); err != nil {
			return 0
		}
		return (len(all) + packs - 1) / packs
	}
	e.Capacity = least + sort.Search(max(0, e.Capacity-least), func(more int) bool { return steps(least+more) <= most })
	e.Steps = steps(e.Capacity)
	return e, err
}
