package experiment

import (
	"fmt"
	"math"
	"testing"

	"lwtrain/eval"
)

func answers(lengths ...int) (out []eval.Score) {
	for i, n := range lengths {
		ended := n >= 0
		out = append(out, eval.Score{Prompt: fmt.Sprint(i), Words: max(n, -n), Ended: &ended})
	}
	return out
}

func TestTheOrderedTestHasItsClosedForm(t *testing.T) {
	// With two models and one answer of each to n prompts, all of which grow, one deal of labels in 2^n is as extreme.
	for _, n := range []int{1, 3, 5} {
		var short, long []int
		for range n {
			short, long = append(short, 10), append(long, 20)
		}
		got := testOrder([][]eval.Score{answers(short...), answers(long...)})
		want := math.Pow(0.5, float64(n))
		if got.Statistic != 1 || math.Abs(got.P-want) > 4*math.Sqrt(want*(1-want)/permutations) {
			t.Errorf("%d prompts: %+v, want p %.4f", n, got, want)
		}
	}
	// Three models: six orders of each prompt.
	got := testOrder([][]eval.Score{answers(1, 1), answers(2, 2), answers(3, -3)})
	if want := 1.0 / 36; math.Abs(got.P-want) > 0.007 {
		t.Errorf("%+v, want p %.4f", got, want)
	}
	if got := testOrder([][]eval.Score{answers(5, 5, 5, 5), answers(5, 5, 5, 5)}); got.P != 1 || got.Statistic != 0 {
		t.Errorf("the same lengths: %+v", got)
	}
}

func TestWhatComesOfAModel(t *testing.T) {
	o := Measure(Answers{Arm: Arm{Name: "cap-60"}, Scores: answers(10, 20, 30, -100, -100), Looped: 1})
	if o.N != 5 || o.Ended != .6 || *o.Median != 20 || math.Abs(*o.P90-28) > 1e-9 || *o.Max != 30 || *o.KMedian != 30 || o.Loops != 1 {
		t.Errorf("%+v", o)
	}
	if o.KMedianCI[0] < 10 || o.KMedianCI[1] != -1 { // with more that do not end there is no median
		t.Errorf("%v", o.KMedianCI)
	}
	if o := Measure(Answers{Scores: answers(-5, -6)}); o.Median != nil || o.KMedian != nil || o.Ended != 0 {
		t.Errorf("nothing ended: %+v", o)
	}
}

func TestArmsSeeAsManyTargetTokensAndControlsAsManyAnswers(t *testing.T) {
	arms := Arms(Options{Caps: []int{60, 300, 900}, Seeds: 2})
	if len(arms) != 11 || arms[1].Name != "cap-60" || arms[4].Name != "cap-60-control" || arms[10].Name != "cap-300-control-seed-2" {
		t.Fatalf("%+v", arms)
	}
	long, short, control := arms[3], arms[1], arms[4]
	const budget = 20_000
	whole := Epoch{Capacity: 2048, Documents: 60, Steps: 40, Targets: 80_000}
	long.Take(whole, whole.StepsOf(budget))
	cut := Epoch{Capacity: 2048, Documents: 60, Steps: 3, Targets: 5_000}
	short.Take(cut, cut.StepsOf(budget))
	control.Take(Epoch{Capacity: 150, Documents: 60, Steps: 40, Targets: 5_000}, long.Steps)
	if long.Steps != 10 || long.Answers != 15 || long.Documents != 15 || short.Steps != 12 || short.Targets != budget ||
		short.Documents != 60 || short.Answers != 240 {
		t.Errorf("%+v %+v", long, short)
	}
	if control.Steps != long.Steps || control.Answers != long.Answers || control.Targets != 1250 || control.Capacity != 150 {
		t.Errorf("%+v, beside %+v", control, long)
	}
	if n := whole.StepsOf(1); n != 1 {
		t.Errorf("%d steps see a target token, want 1", n)
	}
}
