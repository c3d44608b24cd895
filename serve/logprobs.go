package serve

import (
	"math"
	"slices"
	"sort"

	"lwtrain/tokenizer"
)

// logprob is a token with the logarithm of its probability before temperature, top-k and top-p, and the most probable ones in its place.
type logprob struct {
	candidate
	Top []candidate `json:"top_logprobs"`
}

type candidate struct {
	Token   string  `json:"token"`
	Logprob float64 `json:"logprob"`
	Bytes   []int   `json:"bytes"`
}

// mostTop is how many of the most probable tokens may be asked for.
const mostTop = 20

// logprobOf reads the logits [V] that a token was chosen from. Of two that are equal the lower id comes first.
func logprobOf(tok *tokenizer.Tokenizer, id int32, logits []float32, top int) logprob {
	peak := float64(slices.Max(logits))
	sum := 0.
	for _, v := range logits {
		sum += math.Exp(float64(v) - peak)
	}
	all := peak + math.Log(sum)
	of := func(id int32) candidate {
		text := tok.Text(id)
		bytes := make([]int, len(text))
		for i := range len(text) {
			bytes[i] = int(text[i])
		}
		return candidate{tok.Decode([]int32{id}, false), float64(logits[id]) - all, bytes}
	}
	best := make([]int32, 0, top+1)
	for i, v := range logits {
		if len(best) == top && (top == 0 || v <= logits[best[top-1]]) {
			continue
		}
		at := sort.Search(len(best), func(k int) bool { return logits[best[k]] < v })
		best = slices.Insert(best, at, int32(i))
		best = best[:min(len(best), top)]
	}
	out := logprob{of(id), make([]candidate, len(best))}
	for i, b := range best {
		out.Top[i] = of(b)
	}
	return out
}
