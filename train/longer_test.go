package train

import (
	"context"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"lwtrain/internal/fault"
)

func TestARunTakesMoreStepsWhereThatChangesNoneOfThoseItTook(t *testing.T) {
	settings := func(changes ...string) Identity {
		s := map[string]string{
			"train.max_steps": "0", "train.num_train_epochs": "2.0", "train.lr_scheduler_type": "constant",
			"train.warmup_ratio": "0.0", "train.warmup_steps": "5", "seed": "1",
		}
		for _, c := range changes {
			key, value, _ := strings.Cut(c, "=")
			s[key] = value
		}
		return Identity{Settings: s}
	}
	for _, c := range []struct {
		name       string
		there, now Identity
		same       bool
	}{
		{"nothing changed", settings(), settings(), true},
		{"more epochs", settings(), settings("train.num_train_epochs=3.5"), true},
		{"fewer epochs", settings(), settings("train.num_train_epochs=1.0"), false},
		{"more steps", settings("train.max_steps=10"), settings("train.max_steps=11"), true},
		{"fewer steps", settings("train.max_steps=10"), settings("train.max_steps=9"), false},
		{"more steps, of a number of epochs that counts for nothing",
			settings("train.max_steps=10"), settings("train.max_steps=11", "train.num_train_epochs=1.0"), true},
		{"steps in place of epochs", settings(), settings("train.max_steps=10"), false},
		{"epochs in place of steps", settings("train.max_steps=10"), settings(), false},
		{"a rate that falls",
			settings("train.lr_scheduler_type=cosine"), settings("train.lr_scheduler_type=cosine", "train.num_train_epochs=3.0"), false},
		{"a rate that fell", settings("train.lr_scheduler_type=cosine"), settings("train.num_train_epochs=3.0"), false},
		{"a warm-up that is a share of the steps",
			settings("train.warmup_ratio=0.1"), settings("train.warmup_ratio=0.1", "train.num_train_epochs=3.0"), false},
		{"another seed besides", settings(), settings("train.num_train_epochs=3.0", "seed=2"), false},
		{"settings that do not say", Identity{Settings: map[string]string{"seed": "1"}}, settings(), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := maps.Clone(c.there.Settings)
			if err := sameRun(t.TempDir(), c.there, c.now); (err == nil) != c.same {
				t.Errorf("got %v, want the same run: %t", err, c.same)
			}
			if !maps.Equal(before, c.there.Settings) {
				t.Error("the settings of the run there changed")
			}
		})
	}
}

func TestALengthenedRunEndsAsOneOfThatLength(t *testing.T) {
	set, chat := fixture(t, 1)
	sized := func(dir, steps string) testJob {
		j := job(t, set, chat, filepath.Join(t.TempDir(), dir))
		o := &j.Options
		o.LRSchedulerType, o.WarmupRatio, o.WarmupSteps, o.MaxSteps = "constant", 0, 3, map[string]int{"7": 7, "12": 12}[steps]
		j.Identity.Settings = map[string]string{
			"train.max_steps": steps, "train.num_train_epochs": "4.0", "train.lr_scheduler_type": "constant", "train.warmup_ratio": "0.0",
		}
		return j
	}
	whole := sized("run", "12")
	run(t, whole)
	short := sized("run", "7")
	run(t, short)
	longer := sized("run", "12")
	longer.Dir = short.Dir
	if r := run(t, longer); r.Resumed != 7 || r.Steps != 12 || len(r.Answers) != 2 || r.Answers[0].After == nil {
		t.Errorf("%+v", r)
	}
	want, got := tree(t, whole.Dir), tree(t, longer.Dir)
	for _, name := range []string{"answers.json", "best.json", "checkpoints/step-000012/manifest.json"} {
		if got[name] != want[name] {
			t.Errorf("%s differs", name)
		}
	}
	if a, b := reproducible([]byte(got["metrics.jsonl"])), reproducible([]byte(want["metrics.jsonl"])); string(a) != string(b) {
		t.Errorf("metrics:\n%s, want\n%s", a, b)
	}
	short.Model = tiny(t)
	_, err := short.sft(context.Background(), t)
	hint := "model.path=" + filepath.Join(short.Dir, "checkpoints", "step-000012") + " output.dir=" + short.Dir + "-2"
	if err == nil || !fault.IsUsage(err) || !strings.Contains(fault.HintOf(err), hint) {
		t.Errorf("a shorter one: %v, hint %q", err, fault.HintOf(err))
	}
}
