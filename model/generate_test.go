package model

import (
	"math"
	"slices"
	"testing"
)

// smallConfig has heads that share keys and values.
func smallConfig(t *testing.T) Config {
	c, err := ParseConfig([]byte(`{"model_type": "llama", "vocab_size": 259, "hidden_size": 80, "intermediate_size": 112,
		"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32, "max_position_embeddings": 512,
		"rms_norm_eps": 1e-5, "initializer_range": 0.3}`))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// smallModel has random weights that set its answers apart.
func smallModel(t *testing.T) *Model {
	m := New(smallConfig(t), 1)
	t.Cleanup(m.Free)
	return m
}

func TestATextIsTheSameWhateverIsBesideItAndWheneverItBegins(t *testing.T) {
	m := smallModel(t)
	var requests []Request
	for i := range 56 {
		r := Request{MaxNewTokens: 8 + i%11, Stop: []int32{7, 200}, Sampling: Sampling{Temperature: 1, TopP: 0.9, Seed: uint64(i)}}
		for n := range 1 + i*i%47 {
			r.Prompt = append(r.Prompt, int32((i+7*n)%259))
		}
		requests = append(requests, r)
	}
	for _, precision := range []string{"float32", "bf16"} {
		if precision == "bf16" {
			m.UseHalf()
		}
		alone, err := NewGenerator(m).Generate(t.Context(), requests, 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, batch := range []int{2, 3, 5, 16, 17, 25, 56} {
			slices.Reverse(requests)
			slices.Reverse(alone)
			got, err := NewGenerator(m).Generate(t.Context(), requests, batch)
			if err != nil {
				t.Fatal(err)
			}
			for i := range got {
				if !slices.Equal(got[i].IDs, alone[i].IDs) || got[i].Stop != alone[i].Stop {
					t.Errorf("%s, %d at a time: text %d is %v, alone %v", precision, batch, i, got[i], alone[i])
				}
			}
		}
	}
}

func TestWhatIsReadIsWhatWouldHaveBeenWritten(t *testing.T) {
	m := smallModel(t)
	g := NewGenerator(m)
	var ids []int32
	for i := range 150 {
		ids = append(ids, int32(i*i%259))
	}
	const from = 11
	nll, end, err := g.Read(ids, from, []int32{7, 200})
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{11, 12, 74, 75, 76, 149} { // the logits behind each prefix, from a pass of its own
		s := g.newSlot(&text{}, at)
		logits := g.prefill(s, ids[:at])
		sum := 0.0
		for _, v := range logits {
			sum += math.Exp(float64(v))
		}
		want := math.Log(sum) - float64(logits[ids[at]])
		ends := (math.Exp(float64(logits[7])) + math.Exp(float64(logits[200]))) / sum
		s.free()
		if math.Abs(nll[at-from]-want) > 1e-4 || math.Abs(end[at-from]-ends) > 1e-6 {
			t.Errorf("at %d: %g and %g, want %g and %g", at, nll[at-from], end[at-from], want, ends)
		}
	}
	if _, _, err := g.Read(ids[:5], 5, nil); err == nil {
		t.Error("nothing is left to read, and that is no error")
	}
}

func TestAPromptIsComputedOnceForRequestsThatShareIt(t *testing.T) {
	c := smallConfig(t)
	var requests []Request
	for i, prompt := range []int{1, 15, 16, 17, 33, 40, 90} { // tokens, around what lies side by side in a cache
		for k := range 1 + (3*i+2)%5 {
			r := Request{MaxNewTokens: 30 - 3*k, Stop: []int32{7, 200}, Sampling: Sampling{Temperature: 1, TopP: 0.9, Seed: uint64(k)}}
			if k == 2 {
				r.MaxNewTokens = 0
			}
			for n := range prompt {
				r.Prompt = append(r.Prompt, int32((i+7*n)%259))
			}
			requests = append(requests, r)
		}
	}
	for _, precision := range []string{"float32", "bf16"} {
		m := New(c, 1)
		defer m.Free()
		if precision == "bf16" {
			m.UseHalf()
		}
		var want []Generated
		for _, r := range requests { // nothing to share
			one, err := NewGenerator(m).Generate(t.Context(), []Request{r}, 1)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, one...)
		}
		for _, batch := range []int{1, 3, 16, len(requests)} {
			got, err := NewGenerator(m).Generate(t.Context(), requests, batch)
			if err != nil {
				t.Fatal(err)
			}
			for i := range got {
				if !slices.Equal(got[i].IDs, want[i].IDs) || got[i].Stop != want[i].Stop {
					t.Errorf("%s, %d at a time: text %d is %v, alone %v", precision, batch, i, got[i], want[i])
				}
			}
		}

		g, prompt := NewGenerator(m), requests[len(requests)-1].Prompt
		first, second := g.newSlot(&text{}, 120), g.newSlot(&text{}, 300)
		computed := slices.Clone(g.readPrompt(first, prompt, true))
		clear(m.embed.Data) // another pass would come to something else
		clear(m.embed.Half)
		if kept := g.readPrompt(second, prompt, false); !slices.Equal(kept, computed) || second.length != len(prompt) {
			t.Errorf("%s: the second request computes its prompt anew", precision)
		}
		if g.kept.cache != nil {
			t.Errorf("%s: a prompt is kept that nobody asks again", precision)
		}
		first.free()
		second.free()
	}
}
