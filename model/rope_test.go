package model

import (
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// stretched is the config of a test model whose positions are stretched.
func stretched(t *testing.T, form string, how map[string]any) (Config, error) {
	t.Helper()
	c, err := ReadConfig(filepath.Join("testdata", form))
	if err != nil {
		t.Fatal(err)
	}
	return c.Stretch(how)
}

func TestAModelIsStretchedAsItsConfigThenSays(t *testing.T) {
	for _, form := range []string{"llama-tied", "qwen3", "glm4", "mistral", "smollm3", "granite", "granitemoehybrid", "olmo2"} {
		for _, how := range []map[string]any{
			{"rope_type": "linear", "factor": 4}, {"type": "yarn", "factor": 4.0}, {"rope_type": "llama3", "factor": 8},
			{"rope_type": "yarn", "factor": 2, "beta_fast": 16.0, "attention_factor": 1.5},
		} {
			c, err := stretched(t, form, how)
			if err != nil {
				t.Fatalf("%s, %v: %v", form, how, err)
			}
			factor, _ := number(how["factor"])
			if s := c.Rope.Scaling; c.MaxTokens != int(256*factor) || s == nil || s.Factor != factor ||
				s.Type != "linear" && s.OriginalMax != 256 {
				t.Errorf("%s, %v: texts of %d tokens, %+v", form, how, c.MaxTokens, s)
			}
			raw, err := c.JSON("float32")
			if err != nil {
				t.Fatal(err)
			}
			again, err := ParseConfig(raw)
			if err != nil {
				t.Fatalf("%s, %v: %v\n%s", form, how, err, raw)
			}
			a, b := c.rotation(c.Rope), again.rotation(again.Rope)
			for i := range a.Freqs {
				if a.Freqs[i] != b.Freqs[i] || a.Factor != b.Factor || again.MaxTokens != c.MaxTokens {
					t.Errorf("%s, %v: read again frequency %d is %g times %g, want %g times %g", form, how, i, b.Freqs[i], b.Factor,
						a.Freqs[i], a.Factor)
				}
			}
			if again.Rope.Theta != c.Rope.Theta || again.Rope.Dim != c.Rope.Dim {
				t.Errorf("%s, %v: read again with base %g and %d values, want %g and %d", form, how,
					again.Rope.Theta, again.Rope.Dim, c.Rope.Theta, c.Rope.Dim)
			}
		}
	}
}

func TestWhatCanNotBeStretchedIsRefused(t *testing.T) {
	yarn := map[string]any{"rope_type": "yarn", "factor": 4}
	for _, c := range []struct {
		name, form string
		how        map[string]any
		want       string
	}{
		{"a form with code of its own", "chatglm", yarn, "model_type chatglm has no place for rope_scaling"},
		{"a model that stretches its positions itself", "llama-untied", yarn, "has RoPE scaling of its own (llama3, up to 256)"},
		{"no way", "llama-tied", map[string]any{"factor": 4}, `rope_type is missing, want linear, yarn, llama3 or default`},
		{"an unknown way", "llama-tied", map[string]any{"rope_type": "dynamic", "factor": 4}, `rope_type is "dynamic"`},
		{"no factor", "llama-tied", map[string]any{"rope_type": "yarn"}, `factor is missing, want by how much`},
		{"a factor below 1", "llama-tied", map[string]any{"rope_type": "yarn", "factor": 0.5}, `factor is "0.5"`},
		{"a key that no way has", "llama-tied", map[string]any{"rope_type": "yarn", "factor": 2, "beta_quick": 3},
			`"beta_quick" is no key of yarn, want of rope_type, type, factor, beta_fast`},
		{"a key of another way", "llama-tied", map[string]any{"type": "linear", "factor": 2, "beta_fast": 3},
			`"beta_fast" is no key of linear`},
		{"a key of the wrong kind", "llama-tied", map[string]any{"rope_type": "yarn", "factor": 2, "beta_fast": "x"}, "beta_fast is text"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := stretched(t, c.form, c.how); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// TestPositionsGoOnAsTheyAre: the config says longer texts, and nothing else changes.
func TestPositionsGoOnAsTheyAre(t *testing.T) {
	const usual = "max_position_embeddings"
	for form, key := range map[string]string{"chatglm": "seq_length", "llama-tied": usual, "qwen3": usual, "granitemoehybrid": usual} {
		was, err := ReadConfig(filepath.Join("testdata", form))
		if err != nil {
			t.Fatal(err)
		}
		c, err := stretched(t, form, map[string]any{"rope_type": "default", "factor": 4})
		if err != nil {
			t.Fatalf("%s: %v", form, err)
		}
		raw := string(must(c.JSON("float32")))
		if !reflect.DeepEqual(c.Rope, was.Rope) || c.MaxTokens != 1024 || !strings.Contains(raw, `"`+key+`": 1024`) {
			t.Errorf("%s: texts of %d tokens, %+v\n%s", form, c.MaxTokens, c.Rope, raw)
		}
	}
}

// TestTheLayersWithoutAWindowAreStretched: those with one see no further than before.
func TestTheLayersWithoutAWindowAreStretched(t *testing.T) {
	c, err := ReadConfig(filepath.Join("testdata", "gemma3"))
	if err != nil {
		t.Fatal(err)
	}
	c, err = ParseConfig([]byte(strings.Replace(string(must(c.JSON("float32"))), `"rope_type": "linear"`, `"rope_type": "default"`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	long, err := c.Stretch(map[string]any{"rope_type": "yarn", "factor": 4})
	if err != nil {
		t.Fatal(err)
	}
	if long.Rope.Scaling == nil || long.LocalRope.Scaling != nil || long.LocalRope.Theta != c.LocalRope.Theta {
		t.Errorf("stretched as %+v and %+v", long.Rope, long.LocalRope)
	}
}

func must(raw []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return raw
}

// TestAWindowBoundsTheOperations: of 100 tokens, each meets those before it, and in a window of 10 at most 10.
func TestAMistralWithLayerTypesIsAMinistral(t *testing.T) {
	const sizes = `{"model_type":"mistral","hidden_size":32,"intermediate_size":48,"num_hidden_layers":2,"num_attention_heads":4,` +
		`"num_key_value_heads":4,"vocab_size":96,"sliding_window":7`
	for more, want := range map[string][]int{
		``: {7, 7}, `,"layer_types":null`: {7, 7}, `,"layer_types":["sliding_attention","full_attention"]`: {7, 0},
	} {
		c, err := ParseConfig([]byte(sizes + more + "}"))
		if err != nil {
			t.Fatal(err)
		}
		if got := []int{c.Attention[0].Window, c.Attention[1].Window}; !slices.Equal(got, want) {
			t.Errorf("%s: windows %v, want %v as transformers has them", more, got, want)
		}
	}
}

func TestAWindowBoundsTheOperations(t *testing.T) {
	c, err := ReadConfig(filepath.Join("testdata", "olmo3"))
	if err != nil {
		t.Fatal(err)
	}
	const full, windowed = 100 * 101 / 2, 7*8/2 + 93*7 // a window of 7
	if got, want := c.AttentionFLOPs(100), 4.0*4*16*(3*windowed+full); got != want {
		t.Errorf("%g operations, want %g", got, want)
	}
}

// TestWhatFilesSayIsWhatTransformersReads: keys that are null, empty or of another family, as the classes of transformers take them.
func TestWhatFilesSayIsWhatTransformersReads(t *testing.T) {
	parse := func(kind, more string) Config {
		t.Helper()
		c, err := ParseConfig([]byte(`{"model_type":"` + kind + `",` + sizes + `,"head_dim":8,"num_key_value_heads":4,` + more + `}`))
		if err != nil {
			t.Fatalf("%s with %s: %v", kind, more, err)
		}
		return c
	}
	const null = `"partial_rotary_factor":null`
	for more, want := range map[string]int{
		`"tie_word_embeddings":false`: 4, null: 8, null + `,"rope_parameters":{"partial_rotary_factor":0.25}`: 2,
	} {
		for _, kind := range []string{"glm", "glm4"} {
			if c := parse(kind, more); c.Rope.Dim != want {
				t.Errorf("%s with %s: %d of 8 dimensions are turned, want %d", kind, more, c.Rope.Dim, want)
			}
		}
	}
	if c := parse("qwen3_5_text", null); c.Rope.Dim != 8 {
		t.Errorf("Qwen 3.5 with %s: %d of 8 dimensions are turned", null, c.Rope.Dim)
	}
	if c := parse("lfm2", `"hidden_act":"gelu_pytorch_tanh"`); c.GELU {
		t.Error("LFM2 has GELU by a key that its class does not read")
	}
	if c := parse("gemma3_text", `"hidden_act":"silu"`); !c.GELU {
		t.Error("Gemma 3 has SiLU by a key that its class does not read")
	}
	for more, yarn := range map[string]bool{`"rope_scaling":{}`: true, `"rope_scaling":null`: true, `"rope_parameters":{}`: false} {
		if c := parse("ministral3", more); (c.Rope.Scaling != nil) != yarn {
			t.Errorf("Ministral 3 with %s: %+v, want yarn: %t", more, c.Rope, yarn)
		}
	}
}
