package train

import (
	"math"

	"lwtrain/data"
	"lwtrain/dpo"
)

// tally adds up what a step or an evaluation tells of its pairs.
type tally struct {
	dpo.Metrics
	store     *data.Store
	reference bool // there is one

	buckets          []dpo.Metrics // by the words of the chosen answer
	chosen, rejected float64       // target tokens
	away             float64       // of the model from the reference: minus the log-ratios of all answers
	margins, longer  []float64     // of each pair: the margin, and how much longer its chosen answer is
	tokens           []float64     // of each pair: targets of the longer answer
}

func (p *preferences) newTally() *tally {
	return &tally{store: p.Data, reference: p.reference != nil, buckets: make([]dpo.Metrics, len(data.Buckets))}
}

func (t *tally) add(pair data.Pair, x dpo.Pair, r dpo.Result) {
	t.AddPair(x, r)
	t.buckets[data.BucketOf(t.store.Words(pair.Chosen))].AddPair(x, r)
	t.chosen += float64(x.Chosen.Tokens)
	t.rejected += float64(x.Rejected.Tokens)
	t.away += x.Chosen.RefLogP - x.Chosen.LogP + x.Rejected.RefLogP - x.Rejected.LogP
	t.margins = append(t.margins, r.ChosenReward-r.RejectedReward)
	t.tokens = append(t.tokens, float64(max(x.Chosen.Tokens, x.Rejected.Tokens)))
	t.longer = append(t.longer, float64(x.Chosen.Tokens-x.Rejected.Tokens))
}

// values are TRL's, the mean lengths in target tokens, and with a reference kl: the
// mean over both answers of ln p under the reference less that under the model. Where
// the reference wrote the answers, that estimates the divergence of the model from it,
// KL(reference || model), in nats an answer; of other answers it can be below 0.
func (t *tally) values() map[string]float64 {
	out := t.Values()
	if n := float64(len(t.margins)); n > 0 {
		if t.reference {
			out["kl"] = t.away / (2 * n)
		}
		out["lengths/chosen"], out["lengths/rejected"] = t.chosen/n, t.rejected/n
	}
	return out
}

// byLength adds what depends on the answers' lengths: accuracy and margin by
// LongBench-Write's ranges of the chosen answer's words, and Pearson's correlation
// of the margin with the difference of the lengths, left out where one of them does
// not vary.
func (t *tally) byLength(out map[string]float64) {
	for i, b := range t.buckets {
		v := b.Values()
		for _, key := range []string{"rewards/accuracies", "rewards/margins"} {
			if x, ok := v[key]; ok {
				out[key+"/"+data.Buckets[i].Name] = x
			}
		}
	}
	if r := correlation(t.margins, t.longer); !math.IsNaN(r) {
		out["margin_length_correlation"] = r
	}
}

func correlation(x, y []float64) float64 {
	mean := func(v []float64) float64 {
		s := 0.0
		for _, a := range v {
			s += a
		}
		return s / float64(len(v))
	}
	mx, my := mean(x), mean(y)
	var xy, xx, yy float64
	for i := range x {
		xy += (x[i] - mx) * (y[i] - my)
		xx += (x[i] - mx) * (x[i] - mx)
		yy += (y[i] - my) * (y[i] - my)
	}
	return xy / math.Sqrt(xx*yy)
}
