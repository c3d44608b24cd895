package show

import (
	"fmt"
	"math"
	"strings"

	"lwtrain/configs"
	"lwtrain/engine"
	"lwtrain/internal/human"
	"lwtrain/model"
	"lwtrain/session"
	"lwtrain/train"
)

// mostSamples of a step are learnt from as well by adapters as by all weights (Schulman et al. 2025, LoRA
// Without Regret, section "batch size").
const mostSamples = 32

// printLoRA says which adapters are trained, and what of the run does not suit them.
func printLoRA(line func(label, format string, args ...any), c *configs.Config, run *session.Run, p *train.Plan, m engine.Needs) {
	o := c.LoRA
	if !m.Adapters {
		return
	}
	values := m.Gradients / 4
	if o.From != "" {
		line("lora", "from %s", o.From)
		if known, _, err := model.ReadLoRA(o.From); err == nil { // it was read before
			o.Rank, o.Alpha, o.Variant, o.ModulesToSave = known.Rank, known.Alpha, known.Variant, known.ModulesToSave
		}
	}
	label := map[bool]string{true: "lora"}[o.From == ""]
	line(label, "%s, rank %d, alpha %g, %s: %s values are trained", o.Variant, o.Rank, o.Alpha, strings.Join(o.Target, " "),
		human.Scaled(values))
	if len(o.ModulesToSave) > 0 {
		line("", "of them the whole of %s", strings.Join(o.ModulesToSave, ", "))
	}
	usual := session.UsualRate(run.Model.Config.Parameters(), p.Pairs > 0)
	if rate := c.Train.LearningRate; rate < 4*usual {
		line("", "a rate of %.2g is low: adapters learn best with about ten times the", rate)
		line("", "rate of all weights (train.learning_rate=%.2g)", 10*usual)
	}
	if tokens := run.Data.Mix().TargetTokens; tokens > values && p.Pairs == 0 {
		enough := 1 << int(math.Ceil(math.Log2(float64(o.Rank)*float64(tokens)/float64(values))))
		line("", "%s target tokens are more than the adapters' values: what they", human.Scaled(tokens))
		line("", "can learn is bounded; lora.rank=%d has as many", enough)
	}
	perStep := float64(c.Train.PacksPerStep())
	if p.Pairs == 0 {
		perStep *= float64(p.Documents) / float64(p.Packs)
	}
	if perStep > mostSamples {
		line("", "steps of about %.0f samples: above %d adapters lose more to large steps", perStep, mostSamples)
		line("", "than all weights do, and a higher rank does not help")
	}
}

// trainedText says how much of the weights stays as it is.
func trainedText(m engine.Needs) string {
	text := "weights " + human.Bytes(m.Weights+m.Half)
	if m.Frozen > 0 {
		text += fmt.Sprintf(" (%s of them stay as they are)", human.Bytes(m.Frozen))
	}
	return text
}
