package train

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lwtrain/chat"
	"lwtrain/data"
	"lwtrain/data/store"
	"lwtrain/engine"
	"lwtrain/internal/fault"
	"lwtrain/tokenizer"
)

func TestTrainingOnLabelledAnswersFromStartToEnd(t *testing.T) {
	set, cache := labelFixture(t)
	j := labelJob(t, set, cache)
	j.DPO.DesirableWeight = 1.2
	j.Options.MaxSteps = 12
	r := runDPO(t, j)
	first, err := NewPairSteps(set, j.DPO, 160, Sharing{}, j.Options, j.Seed)
	if err != nil {
		t.Fatal(err)
	}
	want := 0.0 // sigma(0) = 1/2 of each answer's weight
	for _, pair := range pick(first.all, first.at(0)) {
		weight := 1.0
		if pair.Rejected == data.None {
			weight = 1.2
		}
		want += 0.5 * weight / float64(len(first.at(0)))
	}
	if math.Abs(r.FirstLoss-want) > 1e-5 {
		t.Errorf("the first step's loss is %.6f, want %.6f, half of the mean weight", r.FirstLoss, want)
	}
	if v := r.FirstEval.Values; v["kl"] != 0 || v["rewards/margins"] != 0 || math.Abs(r.FirstEval.Loss-0.5*(1+1.2)/2) > 1e-6 {
		t.Errorf("held out, before: loss %.6f, %v, want half of the mean weight and no distance", r.FirstEval.Loss, v)
	}
	if r.LastEval.Loss >= r.FirstEval.Loss || r.LastEval.Values["rewards/margins"] <= 0.05 {
		t.Errorf("held out, after: loss %.6f, %v, want it to fall and the margin to grow", r.LastEval.Loss, r.LastEval.Values)
	}
	for _, m := range steps(t, j.Dir) {
		keys := []string{"loss", "grad_norm", "kl", "tokens"}
		if m["eval_loss"] != nil {
			keys = []string{
				"eval_kl", "eval_rewards/chosen", "eval_rewards/rejected", "eval_rewards/margins", "eval_rewards/margins/0-499",
				"eval_logps/chosen", "eval_lengths/rejected",
			}
		}
		for _, key := range keys {
			if _, ok := m[key].(float64); !ok {
				t.Errorf("no %s in %v", key, m)
			}
		}
		if m["rewards/accuracies"] != nil || m["margin_length_correlation"] != nil {
			t.Errorf("what only pairs have is in %v", m)
		}
	}
}

func TestAStepOfOneLabelLeavesTheOtherOut(t *testing.T) {
	set, cache := labelFixture(t)
	j := labelJob(t, set, cache)
	j.Options.MaxSteps = 9 // an epoch, so that the reference is asked about all
	p := prepared(t, j)
	var liked []int
	for i, pair := range p.all {
		if pair.Rejected == data.None {
			liked = append(liked, i)
		}
	}
	s, err := p.learnPairs(context.Background(), liked[:5], 1)
	if err != nil {
		t.Fatal(err)
	}
	for key, v := range s.values {
		if strings.HasSuffix(key, "/rejected") || strings.HasSuffix(key, "/margins") || math.IsNaN(v) {
			t.Errorf("%s is %g", key, v)
		}
	}
	if s.values["rewards/chosen"] == 0 || !(s.loss > 0) {
		t.Errorf("loss %g, %v", s.loss, s.values)
	}
}

func TestPackedLabelledAnswersEqualEachAnswerAlone(t *testing.T) {
	set, cache := labelFixture(t)
	j := labelJob(t, set, cache)
	j.Options.MaxSteps, j.Packing.Capacity = 9, 128 // an epoch, so that the reference is asked about all
	alone := prepared(t, j)
	j.Model, j.Packing.Capacity = tiny(t), 1024
	packed := prepared(t, j)
	packed.others = alone.others // larger packs have room for others
	for r, score := range alone.reference {
		if r.prompt != r.answer { // as far from its reference as a model that has been trained
			score.LogP -= 5
			alone.reference[r] = score
		}
	}
	packed.reference = alone.reference
	batch := []int{8, 12, 14, 19}
	for _, a := range batch {
		for _, b := range batch {
			if a != b && alone.tokens(alone.all[a])+alone.tokens(alone.all[b]) <= 128 {
				t.Fatalf("answers %d and %d lie in one pack", a, b)
			}
		}
	}
	wantLoss, want := alone.gradient(t, batch...)
	loss, grad := packed.gradient(t, batch...)
	if d := math.Abs(loss-wantLoss) / wantLoss; !(d < 1e-5) || !(apart(want, grad) < 1e-5) {
		t.Errorf("loss %.8f in one pack, %.8f alone; gradients %g apart", loss, wantLoss, apart(want, grad))
	}
	a, b := kl(t, alone, batch), kl(t, packed, batch)
	if !(math.Abs(a-b) < 1e-5*a) || !(a > 1) {
		t.Errorf("the estimate is %.8f in one pack, %.8f alone, want it above 1", b, a)
	}
}

func kl(t *testing.T, p testMethod, batch []int) float64 {
	t.Helper()
	score := func(units []unit) ([]store.LogProbs, error) {
		return p.score(context.Background(), units, engine.ScoreOptions{})
	}
	x, err := p.kl(pick(p.all, batch), score)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestAnAnswerIsComparedWithOneToAnotherPrompt(t *testing.T) {
	set, cache := labelFixture(t)
	j := labelJob(t, set, cache)
	p, err := NewPairSteps(set, j.DPO, 160, Sharing{}, j.Options, 3)
	if err != nil {
		t.Fatal(err)
	}
	train := ints(set.Train())
	for _, r := range p.mismatches(p.all) {
		doc, err := r.document(set)
		if err != nil {
			t.Fatal(err)
		}
		q, a := sample(t, set, r.prompt), sample(t, set, r.answer)
		prompt := set.Prompt(r.prompt)
		if !slices.Equal(doc.IDs[:prompt], q.IDs[:prompt]) || !slices.Equal(doc.IDs[prompt:], a.IDs[set.Prompt(r.answer):]) {
			t.Errorf("%v is not the one's prompt and the other's answer", r)
		}
		if set.SamePrompt(r.prompt, r.answer) || len(doc.IDs) > 160 || len(doc.IDs) != r.tokens(set) {
			t.Errorf("%v: the same prompt, or %d tokens", r, len(doc.IDs))
		}
		if got := doc.Target; int(got[0][0]) != prompt || int(got[0][1]-got[0][0]) != set.Targets(r.answer) {
			t.Errorf("%v: targets %v behind a prompt of %d tokens", r, got, prompt)
		}
		if slices.Contains(train, r.prompt) && !slices.Contains(train, r.answer) {
			t.Errorf("%v: an answer to train on meets one that is held out", r)
		}
	}
}

func sample(t *testing.T, set *data.Set, i int) data.Sample {
	t.Helper()
	s, err := set.Sample(i)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAnswersToOnePromptAreRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "l.jsonl")
	text := strings.Repeat(`{"prompt": "q", "completion": "a", "label": true}
{"prompt": "q", "completion": "b", "label": false}
`, 3)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	template, err := chat.Open(tokenizer.Bytes(), "auto")
	if err != nil {
		t.Fatal(err)
	}
	set, err := data.Build(context.Background(), data.Options{
		Sources:   []data.Source{{Name: "l", Path: path, LossFactor: 1}},
		MaxLength: 160, TooLong: "error", OnBadRecord: "error", CacheDir: dir,
	}, template, data.Run{Labels: true})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	_, err = labelJob(t, set, dir).dpo(context.Background(), t)
	if !fault.IsUsage(err) || !strings.Contains(err.Error(), "no answer to another prompt fits") || fault.HintOf(err) == "" {
		t.Errorf("got %v", err)
	}
}
