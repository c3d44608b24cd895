package session

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"lwtrain/configs"
	"lwtrain/engine"
	"lwtrain/train"
)

const paced = `
model: {init: {seed: 0, config: {model_type: llama, vocab_size: 259, hidden_size: 16, intermediate_size: 24, num_hidden_layers: 2,
  num_attention_heads: 2, num_key_value_heads: 1, max_position_embeddings: 512, rms_norm_eps: 1.0e-5, tie_word_embeddings: true}}}
packing: {capacity: 256}
output: {dir: run}
`

const (
	talks = `
data: {sources: [{path: "builtin:quickstart/general_en.jsonl"}], max_length: 256, too_long: truncate, held_out: 3, cache_dir: cache}
`
	couples = `
data: {sources: [{path: pairs.jsonl}], max_length: 256, held_out: 2, cache_dir: cache}
`
)

// TestTheWorkOfARunIsKnownBeforeIt compares what is said before a run with what the engine
// is then asked for.
func TestTheWorkOfARunIsKnownBeforeIt(t *testing.T) {
	for _, c := range []struct {
		name    string
		how     Method
		config  string
		options []string
		stop    int // the step after which the run is interrupted and goes on; 0: never
	}{
		{"fine-tuning", SFT, talks, []string{"train.max_steps=7", "train.eval_steps=3", "train.save_steps=2"}, 0},
		{"fine-tuning that goes on", SFT, talks, []string{"train.max_steps=7", "train.eval_steps=3"}, 4},
		{"fine-tuning of epochs", SFT, talks, []string{"train.num_train_epochs=2", "train.gradient_accumulation_steps=2"}, 0},
		{"pairs", DPO, couples, []string{"train.num_train_epochs=2", "train.eval_steps=2"}, 0},
		{"labelled answers", DPO, couples, []string{"train.num_train_epochs=2", "train.eval_steps=2", "dpo.loss_type=kto"}, 0},
		{"pairs without a reference", DPO, couples, []string{"dpo.loss_type=simpo", "dpo.reference=none"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			var lines []byte
			for i := range 12 {
				lines = append(lines, []byte(`{"prompt": "count to `+string(rune('a'+i))+
					`", "chosen": "one and two and three and four, and so on", "rejected": "no, not today"}`+"\n")...)
			}
			if err := os.WriteFile("pairs.jsonl", lines, 0o644); err != nil {
				t.Fatal(err)
			}
			parsed, err := configs.Parse("my.yaml", []byte(paced+c.config), append(c.options, "sample.prompts=0"), nil)
			if err != nil {
				t.Fatal(err)
			}
			s := Open(parsed, Events{}, false)
			defer s.Close()
			r, err := s.Run(t.Context(), c.how)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			do := func(ctx context.Context, e train.Events) *timed {
				job, err := r.job(t.Context(), e)
				if err != nil {
					t.Fatal(err)
				}
				own, err := r.session.engine(r.Model, r.reference, r.heldOut(), "")
				if err != nil {
					t.Fatal(err)
				}
				defer own.Close()
				measured := &timed{Engine: own}
				job.Engine = measured
				if _, err := c.how.do(ctx, job); err != nil && c.stop == 0 {
					t.Fatal(err)
				}
				return measured
			}
			if c.stop > 0 {
				ctx, cancel := context.WithCancel(t.Context())
				do(ctx, train.Events{Step: func(m train.StepMetrics) {
					if m.Step == c.stop {
						cancel()
					}
				}})
			}
			want, err := c.how.work(r, c.stop)
			if err != nil {
				t.Fatal(err)
			}
			got := do(t.Context(), train.Events{})
			if got.learn.units != int(want.Learned) || got.score.units != int(want.Scored) {
				t.Errorf("learnt %d and scored %d, said before %+v", got.learn.units, got.score.units, want)
			}
			if got.update.units != want.Updates || got.save.units != want.Saves {
				t.Errorf("%d updates and %d saves, said before %+v", got.update.units, got.save.units, want)
			}
		})
	}
}

func TestAPaceIsKeptForTheNextRunLikeIt(t *testing.T) {
	dir := t.TempDir()
	first := pace{Learn: 1, Score: 2, Update: 3, Answer: 4, Save: 5}
	for _, p := range []struct {
		key string
		pace
	}{{"a", first}, {"b", pace{Learn: 7}}, {"a", pace{Learn: 10}}} {
		if err := keepPace(dir, p.key, p.pace); err != nil {
			t.Fatal(err)
		}
	}
	first.Learn = 10 // nothing else was measured again
	if got := readPaces(dir); len(got) != 2 || got["a"] != first || got["b"].Learn != 7 {
		t.Errorf("kept %+v", got)
	}
	for _, c := range []struct {
		name string
		pace
		want float64
	}{
		{"one beside much other work does not replace a quiet one", pace{Learn: 30, Others: 0.5}, 10},
		{"one beside a little does", pace{Learn: 11, Others: 0.1}, 11},
	} {
		if err := keepPace(dir, "a", c.pace); err != nil || readPaces(dir)["a"].Learn != c.want {
			t.Errorf("%s: %+v, %v", c.name, readPaces(dir)["a"], err)
		}
	}
	for _, learn := range []float64{30, 20} {
		if err := keepPace(dir, "busy", pace{Learn: learn, Others: 0.5}); err != nil || readPaces(dir)["busy"].Learn != learn {
			t.Errorf("the last of those beside other work is kept where there is no other: %+v, %v", readPaces(dir)["busy"], err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, paceFile), []byte("{]"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := readPaces(dir); len(got) != 0 {
		t.Errorf("a broken file holds %+v", got)
	}
	took := pace{Learn: 1, Score: 2, Update: 3, Answer: 4, Save: 5}.takes(train.Work{Learned: 10, Scored: 20, Updates: 30, Saves: 40}, 50)
	if took.Seconds() != 10+40+90+200+200 {
		t.Errorf("it takes %v", took)
	}
}

func TestAPaceDependsOnWhatMakesARunFast(t *testing.T) {
	plan := func(tokens int64) *train.Plan { return &train.Plan{Capacity: 2048, Documents: 10, Tokens: tokens} }
	key := func(kind string, p *train.Plan, m engine.Needs) string {
		r := Model{}
		return paceKey(kind, r.Config, train.Default(), p, m)
	}
	base := key("sft", plan(1000), engine.Needs{Machine: "2 threads"})
	if base != key("sft", plan(1200), engine.Needs{Machine: "2 threads"}) {
		t.Error("a little more data is another pace")
	}
	for name, other := range map[string]string{
		"another command":  key("dpo", plan(1000), engine.Needs{Machine: "2 threads"}),
		"longer documents": key("sft", plan(9000), engine.Needs{Machine: "2 threads"}),
		"other threads":    key("sft", plan(1000), engine.Needs{Machine: "4 threads"}),
		"recomputing":      key("sft", plan(1000), engine.Needs{Machine: "2 threads", Recomputed: "all"}),
	} {
		if other == base {
			t.Errorf("%s has the same pace", name)
		}
	}
}
