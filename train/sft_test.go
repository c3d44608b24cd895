package train

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lwtrain/chat"
	"lwtrain/checkpoints"
	"lwtrain/data"
	"lwtrain/internal/graph"
	"lwtrain/model"
	"lwtrain/packing"
	"lwtrain/tokenizer"
)

// TestAdamWFollowsPyTorch takes the 20 steps of torch.optim.AdamW that
// model/testdata/golden.py recorded: rate 1e-2, decay 0.1 on matrices, clipping
// at 1.
func TestAdamWFollowsPyTorch(t *testing.T) {
	for _, form := range []string{"llama-tied", "llama-untied", "llama-biased", "qwen2", "qwen3", "glm", "glm4", "chatglm"} {
		t.Run(form, func(t *testing.T) {
			dir := filepath.Join("..", "model", "testdata", form)
			m, err := model.Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Free()
			m.UseGradients()
			ref, err := checkpoints.OpenSafetensors(filepath.Join(dir, "golden.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			defer ref.Close()
			read := func(name string) []float32 {
				info, ok := ref.Info(name)
				if !ok {
					return nil
				}
				x := make([]float32, info.Shape[0])
				if err := ref.Read(name, x); err != nil {
					t.Fatal(err)
				}
				return x
			}
			g := m.Graph(128, graph.Float32, nil)
			defer g.Free()
			program, err := g.Compile(graph.Options{Train: true})
			if err != nil {
				t.Fatal(err)
			}
			in, at, divisor := g.Inputs(), 0, 0.0
			for i := range in.IDs {
				in.Starts[i], in.Targets[i] = int32(i), -1
			}
			for i := 0; read(fmt.Sprint("ids.", i)) != nil; i++ {
				ids, weights := read(fmt.Sprint("ids.", i)), read(fmt.Sprint("weights.", i))
				for k, id := range ids {
					in.IDs[at+k], in.Starts[at+k], in.Weights[at+k] = int32(id), int32(at), weights[k]
					if k > 0 {
						in.Targets[at+k-1] = int32(id)
					}
					divisor += float64(weights[k])
				}
				at += len(ids)
			}
			optimizer := NewAdamW(m.Params, 0.9, 0.95, 1e-8, 0.1)
			defer optimizer.Free()
			losses, norms := read("adamw.losses"), read("adamw.norms")
			for step := range losses {
				if err := program.RunAll(); err != nil {
					t.Fatal(err)
				}
				loss, norm := g.Loss()/divisor, gradNorm(m.Params, 1/divisor)
				optimizer.Step(step+1, 1e-2, clip(norm, 1)/divisor)
				if d := math.Abs(loss-float64(losses[step])) / float64(losses[step]); !(d < 1e-3) {
					t.Errorf("step %d: loss %.6f, PyTorch's is %.6f", step+1, loss, losses[step])
				}
				if d := math.Abs(norm-float64(norms[step])) / float64(norms[step]); !(d < 5e-3) {
					t.Errorf("step %d: gradient norm %.6f, PyTorch's is %.6f", step+1, norm, norms[step])
				}
			}
		})
	}
}

// talks is n records with answers of different lengths.
func talks(n int) string {
	var b strings.Builder
	for i := range n {
		answer := strings.Repeat(fmt.Sprintf("%d little steps. ", i%7), 1+i*5%11)
		raw, _ := json.Marshal(map[string]any{"messages": []map[string]string{
			{"role": "user", "content": fmt.Sprint("say ", i)}, {"role": "assistant", "content": answer}}})
		b.Write(append(raw, '\n'))
	}
	return b.String()
}

// fixture is the store of a source of 40 conversations, 4 of them held out.
func fixture(t *testing.T, factor float64) (*data.Set, *chat.Template) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "talks.jsonl")
	if err := os.WriteFile(path, []byte(talks(40)), 0o644); err != nil {
		t.Fatal(err)
	}
	template, err := chat.Open(tokenizer.Bytes(), "auto")
	if err != nil {
		t.Fatal(err)
	}
	store, err := data.Build(context.Background(), data.Options{
		Sources: []data.Source{{Name: "talks", Path: path, LossFactor: factor}}, HeldOut: data.HeldOut{Count: 4},
		MaxLength: 256, TooLong: "error", OnBadRecord: "error", CacheDir: filepath.Join(dir, "cache"),
	}, template, data.Run{Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store, template
}

// tinyConfig is a model of two layers.
const tinyConfig = `{"model_type": "llama", "vocab_size": 259, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
	"num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "tie_word_embeddings": true, "initializer_range": 0.05, "hidden_act": "silu", "rope_theta": 10000}`

// fresh is such a model from a seed.
func fresh() (*model.Model, error) {
	c, err := model.ParseConfig([]byte(tinyConfig))
	if err != nil {
		return nil, err
	}
	return model.New(c, 1), nil
}

func tiny(t *testing.T) *model.Model {
	t.Helper()
	m, err := fresh()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Free)
	return m
}

// job is a run of 12 steps.
func job(t *testing.T, store *data.Set, template *chat.Template, dir string) Job {
	opt := Default()
	opt.MaxSteps, opt.GradientAccumulationSteps, opt.LearningRate = 12, 2, 1e-2
	opt.Precision, opt.EvalSteps, opt.SaveSteps = "float32", 4, 5
	opt.SaveTotalLimit = 0
	return Job{
		Options: opt, Packing: packing.Options{Capacity: 256, Strategy: "best_fit_decreasing", Weighting: "token"},
		Seed: 3, Dir: dir, Data: store, Model: tiny(t), Tokenizer: tokenizer.Bytes(), Stop: template.Stop(),
		Sample: SampleOptions{Prompts: 2, MaxNewTokens: 8}, Identity: Identity{Contents: store.Contents(), Settings: map[string]string{"seed": "3"}},
		Config: []byte("seed: 3\n"),
	}
}

func run(t *testing.T, j Job) Result {
	t.Helper()
	r, err := SFT(context.Background(), j)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// tree reads every file under dir.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		out[rel] = string(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// steps reads metrics.jsonl, without the fields that tell of time and memory.
func steps(t *testing.T, dir string) []map[string]any {
	t.Helper()
	lines, err := ReproducibleMetrics(filepath.Join(dir, "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func TestARunLearnsAndLeavesWhatItPromises(t *testing.T) {
	store, template := fixture(t, 1)
	j := job(t, store, template, filepath.Join(t.TempDir(), "run"))
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
	for _, name := range []string{"config.yaml", "run.json", "answers.json", "checkpoints/step-000012/model.safetensors",
		"checkpoints/step-000012/config.json", "checkpoints/step-000012/tokenizer.json", "checkpoints/step-000012/state/optimizer.safetensors",
		"checkpoints/step-000012/state/trainer.json", "checkpoints/step-000012/manifest.json", "checkpoints/step-000005/manifest.json"} {
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
	store, template := fixture(t, 1)
	var first string
	for _, cut := range [][2]int{{1, 4}, {2, 2}, {4, 1}} {
		j := job(t, store, template, filepath.Join(t.TempDir(), "run"))
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
	store, template := fixture(t, 1)
	j := job(t, store, template, filepath.Join(t.TempDir(), "run"))
	j.Sample.Prompts, j.Options.SaveSteps = 0, 1
	j.Events.Step = func(m StepMetrics) {
		if m.Step == 2 {
			j.Model.Params[0].Data[7] = float32(math.NaN())
		}
	}
	r, err := SFT(context.Background(), j)
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
	store, template := fixture(t, 1)
	j := job(t, store, template, filepath.Join(t.TempDir(), "run"))
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
	if len(broken) != 1 || !strings.Contains(broken[0], "step-000012") || !strings.Contains(broken[0], "model.safetensors") || r.Resumed != 10 {
		t.Errorf("went on from step %d, broken: %v", r.Resumed, broken)
	}
	if got := tree(t, j.Dir)["checkpoints/step-000012/model.safetensors"]; got != want {
		t.Error("the repeated steps gave other weights")
	}
}

func TestTheLastStepOfAnEpochIsTakenWithFewerPacks(t *testing.T) {
	store, template := fixture(t, 1)
	j := job(t, store, template, filepath.Join(t.TempDir(), "run"))
	j.Options.MaxSteps, j.Options.NumTrainEpochs, j.Options.GradientAccumulationSteps = 0, 2, 5
	plan, err := PlanRun(store, j.Packing, j.Options, j.Seed)
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
	store, template := fixture(t, 1)
	var got []string
	for _, seed := range []uint64{3, 3, 4} {
		j := job(t, store, template, filepath.Join(t.TempDir(), "run"))
		j.Seed, j.Options.MaxSteps = seed, 3
		run(t, j)
		got = append(got, tree(t, j.Dir)["checkpoints/step-000003/model.safetensors"])
	}
	if got[0] != got[1] || got[0] == got[2] {
		t.Errorf("the same seed the same: %v, another seed another: %v", got[0] == got[1], got[0] != got[2])
	}
}

func TestRecomputationAndMemoryDoNotChangeTheRun(t *testing.T) {
	store, template := fixture(t, 1)
	var got []string
	for _, how := range []string{"false", "true"} {
		j := job(t, store, template, filepath.Join(t.TempDir(), "run"))
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
