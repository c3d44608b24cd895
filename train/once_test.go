package train

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"lwtrain/data"
	"lwtrain/engine"
	"lwtrain/model"
	"lwtrain/model/families"
	"lwtrain/packing"
)

// everywhere shares all prompts that can be shared.
var everywhere = Sharing{Most: 1 << 20, Always: true, Cost: packing.Cost{Token: 1}}

// promptFixture is the set of 21 pairs, 4 of them held out, with prompts of several lengths: of one message, of several with an
// answer among them, and such that end within an answer. Both answers of some begin with the same words.
func promptFixture(t *testing.T) (*data.Set, string) {
	t.Helper()
	var b strings.Builder
	for i := range 21 {
		begin := ""
		if i%3 == 0 {
			begin = "both say "
		}
		message := func(role, text string) map[string]string { return map[string]string{"role": role, "content": text} }
		prompt := []map[string]string{message("user", strings.Repeat(fmt.Sprintf("ask %d. ", i), 1+i%5))}
		switch i % 4 {
		case 1:
			prompt = append(prompt, message("assistant", "what?"), message("user", "that."))
		case 3:
			prompt = append(prompt, message("assistant", "It began "))
		}
		raw, _ := json.Marshal(map[string]any{
			"prompt":   prompt,
			"chosen":   begin + strings.Repeat(fmt.Sprintf("%d steps. ", i%5), 1+i*3%4),
			"rejected": begin + strings.Repeat(fmt.Sprintf("no %d. ", i), 1+i*2%5),
		})
		b.Write(append(raw, '\n'))
	}
	return preferenceFixtureOf(t, b.String(), data.Run{Seed: 3, Pairs: true})
}

// gradients are those of a step of pairs, by tensor, and its loss.
func (p testMethod) gradients(t *testing.T, batch []int) (float64, map[string][]float64) {
	t.Helper()
	p.engine.Drop()
	s, err := p.learnPairs(context.Background(), batch, 1)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]float64{}
	err = p.engine.Gradients(func(name string, values []float32) {
		for _, g := range values {
			out[name] = append(out[name], float64(g))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return s.loss, out
}

// sharesExactly compares a step whose prompts are computed once with one where each answer has its own.
func sharesExactly(t *testing.T, j testJob, batch []int) {
	t.Helper()
	p := prepared(t, j)
	sharing := p.sharing
	for _, i := range batch {
		if once, _ := p.once(p.all[i]); once < 2 {
			t.Fatalf("pair %d shares %d tokens, want its prompt", i, once)
		}
	}
	loss, got := p.gradients(t, batch)
	p.sharing = Sharing{}
	wantLoss, want := p.gradients(t, batch)
	p.sharing = sharing
	if d := math.Abs(loss-wantLoss) / wantLoss; !(d < 1e-5) {
		t.Errorf("loss %.8f with prompts computed once, %.8f with one for each answer", loss, wantLoss)
	}
	for name, g := range want {
		if d := apart(g, got[name]); !(d < 1e-5) {
			t.Errorf("gradients of %s are %.2g apart", name, d)
		}
	}
}

func TestPromptsComputedOnceGiveEachLossItsGradients(t *testing.T) {
	set, cache := promptFixture(t)
	for name, change := range map[string]func(*testJob){
		"sigmoid":                 func(*testJob) {},
		"ipo":                     func(j *testJob) { j.DPO.LossType = []string{"ipo"} },
		"LD-DPO, NLL":             func(j *testJob) { j.DPO.LDAlpha, j.DPO.SFTWeight = 0.4, 0.3 },
		"simpo":                   func(j *testJob) { j.DPO.LossType, j.DPO.Beta, j.DPO.Reference = []string{"simpo"}, 2, "none" },
		"orpo":                    func(j *testJob) { j.DPO.LossType, j.DPO.Reference = []string{"orpo"}, "none" },
		"two losses":              func(j *testJob) { j.DPO.LossType = []string{"dpop", "apo_zero"} },
		"all computed again":      func(j *testJob) { j.Options.GradientCheckpointing = "true" },
		"nothing computed again":  func(j *testJob) { j.Options.GradientCheckpointing = "false" },
		"one pack for all":        func(j *testJob) { j.Packing.Capacity = 2000 },
		"packs of about one pair": func(j *testJob) { j.Packing.Capacity = 230 },
	} {
		t.Run(name, func(t *testing.T) {
			j := pairJob(t, set, cache)
			j.Sharing = everywhere
			change(&j)
			sharesExactly(t, j, []int{0, 3, 5, 8, 9, 12, 16})
		})
	}
}

func TestPromptsComputedOnceHaveTheDropoutOfTheirTexts(t *testing.T) {
	set, cache := promptFixture(t)
	c, err := model.ParseConfig([]byte(tinyConfig))
	if err != nil {
		t.Fatal(err)
	}
	lora := model.DefaultLoRA()
	lora.Rank, lora.Dropout = 4, 0.3
	j := pairJob(t, set, cache)
	if j.Model, err = model.NewToTrain(c, 1, model.Training{LoRA: lora, Seed: 1}); err != nil {
		t.Fatal(err)
	}
	j.Sharing = everywhere
	p := unmoved(t, j)
	for k, x := range p.model.All() {
		if x.Grad == nil && x.Frozen {
			continue
		}
		for i := range x.Data { // B begins at 0
			x.Data[i] += 0.1 * float32(math.Sin(float64(7*i+k)))
		}
	}
	batch := []int{0, 3, 5, 8}
	_, got := p.gradients(t, batch)
	p.sharing = Sharing{}
	_, want := p.gradients(t, batch)
	for name, g := range want {
		if d := apart(g, got[name]); !(d < 1e-5) {
			t.Errorf("gradients of %s are %.2g apart", name, d)
		}
	}
}

func TestPromptsComputedOnceAreExactInEveryFamilyThatTakesThem(t *testing.T) {
	set, cache := promptFixture(t)
	wide := strings.NewReplacer(`"sliding_window":20`, `"sliding_window":400`, `"original_max_position_embeddings":100`,
		`"original_max_position_embeddings":400`)
	for _, kind := range strings.Split(families.Types(), ", ") {
		t.Run(kind, func(t *testing.T) {
			raw := smallFamily(t, kind)
			small, err := model.ParseConfig([]byte(raw))
			if err != nil {
				t.Fatal(err)
			}
			narrow := wide.Replace(raw) != raw
			c, err := model.ParseConfig([]byte(wide.Replace(raw)))
			if err != nil {
				t.Fatal(err)
			}
			most, bound := c.Branches()
			if least, why := small.Branches(); narrow && (least != 20 && least != 100 || most != 400 || why == "") {
				t.Errorf("at most %d and %d tokens (%s), want the window or what longrope takes as short", least, most, why)
			}
			j := pairJob(t, set, cache)
			j.Model.Free()
			j.Model, j.DPO.Reference, j.DPO.LossType = model.New(c, 1), "none", []string{"simpo"}
			j.Sharing = everywhere
			j.Sharing.Most = most
			if most > 0 {
				sharesExactly(t, j, []int{0, 3, 5, 8})
				return
			}
			j.Sharing.Most = 1 << 20
			_, err = prepared(t, j).learnPairs(context.Background(), []int{0}, 1)
			if err == nil || !strings.Contains(err.Error(), "recurrent") || !strings.Contains(bound, "recurrent") {
				t.Errorf("got %v, bound by %q, want recurrent layers named", err, bound)
			}
		})
	}
}

func TestARunWhosePromptsAreComputedOnceIsTheRunThatItIsWithout(t *testing.T) {
	set, cache := promptFixture(t)
	tokens := map[bool]float64{}
	lines := map[bool][]map[string]any{}
	for _, shared := range []bool{false, true} {
		j := pairJob(t, set, cache)
		asked := int64(0)
		j.Events.Asking = func(_ int, n int64) { asked = n }
		if shared {
			j.Sharing = everywhere
		}
		j.Options.LearningRate = 1e-3
		runDPO(t, j)
		if asked == 0 {
			t.Error("the reference's log-probabilities are taken from the other way")
		}
		lines[shared] = steps(t, j.Dir)
		tokens[shared] = float64(asked)
	}
	if !(tokens[true] < 0.8*tokens[false]) {
		t.Errorf("the reference is asked about %g tokens, and %g with prompts computed once", tokens[false], tokens[true])
	}
	for i, want := range lines[false] {
		got := lines[true][i]
		for _, key := range []string{"loss", "eval_loss", "rewards/margins", "eval_rewards/margins", "eval_logps/chosen",
			"logps/rejected"} {
			a, there := want[key].(float64)
			if b, _ := got[key].(float64); there && !(math.Abs(a-b) <= 1e-4*(1+math.Abs(a))) {
				t.Errorf("line %d: %s is %g with prompts computed once, %g without", i, key, b, a)
			}
		}
	}
}

// A prompt is shared where that saves a twentieth of what the pair costs.
func TestACostRuleDecidesWhichPromptsAreComputedOnce(t *testing.T) {
	set, cache := promptFixture(t)
	j := pairJob(t, set, cache)
	steps := func(capacity int, s Sharing) *PairSteps {
		p, err := NewPairSteps(set, j.DPO, capacity, s, j.Options, 3)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	tokens := packing.Cost{Token: 1}
	for _, c := range []struct {
		name     string
		capacity int
		how      Sharing
		is       func(prompt, chosen, rejected int) bool
	}{
		{"none where nothing may be shared", 320, Sharing{Always: true, Cost: tokens}, func(_, _, _ int) bool { return false }},
		{"by tokens", 320, Sharing{Most: 1000, Cost: tokens}, func(p, a, b int) bool { return float64(p-1)/float64(2*p+a+b) >= 0.05 }},
		{"targets cost, too", 320, Sharing{Most: 1000, Cost: tokens, Target: 8}, func(p, a, b int) bool {
			return float64(p-1)/float64(2*p+9*a+9*b) >= 0.05
		}},
		{"not where they are longer than a window", 320, Sharing{Most: 120, Cost: tokens}, func(p, a,
			b int) bool {
			return p+a+b+1 <= 120
		}},
		{"where only so both answers fit into a pack", 130, Sharing{Most: 1000, Cost: tokens, Target: 400}, func(p, a, b int) bool {
			return p+a+b+1 <= 130 && 2*p+a+b > 130
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, n, saved := steps(c.capacity, c.how), 0, int64(0)
			for i, pair := range p.all {
				prompt, a, b := set.Prompt(pair.Chosen), set.Tokens(pair.Chosen), set.Tokens(pair.Rejected)
				want := c.is(prompt, a-prompt, b-prompt)
				once, _ := p.once(pair)
				if want != (once == prompt) || !want && once != 0 {
					t.Errorf("pair %d of %d + %d and %d tokens: %d are shared, want it %t", i, prompt, a-prompt, b-prompt, once, want)
				}
				if once > 0 && i < len(set.Pairs()) {
					n, saved = n+1, saved+int64(once-1)
				}
			}
			plan, without := p.Plan(), steps(c.capacity, Sharing{}).Plan()
			if plan.Once.Pairs != n || without.Tokens-plan.Tokens != saved || (plan.Once.Saved > 0) != (n > 0) {
				t.Errorf("the plan says %+v, %d tokens of %d, want %d pairs and %d fewer", plan.Once, plan.Tokens, without.Tokens,
					n, saved)
			}
		})
	}
}

func TestSelftestOfPromptsFindsWhatDiffers(t *testing.T) {
	set, cache := promptFixture(t)
	j := pairJob(t, set, cache)
	j.Sharing = everywhere
	r, err := SelftestPrompts(context.Background(), j.ready(t), 5)
	if err != nil || !r.OK() || r.Pairs != 5 || r.Precision != engine.Float32 || r.Tokens[0] >= r.Tokens[1] || !(r.Norm[0] > 0) {
		t.Errorf("%+v, %v", r, err)
	}
	j = pairJob(t, set, cache)
	if _, err := SelftestPrompts(context.Background(), j.ready(t), 5); err == nil {
		t.Error("nothing is shared, and nothing was said")
	}
	j = pairJob(t, set, cache)
	j.Sharing = everywhere
	job := j.ready(t)
	job.Engine = astray{job.Engine}
	if r, err := SelftestPrompts(context.Background(), job, 5); err != nil || r.OK() {
		t.Errorf("a branch sees the other answer: %+v, %v", r, err)
	}
}

// astray is an engine that lets branches see all that lies before them.
type astray struct{ engine.Engine }

func (a astray) Learn(ctx context.Context, step int, packs []packing.Pack, weigh engine.Weigh) ([]engine.Learned, error) {
	packs = slices.Clone(packs)
	for i := range packs {
		packs[i].Hidden = nil
	}
	return a.Engine.Learn(ctx, step, packs, weigh)
}
