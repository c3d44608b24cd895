package session

import (
	"strings"
	"testing"

	"lwtrain/data"
	"lwtrain/engine"
	"lwtrain/model"
	"lwtrain/train"
)

func TestARateFarFromTheUsualOneIsWarnedOf(t *testing.T) {
	for name, c := range map[string]struct {
		rate float64
		said string
	}{
		"the usual one": {1e-5, ""}, "five times": {5e-5, ""}, "a fifth": {2.001e-6, ""},
		"six times": {6e-5, "a rate of 6e-05 is high for 9B parameters, where 1e-05 is usual"},
		"a sixth":   {1.6e-6, "a rate of 1.6e-06 is low for 9B parameters"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := rateWarning(c.rate, UsualRate(9e9, false), "9B"); !strings.HasPrefix(got, c.said) || (c.said == "") != (got == "") {
				t.Errorf("got %q, want %q", got, c.said)
			}
		})
	}
}

func TestSamplesLongerThanTheirBoundAreCounted(t *testing.T) {
	for name, c := range map[string]struct {
		source   data.SourceStats
		cut, all int
	}{
		"some are cut":               {data.SourceStats{Samples: 10, Cut: 3}, 3, 10},
		"some are dropped":           {data.SourceStats{Samples: 10, Dropped: map[string]int{"too_long": 2, "no_answer": 9}}, 2, 12},
		"a pair is dropped as whole": {data.SourceStats{Samples: 10, Pairs: 5, Dropped: map[string]int{"too_long": 2}}, 2, 7},
		"some of many are drawn":     {data.SourceStats{Samples: 10, Undrawn: 90, Dropped: map[string]int{"too_long": 5}}, 5, 105},
		"some of many are cut":       {data.SourceStats{Samples: 10, Undrawn: 90, Cut: 5}, 5, 10},
	} {
		t.Run(name, func(t *testing.T) {
			if cut, all := longer([]data.SourceStats{c.source}); cut != c.cut || all != c.all {
				t.Errorf("%d of %d, want %d of %d", cut, all, c.cut, c.all)
			}
		})
	}
}

func TestMemoryThatIsNotThereIsWarnedOf(t *testing.T) {
	for name, c := range map[string]struct {
		needs engine.Needs
		help  string
	}{
		"there is enough":              {engine.Needs{Weights: 4, Activations: 4, Limit: 8}, ""},
		"activations are the most":     {engine.Needs{Weights: 4, Activations: 5, Limit: 8}, "a smaller packing.capacity would help"},
		"the model is larger than all": {engine.Needs{Weights: 9, Limit: 8}, "a larger machine would help"},
		"all weights are trained": {engine.Needs{Weights: 4, Gradients: 4, Optimizer: 8, Activations: 2, Limit: 8},
			"; adapters (lora.rank: 16) or train.optim: adamw_8bit would help"},
		"in 8 bits already": {engine.Needs{Weights: 3, Gradients: 4, Optimizer: 2, Limit: 8}, "; adapters (lora.rank: 16) would help"},
		"by torch, whose moments have 32 bits": {engine.Needs{Weights: 4, Gradients: 4, Optimizer: 8, Limit: 8, By: "torch"},
			"; adapters (lora.rank: 16) would help"},
		"adapters of a large model": {engine.Needs{Weights: 9, Gradients: 1, Optimizer: 1, Limit: 8, Adapters: true},
			"; a smaller model or a larger machine would help"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := MemoryWarning(c.needs); !strings.HasSuffix(got, c.help) || (c.help == "") != (got == "") {
				t.Errorf("got %q, want the help %q", got, c.help)
			}
		})
	}
}

func TestEachEngineSaysWhatItNeeds(t *testing.T) {
	c, err := model.ParseConfig([]byte(`{"model_type": "llama", "vocab_size": 300, "hidden_size": 32, "intermediate_size": 64,
		"num_hidden_layers": 4, "num_attention_heads": 2, "max_position_embeddings": 512, "rms_norm_eps": 1e-5}`))
	if err != nil {
		t.Fatal(err)
	}
	o := train.Default()
	o.Precision = "float32"
	rows, err := needsByEngine(c, "", o, model.DefaultLoRA(), 256)
	if err != nil || len(rows) != 5 || rows[2].Rank != 16 || rows[0].Engine != engine.Native || rows[3].Engine != engine.Torch ||
		rows[4].Rank != 16 || rows[4].Engine != engine.Torch {
		t.Fatalf("%+v, %v", rows, err)
	}
	n := c.Parameters()
	for _, r := range rows {
		for _, m := range []engine.Needs{r.Needs, r.Again} {
			// A and B of each layer: q, k, v and o; gate, up and down; all of 32 rows or columns but those of 64
			if adapters := int64(4 * 16 * (4*64 + 3*96)); r.Rank > 0 && (m.Gradients != 4*adapters || m.Optimizer != 8*adapters) {
				t.Errorf("adapters: %+v, want 4 and 8 bytes for each of %d values", m, adapters)
			}
			if r.Rank > 0 {
				continue
			}
			if r.Optimizer == train.AdamW8Bit {
				if all := m.Weights + m.Gradients + m.Optimizer; m.Gradients != 4*n || float64(all) < 9.125*float64(n) || all > 10*n {
					t.Errorf("%s: %d bytes for %d parameters, want 9.125 to 10 for each", r.Optimizer, all, n)
				}
				continue
			}
			if m.Weights != 4*n || m.Gradients != 4*n || m.Optimizer != 8*n || m.Precision != engine.Float32 {
				t.Errorf("%s: %+v, want 4, 4 and 8 bytes for each of %d parameters", r.Engine, m, n)
			}
		}
	}
	if again, none := rows[0].Again.Activations, rows[0].Needs.Activations; again >= none {
		t.Errorf("%d bytes with all layers computed again, want fewer than %d", again, none)
	}
}
