package torch

import (
	"strings"
	"testing"

	"lwtrain/engine"
	"lwtrain/internal/fault"
	"lwtrain/model"
)

func TestThePlanFollowsFromWhatTheMachineHas(t *testing.T) {
	const gib = 1 << 30
	two := []GPU{{"a", 80 * gib, 79 * gib}, {"a", 80 * gib, 79 * gib}}
	for name, c := range map[string]struct {
		form     string
		in       Installation
		change   func(*Options)
		compile  bool
		bf16     bool
		ranks    int
		noted    string // why it is not compiled
		wrong    string
		wrongTip string
	}{
		"a processor": {in: Installation{Compiles: true}, ranks: 1},
		"GPUs":        {in: Installation{GPUs: two, BF16: true, Compiles: true}, compile: true, bf16: true, ranks: 2},
		"one of them": {in: Installation{GPUs: two, BF16: true, Compiles: true}, change: func(o *Options) { o.Processes = 1 },
			compile: true, bf16: true, ranks: 1},
		"GPUs without bf16": {in: Installation{GPUs: two, Compiles: true}, ranks: 2, noted: "float32"},
		"bf16 without bf16": {in: Installation{GPUs: two, Compiles: true}, change: func(o *Options) { o.Precision = "bf16" },
			wrong: "a has no products in it"},
		"float32 compiled": {in: Installation{GPUs: two, BF16: true, Compiles: true}, change: func(o *Options) {
			o.Precision, o.Compile = "float32", "true"
		}, wrong: "attention in float32"},
		"GPUs without a compiler": {in: Installation{GPUs: two, BF16: true}, bf16: true, ranks: 2, noted: "compiler"},
		"a compiler that is wanted": {in: Installation{GPUs: two, BF16: true}, change: func(o *Options) { o.Compile = "true" },
			wrong: "no C compiler", wrongTip: "install gcc python3-dev"},
		"nothing compiled": {in: Installation{GPUs: two, BF16: true}, change: func(o *Options) { o.Compile = "false" },
			bf16: true, ranks: 2},
		"states": {form: "qwen3_5", in: Installation{GPUs: two, BF16: true, Compiles: true}, bf16: true, ranks: 2,
			noted: "recurrent layers"},
		"more processes than GPUs": {in: Installation{GPUs: two}, change: func(o *Options) { o.Processes = 3 }, wrong: "there are 2 GPUs"},
		"groups of two sizes":      {in: Installation{GPUs: two}, change: func(o *Options) { o.Shard = 3 }, wrong: "groups of one size"},
	} {
		t.Run(name, func(t *testing.T) {
			form, o := c.form, options(0)
			if form == "" {
				form = "llama-tied"
			}
			o.Precision, o.Compile = "auto", "auto"
			if c.change != nil {
				c.change(&o)
			}
			config, err := model.Check(folder(form))
			if err != nil {
				t.Fatal(err)
			}
			p, _, err := newPlan(model.Empty(config), &c.in, o)
			if c.wrong != "" {
				if !says(err, [2]string{c.wrong, c.wrongTip}) || !fault.IsUsage(err) {
					t.Errorf("got %v (hint: %s), want %q", err, fault.HintOf(err), c.wrong)
				}
				return
			}
			bf16 := p.Precision == engine.BFloat16
			noted := ""
			for _, note := range p.Notes {
				if strings.HasPrefix(note, "not compiled") {
					noted = note
				}
			}
			if err != nil || p.compile != c.compile || bf16 != c.bf16 || p.ranks != c.ranks || !strings.Contains(noted, c.noted) ||
				(noted == "") != (c.noted == "") {
				t.Errorf("compiled %t, bf16 %t, %d ranks, notes %q (%v)", p.compile, bf16, p.ranks, p.Notes, err)
			}
			o.HeldOut = 0
			if without, _, err := newPlan(model.Empty(config), &c.in, o); err != nil || p.HeldOut <= 0 || without.HeldOut != 0 ||
				p.Activations != max(without.Activations, p.HeldOut) || p.recompute != without.recompute {
				t.Errorf("%d bytes to measure a long text in, %d in all, %d without (%v)", p.HeldOut, p.Activations,
					without.Activations, err)
			}
			if p.Parts != p.Checkpoint || p.Checkpoint != 12*config.Parameters() {
				t.Errorf("a checkpoint takes %d bytes, and %d while it is made", p.Checkpoint, p.Parts)
			}
		})
	}
}
