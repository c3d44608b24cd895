package train

import (
	"math"

	"lwtrain/data"
	"lwtrain/dpo"
	"lwtrain/internal/prose"
)

// tally adds up what a step or an evaluation tells of its pairs.
type tally struct {
	dpo.Metrics
	set       *data.Set
	reference bool // there is one

	labelled bool    // answers with a label
	kl       float64 // that these are compared with

	buckets          []dpo.Metrics // by the words of the chosen answer
	chosen, rejected []float64     // target tokens
	away             float64       // of the model from the reference: minus the log-ratios of all answers
	margins, longer  []float64     // of each pair: the margin, and how much longer its chosen answer is
	tokens           []float64     // of each pair: targets of the longer answer
}

func newTally(set *data.Set, reference, labelled bool, kl float64) *tally {
	return &tally{set: set, reference: reference, labelled: labelled, kl: kl, buckets: make([]dpo.Metrics, len(prose.Ranges))}
}

// addTo adds a pair, or a labelled answer, to metrics.
func addTo(m *dpo.Metrics, pair data.Pair, x dpo.Pair, r dpo.Result) {
	switch {
	case pair.Rejected == data.None:
		m.AddAnswer(x.Chosen, true, r)
	case pair.Chosen == data.None:
		m.AddAnswer(x.Rejected, false, r)
	default:
		m.AddPair(x, r)
	}
}

func (t *tally) add(pair data.Pair, x dpo.Pair, r dpo.Result) {
	addTo(&t.Metrics, pair, x, r)
	addTo(&t.buckets[prose.RangeOf(t.set.Words(pair.Answers()[0]))], pair, x, r)
	if pair.Chosen != data.None {
		t.chosen = append(t.chosen, float64(x.Chosen.Tokens))
	}
	if pair.Rejected != data.None {
		t.rejected = append(t.rejected, float64(x.Rejected.Tokens))
	}
	t.away += x.Chosen.RefLogP - x.Chosen.LogP + x.Rejected.RefLogP - x.Rejected.LogP
	t.margins = append(t.margins, r.ChosenReward-r.RejectedReward)
	t.tokens = append(t.tokens, float64(max(x.Chosen.Tokens, x.Rejected.Tokens)))
	t.longer = append(t.longer, float64(x.Chosen.Tokens-x.Rejected.Tokens))
}

// values are TRL's, the mean lengths in target tokens, and with a reference kl. Of
// labelled answers that is the estimate in KTO's loss. Of pairs it is the mean over
// both answers of ln p under the reference less that under the model. Where the
// reference wrote the answers, that estimates the divergence of the model from it,
// KL(reference || model), in nats an answer; of other answers it can be below 0.
func (t *tally) values() map[string]float64 {
	out := t.Values()
	switch {
	case t.labelled:
		out["kl"] = t.kl
	case t.reference && len(t.margins) > 0:
		out["kl"] = t.away / float64(2*len(t.margins))
	}
	for key, lengths := range map[string][]float64{"lengths/chosen": t.chosen, "lengths/rejected": t.rejected} {
		if len(lengths) > 0 {
			out[key] = mean(lengths)
		}
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
				out[key+"/"+prose.Ranges[i].Name] = x
			}
		}
	}
	if t.labelled {
		return
	}
	if r := correlation(t.margins, t.longer); !math.IsNaN(r) {
		out["margin_length_correlation"] = r
	}
}

func mean(v []float64) float64 {
	s := 0.0
	for _, a := range v {
		s += a
	}
	return s / float64(len(v))
}

func correlation(x, y []float64) float64 {
	mx, my := mean(x), mean(y)
	var xy, xx, yy float64
	for i := range x {
		xy += (x[i] - mx) * (y[i] - my)
		xx += (x[i] - mx) * (x[i] - mx)
		yy += (y[i] - my) * (y[i] - my)
	}
	return xy / math.Sqrt(xx*yy)
}
