package train

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Options say how a model is fine-tuned. Names and meanings are those of
// Hugging Face's TrainingArguments. Each field is a key of the YAML: package
// configs shows its comment to users (once `go generate ./configs` has read it)
// and checks values by its tags.
type Options struct {
	// how often the data is gone through; 1.5 is once and a half
	NumTrainEpochs float64 `yaml:"num_train_epochs" above:"0" max:"10000"`
	// optimiser steps of the whole run, instead of num_train_epochs; 0: num_train_epochs decides
	MaxSteps int `yaml:"max_steps" min:"0" max:"100000000"`
	// packs in a micro-batch
	PerDeviceTrainBatchSize int `yaml:"per_device_train_batch_size" min:"1" max:"65536"`
	// micro-batches in an optimiser step
	GradientAccumulationSteps int `yaml:"gradient_accumulation_steps" min:"1" max:"65536"`

	// peak learning rate, reached after the warm-up
	LearningRate float64 `yaml:"learning_rate" above:"0" max:"1"`
	// how the learning rate falls after the warm-up: to 0 along half a cosine, to 0 in a line,
	// not at all (Hugging Face's constant_with_warmup; warmup_ratio: 0 for its constant), along half a
	// cosine to min_lr_ratio, or not at all but in the last steps (decay_ratio), there to 0 as 1 - sqrt
	LRSchedulerType string `yaml:"lr_scheduler_type"`
	// share of the peak that cosine_with_min_lr falls to
	MinLRRatio float64 `yaml:"min_lr_ratio" later:"0.4" min:"0" below:"1"`
	// share of the run's steps, rounded up, in which warmup_stable_decay falls
	DecayRatio float64 `yaml:"decay_ratio" later:"0.4" above:"0" max:"1"`
	// share of the run's steps in which the learning rate rises from 0
	WarmupRatio float64 `yaml:"warmup_ratio" min:"0" max:"1"`
	// the same as a number of steps, instead of warmup_ratio; 0: warmup_ratio decides
	WarmupSteps int `yaml:"warmup_steps" min:"0"`

	// AdamW with its state in float32, 16 bytes a parameter, or adamw_8bit: matrices in 24 bits, moments in 8, by
	// the native engine; 9.1 bytes a parameter, gradients among them
	Optim string `yaml:"optim" later:"0.4"`
	// decoupled weight decay of AdamW, on matrices only: none on norms and biases
	WeightDecay float64 `yaml:"weight_decay" min:"0" below:"10"`
	// decay of AdamW's first moment
	AdamBeta1 float64 `yaml:"adam_beta1" min:"0" below:"1"`
	// decay of AdamW's second moment
	AdamBeta2 float64 `yaml:"adam_beta2" min:"0" below:"1"`
	// added to the root of AdamW's second moment
	AdamEpsilon float64 `yaml:"adam_epsilon" above:"0" below:"1"`
	// gradients are scaled down to this global norm; 0: never
	MaxGradNorm float64 `yaml:"max_grad_norm" min:"0"`

	// compute activations again in the backward pass instead of keeping
	// them: of as many layers as memory_limit needs, of all, of none
	GradientCheckpointing string `yaml:"gradient_checkpointing" identity:"none" enum:"auto|true|false"`
	// inputs of matrix products (weights, optimiser, sums, norms
	// and loss stay float32); auto: bf16 where the processor is faster in it
	Precision string `yaml:"precision" enum:"auto|bf16|float32"`
	// memory that gradient_checkpointing: auto keeps below, in bytes or as 8GiB; empty: what the machine has free
	MemoryLimit Bytes `yaml:"memory_limit" identity:"none"`

	// patterns of names in the model's files that stay as they are, * for any characters: model.embed_tokens.*,
	// model.layers.0.*; what is one matrix here (query, key and value; gate and up) is frozen as a whole
	Freeze []string `yaml:"freeze" later:"0.4"`

	// steps between two lines on the terminal (metrics.jsonl has every step)
	LoggingSteps int `yaml:"logging_steps" identity:"none" min:"1"`
	// steps between two measurements of the held-out loss; 0: never
	EvalSteps int `yaml:"eval_steps" identity:"none" min:"0"`
	// steps between two checkpoints; 0: only at the end
	SaveSteps int `yaml:"save_steps" identity:"none" min:"0"`
	// checkpoints kept: the newest, and the one with the lowest held-out loss; 0: all
	SaveTotalLimit int `yaml:"save_total_limit" identity:"none" min:"0"`
	// measurements of the held-out loss after which the run ends if none was below all before
	// them; 0: it never does
	EarlyStoppingPatience int `yaml:"early_stopping_patience" identity:"none" min:"0"`
}

// The optimisers.
const (
	AdamW     = "adamw"
	AdamW8Bit = "adamw_8bit"
)

// Default is LongWriter's recipe (arXiv:2408.07055 and its released scripts)
// where it says something, and Hugging Face's defaults where it does not.
func Default() Options {
	return Options{
		NumTrainEpochs: 4, PerDeviceTrainBatchSize: 1, GradientAccumulationSteps: 8,
		LearningRate: 1e-5, LRSchedulerType: "cosine", MinLRRatio: 0.1, DecayRatio: 0.1, WarmupRatio: 0.03,
		Optim: AdamW, WeightDecay: 0.1, AdamBeta1: 0.9, AdamBeta2: 0.95, AdamEpsilon: 1e-8, MaxGradNorm: 1,
		GradientCheckpointing: "auto", Precision: "auto",
		LoggingSteps: 1, EvalSteps: 100, SaveSteps: 400, SaveTotalLimit: 3,
	}
}

// Enums are the names that a key takes, by the key.
func (Options) Enums() map[string][]string {
	names := make([]string, len(decays))
	for i, d := range decays {
		names[i] = d.name
	}
	return map[string][]string{"lr_scheduler_type": names, "optim": {AdamW, AdamW8Bit}}
}

// Validate returns what is wrong between the options, by key; nil when nothing
// is. The bounds of each option alone are in its tags.
func (o Options) Validate() map[string]string {
	bad := map[string]string{}
	if o.WarmupSteps > 0 && o.WarmupRatio > 0 {
		bad["warmup_steps"] = fmt.Sprintf("%d, and warmup_ratio is %g: want only one of them", o.WarmupSteps, o.WarmupRatio)
	}
	if o.MaxSteps > 0 && o.WarmupSteps > o.MaxSteps {
		bad["warmup_steps"] = fmt.Sprintf("%d, want at most max_steps (%d)", o.WarmupSteps, o.MaxSteps)
	}
	o.checkSchedule(bad)
	if o.EarlyStoppingPatience > 0 && o.EvalSteps == 0 {
		bad["early_stopping_patience"] = fmt.Sprintf("%d, and eval_steps is 0: want the held-out loss measured", o.EarlyStoppingPatience)
	}
	if len(bad) == 0 {
		return nil
	}
	return bad
}

// checkSchedule finds keys that differ from their defaults and that the scheduler does not read, and a
// warm-up that does not end before the decay begins.
func (o Options) checkSchedule(bad map[string]string) {
	d := Default()
	for _, k := range []struct {
		key, reader string
		is, usual   float64
	}{{"min_lr_ratio", cosineWithMinLR, o.MinLRRatio, d.MinLRRatio}, {"decay_ratio", warmupStableDecay, o.DecayRatio, d.DecayRatio}} {
		if k.is != k.usual && o.LRSchedulerType != k.reader {
			bad[k.key] = fmt.Sprintf("%g, and lr_scheduler_type is %s, which does not read it: want it left out, or %s",
				k.is, o.LRSchedulerType, k.reader)
		}
	}
	if o.LRSchedulerType != warmupStableDecay {
		return
	}
	steps := float64(o.MaxSteps)
	switch {
	case o.WarmupRatio+o.DecayRatio > 1+1e-9:
		bad["decay_ratio"] = fmt.Sprintf("%g, and warmup_ratio is %g: want at most 1 together", o.DecayRatio, o.WarmupRatio)
	case o.WarmupSteps > 0 && o.MaxSteps >= o.WarmupSteps && float64(o.WarmupSteps)+math.Ceil(o.DecayRatio*steps) > steps:
		bad["decay_ratio"] = fmt.Sprintf("%g of %d steps, and warmup_steps is %d: want at most max_steps together",
			o.DecayRatio, o.MaxSteps, o.WarmupSteps)
	}
}

// schedule is the learning rate of a run of total steps. A warm-up ratio is
// rounded up to whole steps, as Hugging Face does; so is the decay's, which has what the warm-up leaves.
func (o Options) schedule(total int) Schedule {
	s := Schedule{Type: o.LRSchedulerType, Peak: o.LearningRate, Warmup: o.WarmupSteps, Total: total, Least: o.MinLRRatio}
	if s.Warmup == 0 {
		s.Warmup = int(math.Ceil(o.WarmupRatio * float64(total)))
	}
	s.Decay = max(0, min(int(math.Ceil(o.DecayRatio*float64(total))), total-s.Warmup))
	return s
}

// Saves counts the checkpoints that are due after a step.
func (o Options) Saves(step, total int) int {
	if step >= total {
		return 0
	}
	if o.SaveSteps == 0 {
		return 1
	}
	return (total+o.SaveSteps-1)/o.SaveSteps - step/o.SaveSteps
}

// evaluations counts those that are due from a step on, its own among them.
func (o Options) evaluations(step, total int) int {
	if o.EvalSteps == 0 || step >= total {
		return 0
	}
	n := (total+o.EvalSteps-1)/o.EvalSteps - step/o.EvalSteps
	if step%o.EvalSteps == 0 {
		n++
	}
	return n
}

// Bytes is an amount of memory, written as a number of bytes or with a unit:
// 8GiB, 512MiB, 16GB. Empty text is 0.
type Bytes int64

var units = []struct {
	name string
	size int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1},
}

// PacksPerStep is how many packs, or pairs, an optimiser step takes.
func (o Options) PacksPerStep() int { return o.PerDeviceTrainBatchSize * o.GradientAccumulationSteps }

// UnmarshalText reads what [Bytes] describes.
func (b *Bytes) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	number, size := s, int64(1)
	for _, u := range units {
		if n, ok := strings.CutSuffix(s, u.name); ok {
			number, size = strings.TrimSpace(n), u.size
			break
		}
	}
	if s == "" {
		number = "0"
	}
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || !(v >= 0) || v*float64(size) >= 1<<62 {
		return fmt.Errorf("%q, want bytes as 8589934592, 8GiB or 16GB", s)
	}
	if whole, err := strconv.ParseInt(number, 10, 64); err == nil {
		*b = Bytes(whole * size)
	} else {
		*b = Bytes(v * float64(size))
	}
	return nil
}

// MarshalText is the inverse of UnmarshalText: the largest binary unit that
// divides the amount.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

func (b Bytes) String() string {
	if b == 0 {
		return ""
	}
	for _, u := range units[:4] {
		if int64(b)%u.size == 0 {
			return fmt.Sprintf("%d%s", int64(b)/u.size, u.name)
		}
	}
	return strconv.FormatInt(int64(b), 10)
}
