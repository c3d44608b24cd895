package session_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lwtrain/model"
	"lwtrain/session"
)

// pairsToPlan are the overrides of a run on the pairs that ship.
var pairsToPlan = []string{"data.sources=[{path: 'builtin:pairs/lengths_en.jsonl'}]", "data.max_length=1024", "data.too_long=skip",
	"packing.capacity=2048", "train.eval_steps=0", "sample.prompts=0"}

func TestAPlanSaysWhichPromptsAreComputedOnceAndWhatBoundsIt(t *testing.T) {
	const narrow = `{"model_type": "mistral", "vocab_size": 259, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1,
		"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5,
			"sliding_window": 30}`
	recurrent := strings.NewReplacer("mistral", "lfm2", `"sliding_window": 30`, `"layer_types": ["conv"]`).Replace(narrow)
	for _, c := range []struct {
		name      string
		overrides []string
		shared    bool
		why       string
	}{
		{"a model with full attention shares them", []string{"dpo.share_prompts=true"}, true, ""},
		{"where the config says so they are not", []string{"dpo.share_prompts=false"}, false, "dpo.share_prompts is false"},
		{"not beyond a window", []string{"model.init.config=" + narrow}, false, "the window of its layers"},
		{"not with recurrent layers", []string{"model.init.config=" + recurrent}, false, "recurrent layers"},
		{"a reference bounds it, too", []string{"dpo.reference=narrow", "dpo.share_prompts=true"}, false, "the reference: the window"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			save(t, "narrow", narrow)
			run := open(t, append(c.overrides, pairsToPlan...)...)
			plan, err := run.Plan()
			if err != nil {
				t.Fatal(err)
			}
			if once := plan.Once; (once.Pairs > 0) != c.shared || !strings.HasPrefix(once.Why, c.why) {
				t.Errorf("%+v, want it bound by %q", once, c.why)
			}
		})
	}
	t.Run("true is refused where it can not be", func(t *testing.T) {
		t.Chdir(t.TempDir())
		conf := config(t, append([]string{"model.init.config=" + recurrent, "dpo.share_prompts=true"}, pairsToPlan...)...)
		_, err := session.Open(conf, session.Events{}, true).Run(context.Background(), session.DPO)
		if err == nil || !strings.Contains(err.Error(), "dpo.share_prompts is true") || !strings.Contains(err.Error(),
			"recurrent layers") {
			t.Errorf("got %v, want the key and what bounds it named", err)
		}
	})
}

// save makes a folder of a model with random weights.
func save(t *testing.T, dir, config string) {
	t.Helper()
	c, err := model.ParseConfig([]byte(config))
	if err != nil {
		t.Fatal(err)
	}
	m := model.New(c, 1)
	defer m.Free()
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := m.Save(dir, "float32"); err != nil {
		t.Fatal(err)
	}
}

// open opens a dry run on pairs, which the test closes.
func open(t *testing.T, overrides ...string) *session.Run {
	t.Helper()
	s := session.Open(config(t, overrides...), session.Events{}, true)
	t.Cleanup(func() { s.Close() })
	run, err := s.Run(context.Background(), session.DPO)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { run.Close() })
	return run
}

// A folder of a run from before there was the key does not hold it, and that run had a prompt for each answer.
func TestARunFromBeforePromptsWereSharedGoesOnWithoutThat(t *testing.T) {
	t.Chdir(t.TempDir())
	for settings, shared := range map[string]bool{`{"dpo.beta": "0.1"}`: false,
		`{"dpo.beta": "0.1", "dpo.share_prompts": "auto"}`: true} {
		if err := os.MkdirAll("run", 0o755); err != nil {
			t.Fatal(err)
		}
		raw, _ := json.Marshal(map[string]any{"settings": json.RawMessage(settings), "contents": map[string]string{}})
		if err := os.WriteFile(filepath.Join("run", "run.json"), raw, 0o644); err != nil {
			t.Fatal(err)
		}
		plan, err := open(t, pairsToPlan...).Plan()
		if err != nil || (plan.Once.Most > 0) != shared {
			t.Errorf("%s: %+v, %v, want prompts shared: %t", settings, plan.Once, err, shared)
		}
	}
}
