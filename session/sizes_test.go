package session

import (
	"slices"
	"testing"

	"lwtrain/configs"
)

// oneLonger has one that is longer than the others.
var oneLonger = append(repeated(99, 200), 5000)

func repeated(n, length int) []int { return slices.Repeat([]int{length}, n) }

func TestSizesFollowFromModelAndData(t *testing.T) {
	const million = 1_000_000
	for _, c := range []struct {
		name       string
		f          facts
		capacity   int
		tooLong    string
		held       int
		epochs     float64
		rate       float64
		accumulate int
	}{
		{
			"short conversations share packs",
			facts{unit: conversation, lengths: repeated(1000, 200), longest: 200, parameters: 135 * million, positions: 8192},
			1024, "error", 50, 3, 1e-4, 3,
		},
		{
			"the capacity is that of the longest",
			facts{unit: conversation, lengths: oneLonger, longest: 5000, parameters: 135 * million, positions: 32768},
			8192, "error", 10, 10, 1e-4, 1,
		},
		{
			"what is longer than the model is split",
			facts{unit: conversation, lengths: oneLonger, longest: 5000, parameters: 7e9, positions: 2048},
			2048, "split", 10, 5, 1e-5, 1,
		},
		{
			"what is longer than memory allows is split",
			facts{unit: conversation, lengths: repeated(100, 5000), longest: 5000, parameters: 1e9, positions: 32768, fits: 4096},
			4096, "split", 10, 3, 5e-5, 2,
		},
		{
			"a capacity that was asked for is kept",
			facts{unit: conversation, lengths: repeated(100, 700), longest: 700, parameters: 3e9, positions: 2048, capacity: 512},
			512, "split", 10, 3, 2e-5, 2,
		},
		{
			"few samples are gone through more often, and none is held out of very few",
			facts{unit: conversation, lengths: repeated(4, 300), longest: 300, parameters: million, positions: 512},
			512, "error", 0, 10, 1e-3, 1,
		},
		{
			"many samples are gone through once",
			facts{unit: conversation, lengths: repeated(200_000, 500), longest: 500, parameters: million, positions: 512},
			512, "error", 200, 1, 1e-3, 8,
		},
		{
			"both answers of a pair lie in a pack",
			facts{unit: pair, lengths: repeated(300, 1500), longest: 900, parameters: 135 * million, positions: 8192},
			2048, "error", 20, 3, 5e-6, 1,
		},
		{
			"an answer that the model is too short for is not cut",
			facts{unit: pair, lengths: repeated(3000, 4500), longest: 3000, parameters: 7000 * million, positions: 2048},
			2048, "error", 100, 1, 5e-7, 1,
		},
		{
			"a labelled answer lies behind another prompt, too",
			facts{unit: labelledAnswer, lengths: repeated(100, 900), longest: 900, parameters: 1000 * million, positions: 4096},
			2048, "error", 10, 3, 2e-6, 1,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.f.answers = repeated(len(c.f.lengths), 100)
			to := configs.New(configs.Answers{})
			why := c.f.sizes(to)
			everySteps(to, 100)
			d, capacity := to.Data, to.Packing.Capacity
			if capacity != c.capacity || d.MaxLength != c.capacity || d.TooLong != c.tooLong || d.HeldOut.Count != c.held {
				t.Errorf("packs of %d, %s, %d held out; %v", capacity, d.TooLong, d.HeldOut.Count, why)
			}
			o := to.Train
			if o.NumTrainEpochs != c.epochs || o.LearningRate != c.rate || o.GradientAccumulationSteps != c.accumulate {
				t.Errorf("%g epochs, rate %g, %d packs accumulated; %v", o.NumTrainEpochs, o.LearningRate, o.GradientAccumulationSteps, why)
			}
			if (o.EvalSteps == 0) != (c.held == 0) || o.SaveSteps == 0 || to.Sample.Prompts > c.held {
				t.Errorf("eval_steps %d, save_steps %d, %d prompts", o.EvalSteps, o.SaveSteps, to.Sample.Prompts)
			}
			if _, err := configs.Parse("c", to.Explained("sft", why), nil, nil); err != nil {
				t.Error(err)
			}
		})
	}
}
