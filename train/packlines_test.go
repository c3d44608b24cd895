package train

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"

	"lwtrain/packing"
)

// TestWrittenPacksSayWhoCarriesTheLossOfEachStep: with weightings that average
// over the step, the weights of its targets add up to 1.
func TestWrittenPacksSayWhoCarriesTheLossOfEachStep(t *testing.T) {
	set, chat := fixture(t, 1)
	j := job(t, set, chat, t.TempDir())
	for _, weighting := range []string{"token", "sequence", "pack", "ave_token", "message", "length"} {
		j.Packing.Weighting = weighting
		var out bytes.Buffer
		b := j.batches(t)
		if err := b.Write(&out, true); err != nil {
			t.Fatal(err)
		}
		loss, next := map[int]float64{}, 0
		for line := range bytes.Lines(out.Bytes()) {
			var p PackLine
			if err := json.Unmarshal(line, &p); err != nil {
				t.Fatal(err)
			}
			batch, err := b.at(p.Step - 1)
			if err != nil {
				t.Fatal(err)
			}
			docs := batch[p.Pack]
			if len(docs) != len(p.Documents) {
				t.Fatalf("%s: step %d, pack %d has %d documents, the run has %d", weighting, p.Step, p.Pack, len(p.Documents), len(docs))
			}
			at := 0
			for i, d := range p.Documents {
				if d.Origin != set.Origin(docs[i]) || d.Offset != at || len(d.IDs) != d.Tokens {
					t.Errorf("%s: document %+v of step %d, want %s at %d", weighting, d, p.Step, set.Origin(docs[i]), at)
				}
				at += d.Tokens
				loss[p.Step] += d.Weight * float64(d.TargetTokens)
			}
			next++
		}
		if len(loss) != j.Options.MaxSteps || next < len(loss) {
			t.Errorf("%s: %d packs of %d steps, want %d steps", weighting, next, len(loss), j.Options.MaxSteps)
		}
		for step, sum := range loss {
			if math.Abs(sum-1) > 1e-6 {
				t.Errorf("%s: the weights of step %d add up to %g, want 1", weighting, step, sum)
			}
		}
	}
}

// TestADivisorThatLooksBackIsThatOfARunThatDidNotStop: it follows from the packs of the steps
// before, in other epochs, too, whichever step is asked for first.
func TestADivisorThatLooksBackIsThatOfARunThatDidNotStop(t *testing.T) {
	set, chat := fixture(t, 1)
	j := job(t, set, chat, t.TempDir())
	j.Packing.Weighting, j.Options.MaxSteps, j.Options.NumTrainEpochs = "long_ce", 0, 3
	for _, strategy := range packing.Strategies() {
		j.Packing.Strategy = strategy
		whole := j.batches(t)
		var sums, steps float64
		for step := range whole.total {
			batch, err := whole.at(step)
			if err != nil {
				t.Fatal(err)
			}
			targets := 0.0
			for _, id := range slices.Concat(batch...) {
				targets += float64(set.Targets(id)) * set.Sources()[set.Source(id)].LossFactor
			}
			sums, steps = 0.9*sums+targets, 0.9*steps+1
			for _, b := range []*Batches{whole, j.batches(t)} {
				got, err := b.divisor(step, targets)
				if err != nil {
					t.Fatal(err)
				}
				if got != sums/steps {
					t.Fatalf("%s: step %d is divided by %g, want %g", strategy, step+1, got, sums/steps)
				}
				if again, err := b.at(step); err != nil || fmt.Sprint(again) != fmt.Sprint(batch) {
					t.Fatalf("%s: step %d has the packs %v, %v, want %v", strategy, step+1, again, err, batch)
				}
			}
		}
		if epoch, _ := whole.epochOf(whole.total - 1); epoch == 0 {
			t.Errorf("%s: %d steps are one epoch, want more", strategy, whole.total)
		}
	}
}

func TestTheComparisonSaysOfEachPackerAndWeightingWhatTheirOwnPlanSays(t *testing.T) {
	set, chat := fixture(t, 1)
	j := job(t, set, chat, t.TempDir())
	all, err := j.batches(t).Compare()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all.Packers {
		for _, weighting := range packing.Weightings() {
			j.Packing.Strategy, j.Packing.Weighting = p.Strategy, weighting
			plan, err := j.batches(t).Plan()
			if err != nil {
				t.Fatal(err)
			}
			if plan.Packs != p.Packs || plan.StepsPerEpoch != p.Steps || plan.Attention != p.Attention ||
				math.Abs(plan.Fill()-p.Fill) > 1e-12 {
				t.Errorf("%s: %+v, the plan has %+v", p.Strategy, p, plan)
			}
			told := map[string]Shared{"source": p.Sources[weighting], "words": p.Words[weighting]}
			for _, s := range plan.Shares {
				if got, there := told[s.Kind][s.Name]; !there || math.Abs(got-s.Loss) > 1e-12 {
					t.Errorf("%s, %s: %s %s carries %g, in the plan %g", p.Strategy, weighting, s.Kind, s.Name, got, s.Loss)
				}
			}
			if len(plan.Shares) != len(told["source"])+len(told["words"]) {
				t.Errorf("%s, %s: shares of %v, in the plan of %v", p.Strategy, weighting, told, plan.Shares)
			}
		}
	}
}
