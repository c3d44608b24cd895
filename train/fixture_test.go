package train

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lwtrain/chat"
	"lwtrain/data"
	"lwtrain/engine"
	"lwtrain/engine/native"
	"lwtrain/model"
	"lwtrain/packing"
	"lwtrain/tokenizer"
)

// testJob is a job before its data is packed and its engine opened.
type testJob struct {
	Job
	Packing packing.Options
	Model   *model.Model // the weights that training starts from
}

// ready packs the data, where it is conversations, and opens the engine, which the test
// closes at its end.
func (j testJob) ready(t *testing.T) Job {
	t.Helper()
	e, err := j.engine(j.Model)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	job := j.packed(t)
	job.Engine = e
	return job
}

func (j testJob) packed(t *testing.T) Job {
	t.Helper()
	job := j.Job
	job.Capacity = j.Packing.Capacity
	if len(j.Data.Pairs()) == 0 {
		job.Epochs = j.epochs(t)
	}
	return job
}

func (j testJob) epochs(t *testing.T) *Epochs {
	t.Helper()
	e, err := NewEpochs(j.Data, j.Packing, j.Options.PacksPerStep(), j.Seed)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func (j testJob) batches(t *testing.T) *Batches {
	t.Helper()
	b, err := NewBatches(j.epochs(t), j.Options)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (j testJob) engine(m *model.Model) (engine.Engine, error) {
	o, longest := j.Options, 0
	for _, i := range j.Data.HeldOut() {
		longest = max(longest, j.Data.Tokens(int(i)))
	}
	return native.New(m, native.Options{
		Capacity: j.Packing.Capacity, HeldOut: longest, Precision: o.Precision,
		GradientCheckpointing: o.GradientCheckpointing, MemoryLimit: int64(o.MemoryLimit),
		AdamW: native.AdamW{Beta1: o.AdamBeta1, Beta2: o.AdamBeta2, Epsilon: o.AdamEpsilon, Decay: o.WeightDecay},
	})
}

// opener opens engines over models of their own.
func (j testJob) opener(load func() (*model.Model, error)) func() (engine.Engine, error) {
	return func() (engine.Engine, error) {
		m, err := load()
		if err != nil {
			return nil, err
		}
		return j.engine(m)
	}
}

func (j testJob) sft(ctx context.Context, t *testing.T) (Result, error) { return SFT(ctx, j.ready(t)) }

func (j testJob) dpo(ctx context.Context, t *testing.T) (Result, error) { return DPO(ctx, j.ready(t)) }

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

// fixture is the set of a source of 40 conversations, 4 of them held out.
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
	set, err := data.Build(context.Background(), data.Options{
		Sources: []data.Source{{Name: "talks", Path: path, LossFactor: factor}}, HeldOut: data.HeldOut{Count: 4},
		MaxLength: 256, TooLong: "error", OnBadRecord: "error", CacheDir: filepath.Join(dir, "cache"),
	}, template, data.Run{Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Close() })
	return set, template
}

// tinyConfig is a model of two layers.
const tinyConfig = `{"model_type": "llama", "vocab_size": 259, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
	"num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "tie_word_embeddings": true,
	"initializer_range": 0.05, "hidden_act": "silu", "rope_theta": 10000}`

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
func job(t *testing.T, set *data.Set, template *chat.Template, dir string) testJob {
	opt := Default()
	opt.MaxSteps, opt.GradientAccumulationSteps, opt.LearningRate = 12, 2, 1e-2
	opt.Precision, opt.EvalSteps, opt.SaveSteps = "float32", 4, 5
	opt.SaveTotalLimit = 0
	return testJob{Job{
		Options: opt, Seed: 3, Dir: dir, Data: set, Tokenizer: tokenizer.Bytes(), Stop: template.Stop(),
		Asked:    AnswerOptions{Prompts: 2, MaxNewTokens: 8},
		Identity: Identity{Contents: set.Contents(), Settings: map[string]string{"seed": "3"}},
		Config:   []byte("seed: 3\n"),
	}, packing.Options{Capacity: 256, Strategy: packing.BestFit, Weighting: packing.ByToken}, tiny(t)}
}

func run(t *testing.T, j testJob) Result {
	t.Helper()
	r, err := j.sft(context.Background(), t)
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
