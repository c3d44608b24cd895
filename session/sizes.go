package session

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"lwtrain/configs"
	"lwtrain/data"
	"lwtrain/internal/human"
)

// What a sample is called.
const (
	conversation   = "conversation"
	pair           = "pair"
	labelledAnswer = "labelled answer"
)

// facts are what the values of a first run follow from.
type facts struct {
	unit       string // what a sample is called: conversation, pair, labelled answer
	lengths    []int  // tokens of each sample; of a pair those of both its answers with their prompts
	longest    int    // tokens of the longest conversation, of pairs of the longest side
	answers    []int  // tokens of the answers
	parameters int64  // of the model; 0: it is not there
	positions  int    // that the model knows; 0: not known
	fits       int    // tokens of the largest pack that there is memory for; 0: not known
	capacity   int    // that was asked for; 0: none
}

// preferences reports whether the samples are those of lwtrain dpo.
func (f facts) preferences() bool { return f.unit != conversation }

// sizes sets what depends on the model and the data, and says why by key.
func (f facts) sizes(c *configs.Config) map[string]string {
	why := map[string]string{}
	f.pack(c, why)
	f.hold(c, why)
	f.steps(c, why)
	f.rate(c, why)
	f.sample(c, why)
	return why
}

// What packs and answers have, in tokens.
const (
	leastCapacity = 1024 // short samples are packed together
	usualLimit    = 32768
	leastAnswer   = 128
	mostAnswer    = 1024
)

// pack sets the capacity, and what is done with what is longer.
func (f facts) pack(c *configs.Config, why map[string]string) {
	limit, by := cmp.Or(f.positions, usualLimit), "the model's length"
	if f.fits > 0 && f.fits < limit {
		limit, by = f.fits, "there is memory for packs of that size"
	}
	need := f.longest
	if f.preferences() {
		need = max(need, slices.Max(f.lengths))
	}
	if f.unit == labelledAnswer {
		need = 2 * f.longest // an answer behind another one's prompt lies in a pack, too
	}
	capacity := leastCapacity
	for capacity < need {
		capacity *= 2
	}
	reason := fmt.Sprintf("the longest %s has %s", f.unit, tokensText(slices.Max(f.lengths)))
	if capacity >= limit {
		capacity = limit
		reason += ", and " + human.Grouped(limit) + " is " + by
		if by != "the model's length" {
			reason = fmt.Sprintf("%s, the longest %s has %s", by, f.unit, tokensText(slices.Max(f.lengths)))
		}
	}
	if f.capacity > 0 {
		capacity, reason = f.capacity, "as asked for; "+reason
	}
	c.Packing.Capacity, c.Data.MaxLength = capacity, capacity
	why["packing.capacity"] = reason
	longer := 0
	for _, n := range f.lengths {
		if n > capacity && !f.preferences() {
			longer++
		}
	}
	c.Data.TooLong = "error"
	switch {
	case f.preferences() && f.longest > capacity:
		why["data.too_long"] = "some answers are longer: the run refuses them, rather than lose them unseen; skip leaves them out, counted"
	case longer > 0:
		c.Data.TooLong = "split"
		why["data.too_long"] = fmt.Sprintf("%s longer: split, so that no part of an answer is lost", areLonger(longer, f.unit))
	default:
		why["data.too_long"] = "none is longer; should one come, it is not lost unseen"
	}
}

func tokensText(n int) string {
	if n == 1 {
		return "1 token"
	}
	return human.Grouped(n) + " tokens"
}

func areLonger(n int, unit string) string {
	if n == 1 {
		return "1 " + unit + " is"
	}
	return human.Count(n, unit) + " are"
}

// hold sets what is held out.
func (f facts) hold(c *configs.Config, why map[string]string) {
	n := len(f.lengths)
	share, most := 20, 200
	if f.preferences() {
		share, most = 15, 100
	}
	held := min(max(n/share, min(10, n/5)), most)
	c.Data.HeldOut = data.HeldOut{Count: held}
	why["data.held_out"] = fmt.Sprintf("of %s", human.Count(n, f.unit))
	if held == 0 {
		why["data.held_out"] += ": too few to hold any out"
		c.Train.EvalSteps, c.Sample.Prompts = 0, 0
	}
}

// Steps of a run that something is learnt in.
const (
	fewSteps   = 60
	goodSteps  = 150
	mostEpochs = 10 // of few samples
)

// steps sets how much is learnt from at a time, and how often.
func (f facts) steps(c *configs.Config, why map[string]string) {
	held := c.Data.HeldOut.Count
	trained := max(1, len(f.lengths)-held)
	var epochs int
	var text string
	if f.preferences() {
		perStep := 4
		if trained >= 8*goodSteps {
			perStep = 8
		}
		c.Train.PerDeviceTrainBatchSize, c.Train.GradientAccumulationSteps = perStep, 1
		perEpoch := (trained + perStep - 1) / perStep
		epochs = min(max((goodSteps+perEpoch-1)/perEpoch, 1), 3)
		text = fmt.Sprintf("%s make %s of %d in an epoch", human.Count(trained, f.unit), human.Count(perEpoch, "step"), perStep)
	} else {
		tokens := 0
		for _, n := range f.lengths {
			tokens += n
		}
		tokens = int(float64(tokens) * float64(trained) / float64(len(f.lengths)))
		packs := max(1, int(math.Ceil(float64(tokens)/0.95/float64(c.Packing.Capacity))))
		switch {
		case trained >= 100_000:
			epochs = 1
		case trained >= 20_000:
			epochs = 2
		default:
			epochs = min(max(3, (fewSteps+packs-1)/packs), mostEpochs)
		}
		c.Train.PerDeviceTrainBatchSize = 1
		c.Train.GradientAccumulationSteps = min(max(packs*epochs/goodSteps, 1), 8)
		text = fmt.Sprintf("%s fill about %s of %s tokens", human.Count(trained, f.unit), human.Count(packs, "pack"),
			human.Grouped(c.Packing.Capacity))
	}
	c.Train.NumTrainEpochs = float64(epochs)
	why["train.num_train_epochs"] = text
}

// toyModel are the parameters of models that are for trying things out: they want a higher rate.
const toyModel = 1e7

// UsualRate is the learning rate that suits all weights of a model of so many parameters.
func UsualRate(parameters int64, preferences bool) float64 {
	for _, r := range []struct {
		below    int64 // parameters
		sft, dpo float64
	}{{toyModel, 1e-3, 5e-5}, {300e6, 1e-4, 5e-6}, {1500e6, 5e-5, 2e-6}, {5000e6, 2e-5, 1e-6}, {math.MaxInt64, 1e-5, 5e-7}} {
		if parameters < r.below && preferences {
			return r.dpo
		}
		if parameters < r.below {
			return r.sft
		}
	}
	panic("session: more parameters than there are numbers")
}

// rate sets the learning rate by the method and the size of the model.
func (f facts) rate(c *configs.Config, why map[string]string) {
	if f.parameters == 0 {
		return
	}
	c.Train.LearningRate = UsualRate(f.parameters, f.preferences())
	why["train.learning_rate"] = fmt.Sprintf("usual for %s parameters; larger models want less", human.Scaled(f.parameters))
	if f.preferences() {
		why["train.learning_rate"] = fmt.Sprintf("usual for preferences with %s parameters: far less than for fine-tuning",
			human.Scaled(f.parameters))
		c.Train.WeightDecay = 0
	}
}

// sample sets which answers are shown.
func (f facts) sample(c *configs.Config, why map[string]string) {
	slices.Sort(f.answers)
	n := leastAnswer
	for n < f.answers[len(f.answers)*9/10] && n < mostAnswer {
		n *= 2
	}
	if f.positions > 0 {
		n = min(n, max(1, f.positions/2))
	}
	c.Sample.MaxNewTokens = n
	why["sample.max_new_tokens"] = fmt.Sprintf("nine of ten answers of the data have at most %s",
		tokensText(f.answers[len(f.answers)*9/10]))
	c.Sample.Prompts, c.Sample.Temperature = min(2, c.Data.HeldOut.Count), 0.7
}

// everySteps sets what is done between steps, for a run of so many.
func everySteps(c *configs.Config, total int) {
	o := &c.Train
	o.WarmupRatio = 0.03
	if total < 2*goodSteps {
		o.WarmupRatio = 0.1
	}
	o.EvalSteps = 0
	if c.Data.HeldOut.Count > 0 {
		o.EvalSteps = max(1, (total+3)/4)
	}
	o.SaveSteps = max(1, 2*((total+3)/4))
	o.SaveTotalLimit = 1
}
