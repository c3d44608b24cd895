package show

import (
	"fmt"
	"strings"
	"testing"

	"lwtrain/dpo"
	"lwtrain/train"
)

func TestHowLabelsWeighIsSaidWhereItIsFarFromThePapers(t *testing.T) {
	for name, c := range map[string]struct {
		desirable, undesirable int
		weights                [2]float64
		want                   string
	}{
		"as many of both":                     {10, 10, [2]float64{1, 1}, ""},
		"a third more desirable ones":         {40, 30, [2]float64{1, 1}, ""},
		"weights that make up for the labels": {10, 20, [2]float64{2, 1}, ""},
		"far more desirable ones":             {30, 10, [2]float64{1, 1}, "the desirable ones weigh 3:1: try dpo.undesirable_weight: 3"},
		"far more undesirable ones": {10, 40, [2]float64{1, 1},
			"the undesirable ones weigh more, 1:4: try dpo.desirable_weight: 4"},
		"weights that go the wrong way": {20, 20, [2]float64{1, 2},
			"the undesirable ones weigh more, 1:2: try dpo.desirable_weight: 2"},
		"one label only":       {20, 0, [2]float64{1, 1}, "all answers have the same label: kto wants some of both"},
		"the other label only": {0, 20, [2]float64{1, 1}, "all answers have the same label: kto wants some of both"},
		"a weight of 0": {10, 10, [2]float64{1, 0},
			"one label has a weight of 0: only answers of the other one are learnt from"},
		"a weight of 0, for the desirable label": {10, 10, [2]float64{0, 1},
			"one label has a weight of 0: only answers of the other one are learnt from"},
	} {
		t.Run(name, func(t *testing.T) {
			o := dpo.Default()
			o.LossType, o.DesirableWeight, o.UndesirableWeight = []string{"kto"}, c.weights[0], c.weights[1]
			p := &train.Plan{Labelled: true, Pairs: c.desirable + c.undesirable, Desirable: c.desirable}
			if got := balanceText(o, p); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	pairs := &train.Plan{Pairs: 10}
	if got := balanceText(dpo.Default(), pairs); got != "" {
		t.Errorf("of pairs %q is said", got)
	}
}

func TestAPlanSaysWhereARateFalls(t *testing.T) {
	for kind, want := range map[string]string{
		"cosine_with_min_lr": "it falls to 2e-05", "warmup_stable_decay": "it falls in the last 30 steps", "linear": "warm-up 0 steps",
	} {
		var last string
		printRate(func(_, format string, args ...any) { last = fmt.Sprintf(format, args...) },
			train.Schedule{Type: kind, Peak: 1e-4, Total: 200, Least: 0.2, Decay: 30})
		if !strings.HasSuffix(last, want) {
			t.Errorf("of %s it says %q, want %q", kind, last, want)
		}
	}
}

func TestAFirstStepWithoutALearningRateIsSaidOfAShortRun(t *testing.T) {
	for name, c := range map[string]struct {
		warmup, total int
		said          bool
	}{
		"a short run":                   {1, 19, true},
		"a short run without a warm-up": {0, 19, false},
		"a longer run":                  {1, 20, false},
	} {
		t.Run(name, func(t *testing.T) {
			var text string
			line := func(_, format string, args ...any) { text += fmt.Sprintf(format, args...) + "\n" }
			printRate(line, train.Schedule{Type: "cosine", Peak: 1e-4, Warmup: c.warmup, Total: c.total})
			if strings.Contains(text, "a rate of 0") != c.said {
				t.Errorf("got %q", text)
			}
		})
	}
}
