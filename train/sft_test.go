package train

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lwtrain/engine"
	"lwtrain/packing"
)

func TestARunLearnsAndLeavesWhatItPromises(t *testing.T) {
	set, template := fixture(t, 1)
	j := job(t, set, template, filepath.Join(t.TempDir(), "run"))
	r := run(t, j)
	if r.Steps != 12 || r.LastEval.Loss > r.FirstEval.Loss-0.5 || r.LastLoss > r.FirstLoss-0.5 {
		t.Errorf("%d steps, loss %g to %g, held-out %g to %g; want 12 and both to fall by 0.5",
			r.Steps, r.FirstLoss, r.LastLoss, r.FirstEval.Loss, r.LastEval.Loss)
	}
	lines := steps(t, j.Dir)
	n, evals := 0, 0
	for _, m := range lines {
		if _, ok := m["eval_loss"]; ok {
			evals++
			if m["eval_loss/talks"] != m["eval_loss"] {
				t.Errorf("one source, and %v", m)
			}
			continue
		}
		n++
		for _, key := range []string{"step", "epoch", "loss", "grad_norm", "learning_rate", "tokens", "target_tokens"} {
			if _, ok := m[key].(float64); !ok {
				t.Errorf("line %d has no %s", n, key)
			}
		}
		if m["step"] != float64(n) {
			t.Errorf("line %d is step %v", n, m["step"])
		}
	}
	if n != 12 || evals != 4 {
		t.Errorf("%d steps and %d evaluations in metrics.jsonl, want 12 and 4 (before, 4, 8, 12)", n, evals)
	}
	files := tree(t, j.Dir)
	for _, name := range []string{
		"config.yaml", "run.json", "answers.json", "checkpoints/step-000005/manifest.json", "checkpoints/step-000012/manifest.json",
		"checkpoints/step-000012/config.json", "checkpoints/step-000012/tokenizer.json", "checkpoints/step-000012/model.safetensors",
		"checkpoints/step-000012/state/trainer.json", "checkpoints/step-000012/state/optimizer.safetensors",
	} {
		if files[name] == "" {
			t.Errorf("no file %s", name)
		}
	}
	if len(r.Answers) != 2 || r.Answers[0].After == nil || r.Answers[0].Prompt == "" || r.Answers[0].Reference.Words == 0 {
		t.Errorf("answers %+v", r.Answers)
	}
	j.Model = tiny(t)
	again := run(t, j)
	if !again.AlreadyThere || again.Steps != 12 || len(again.Answers) != 2 {
		t.Errorf("the same run again: %+v", again)
	}
	if after := tree(t, j.Dir); len(after) != len(files) || after["metrics.jsonl"] != files["metrics.jsonl"] {
		t.Error("the same run again changed its folder")
	}
}

func TestHowAStepIsCutIntoMicroBatchesDoesNotMatter(t *testing.T) {
	set, template := fixture(t, 1)
	var first string
	for _, cut := range [][2]int{{1, 4}, {2, 2}, {4, 1}} {
		j := job(t, set, template, filepath.Join(t.TempDir(), "run"))
		j.Options.PerDeviceTrainBatchSize, j.Options.GradientAccumulationSteps = cut[0], cut[1]
		j.Options.MaxSteps = 4
		run(t, j)
		got := tree(t, j.Dir)["checkpoints/step-000004/model.safetensors"]
		if first == "" {
			first = got
		} else if got != first {
			t.Errorf("%d x %d packs gave other weights than 1 x 4", cut[0], cut[1])
		}
	}
}

func TestAStepThatIsNotFiniteIsRefusedBeforeTheUpdate(t *testing.T) {
	set, template := fixture(t, 1)
	j := job(t, set, template, filepath.Join(t.TempDir(), "run"))
	j.Asked.Prompts, j.Options.SaveSteps = 0, 1
	j.Events.Step = func(m StepMetrics) {
		if m.Step == 2 {
			j.Model.Params[0].Data[7] = float32(math.NaN())
		}
	}
	r, err := j.sft(context.Background(), t)
	if err == nil || !strings.Contains(err.Error(), "step 3: the loss is NaN") || !strings.Contains(err.Error(), "talks.jsonl:") {
		t.Fatalf("got %v, want step 3, its loss and its samples", err)
	}
	if r.Steps != 2 {
		t.Errorf("%d steps were taken, want 2", r.Steps)
	}
	var bad struct {
		Step    int
		Samples []string
	}
	raw, err := os.ReadFile(filepath.Join(j.Dir, "bad_step.json"))
	if err != nil || json.Unmarshal(raw, &bad) != nil || bad.Step != 3 || len(bad.Samples) == 0 {
		t.Errorf("bad_step.json: %v %s", err, raw)
	}
}

func TestADamagedCheckpointIsNamedAndTheOneBeforeItUsed(t *testing.T) {
	set, template := fixture(t, 1)
	j := job(t, set, template, filepath.Join(t.TempDir(), "run"))
	run(t, j)
	want := tree(t, j.Dir)["checkpoints/step-000012/model.safetensors"]
	path := filepath.Join(j.Dir, "checkpoints", "step-000012", "model.safetensors")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)-5] ^= 4
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	var broken []string
	j.Model = tiny(t)
	j.Events.Broken = func(path string, reason error) { broken = append(broken, path+": "+reason.Error()) }
	r := run(t, j)
	if len(broken) != 1 || !strings.Contains(broken[0], "step-000012") || !strings.Contains(broken[0], "model.safetensors") {
		t.Errorf("broken: %v, want the weights of step 12", broken)
	}
	if r.Resumed != 10 {
		t.Errorf("went on from step %d, want 10", r.Resumed)
	}
	if got := tree(t, j.Dir)["checkpoints/step-000012/model.safetensors"]; got != want {
		t.Error("the repeated steps gave other weights")
	}
}

func TestTheLastStepOfAnEpochIsTakenWithFewerPacks(t *testing.T) {
	set, template := fixture(t, 1)
	j := job(t, set, template, filepath.Join(t.TempDir(), "run"))
	j.Options.MaxSteps, j.Options.NumTrainEpochs, j.Options.GradientAccumulationSteps = 0, 2, 5
	plan, err := j.batches(t).Plan()
	if err != nil {
		t.Fatal(err)
	}
	if plan.Packs%5 == 0 {
		t.Fatalf("%d packs are no test of this", plan.Packs)
	}
	r := run(t, j)
	if r.Steps != plan.Schedule.Total || r.Steps != 2*((plan.Packs+4)/5) || plan.Epochs != 2 {
		t.Errorf("%d steps of %d planned, %g epochs, %d packs", r.Steps, plan.Schedule.Total, plan.Epochs, plan.Packs)
	}
	var tokens int64
	for _, m := range steps(t, j.Dir) {
		if n, ok := m["tokens"].(float64); ok {
			tokens += int64(n)
		}
	}
	if tokens != 2*plan.Tokens {
		t.Errorf("trained on %d tokens, want all %d twice", tokens, plan.Tokens)
	}
	var shares float64
	for _, s := range plan.Shares {
		if s.Kind == "source" {
			shares += s.Loss
		}
	}
	if math.Abs(shares-1) > 1e-9 {
		t.Errorf("the sources carry %g of the loss", shares)
	}
}

func TestTheSameSeedGivesTheSameRunAndAnotherSeedAnother(t *testing.T) {
	set, template := fixture(t, 1)
	var got []string
	for _, seed := range []uint64{3, 3, 4} {
		j := job(t, set, template, filepath.Join(t.TempDir(), "run"))
		j.Seed, j.Options.MaxSteps = seed, 3
		run(t, j)
		got = append(got, tree(t, j.Dir)["checkpoints/step-000003/model.safetensors"])
	}
	if got[0] != got[1] || got[0] == got[2] {
		t.Errorf("the same seed the same: %v, another seed another: %v", got[0] == got[1], got[0] != got[2])
	}
}

func TestRecomputationAndMemoryDoNotChangeTheRun(t *testing.T) {
	set, template := fixture(t, 1)
	var got []string
	for _, how := range []string{"false", "true"} {
		j := job(t, set, template, filepath.Join(t.TempDir(), "run"))
		j.Options.GradientCheckpointing, j.Options.MaxSteps = how, 3
		run(t, j)
		got = append(got, tree(t, j.Dir)["checkpoints/step-000003/model.safetensors"])
	}
	if got[0] != got[1] {
		t.Error("gradient checkpointing changed the weights")
	}
}

func TestSchedulesAreTransformersSchedules(t *testing.T) {
	// get_{cosine,linear,constant}_schedule_with_warmup(warmup 2, total 6), peak 1.
	for name, want := range map[string][]float64{
		"cosine":   {0, 0.5, 1, 0.8535533905932737, 0.5, 0.14644660940672627},
		"linear":   {0, 0.5, 1, 0.75, 0.5, 0.25},
		"constant": {0, 0.5, 1, 1, 1, 1},
	} {
		s := Schedule{Type: name, Peak: 1, Warmup: 2, Total: 6}
		var got []float64
		for step := 1; step <= 6; step++ {
			got = append(got, math.Round(s.At(step)*1e12)/1e12)
		}
		for i := range want {
			if math.Abs(got[i]-want[i]) > 1e-9 {
				t.Errorf("%s: %v, want %v", name, got, want)
				break
			}
		}
	}
	if n := (Options{WarmupRatio: 0.03}).schedule(101).Warmup; n != 4 {
		t.Errorf("3 %% of 101 steps are %d steps of warm-up, want 4: rounded up", n)
	}
}

func TestEndsOfHeldOutAnswersAreThoseOfEachAlone(t *testing.T) {
	set, template := fixture(t, 1)
	j := job(t, set, template, t.TempDir()).ready(t)
	m, err := newSFT(j)
	if err != nil {
		t.Fatal(err)
	}
	got, err := m.evaluate(context.Background(), 0)
	if err != nil {
		t.Fatal(err)
	}
	probability, likely := 0.0, 0.0
	for _, id := range ints(set.HeldOut()) {
		s, err := set.Sample(id)
		if err != nil {
			t.Fatal(err)
		}
		last := int32(len(s.IDs)) - 1
		for !slices.Contains(j.Stop, s.IDs[last]) { // what a template writes after it
			last--
		}
		pack, err := packing.Lay(256, []packing.Doc{{IDs: s.IDs, Target: [][2]int32{{last, last + 1}}, Factor: 1}}, packing.ByToken)
		if err != nil {
			t.Fatal(err)
		}
		one := func(yield func(packing.Pack, error) bool) { yield(pack, nil) }
		err = j.Engine.Score(context.Background(), one, engine.ScoreOptions{}, func(_ int, nll []float64) error {
			p := math.Exp(-nll[last-1])
			probability += p / float64(len(set.HeldOut()))
			if p > 0.5 {
				likely += 1 / float64(len(set.HeldOut()))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if p := got.Values["end/probability"]; math.Abs(p-probability) > 1e-6*probability || got.Values["end/likely"] != likely || p == 0 {
		t.Errorf("ends have %v, want a mean probability of %g, likely %g", got.Values, probability, likely)
	}
	if v := (endings{n: 4, probability: 3, likely: 2}).values(); v["end/probability"] != 0.75 || v["end/likely"] != 0.5 {
		t.Errorf("of four ends: %v", v)
	}
	if v := (endings{}).values(); v != nil {
		t.Errorf("of no end: %v", v)
	}
}
