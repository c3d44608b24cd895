package dpo

// LogProbs sums an answer's log-probabilities. nll holds -ln p of each position's
// target, targets the position's target or -1 where it has none; both are cut
// to the answer's document. prefix is the sum over the first shared targets.
func LogProbs(nll []float64, targets []int32, shared int) (logp, prefix float64, tokens int) {
	for t, id := range targets {
		if id < 0 {
			continue
		}
		logp -= nll[t]
		if tokens++; tokens == shared {
			prefix = logp
		}
	}
	return logp, prefix, tokens
}

// Weigh fills the loss weights of an answer's positions, with targets and
// shared as in [LogProbs], for a step of that many pairs (or labelled answers).
// Then the sum of weights[t] * nll[t] over a step's packs has the gradient of
// the mean of its losses. Its value is not the loss, and weights may be
// negative: the rejected answer's are, and those of a chosen one that is
// pushed down.
func (g Grad) Weigh(weights []float32, targets []int32, shared, pairs int) {
	n := 0
	for t, id := range targets {
		weights[t] = 0
		if id < 0 {
			continue
		}
		d := g.LogP
		if n < shared {
			d += g.Prefix
		}
		weights[t] = float32(-d / float64(pairs))
		n++
	}
}

// Metrics are means over the pairs, or labelled answers, that were added.
type Metrics struct {
	n, pairs                  int
	loss, nll, accurate, ties float64
	chosen, rejected          sideSums
}

type sideSums struct{ n, reward, logp float64 }

func (t *sideSums) add(reward, logp float64) {
	t.n++
	t.reward += reward
	t.logp += logp
}

// AddPair adds a pair and its loss.
func (m *Metrics) AddPair(p Pair, r Result) {
	m.n++
	m.loss += r.Loss
	m.nll += r.NLL
	m.chosen.add(r.ChosenReward, p.Chosen.LogP)
	m.rejected.add(r.RejectedReward, p.Rejected.LogP)
	m.pairs++
	switch {
	case r.ChosenReward > r.RejectedReward:
		m.accurate++
	case r.ChosenReward == r.RejectedReward:
		m.ties++
	}
}

// AddAnswer adds a labelled answer and its loss.
func (m *Metrics) AddAnswer(s Side, desirable bool, r Result) {
	m.n++
	m.loss += r.Loss
	m.nll += r.NLL
	if desirable {
		m.chosen.add(r.ChosenReward, s.LogP)
	} else {
		m.rejected.add(r.RejectedReward, s.LogP)
	}
}

// Values returns the metrics by TRL's names. logps are means of the plain sums,
// whatever the loss. rewards/accuracies counts a tie as wrong, as TRL does;
// rewards/ties is their share: all of them before the first update. What
// nothing was added for is left out; labelled answers have no accuracy.
func (m Metrics) Values() map[string]float64 {
	out := map[string]float64{}
	if m.n > 0 {
		out["loss"] = m.loss / float64(m.n)
	}
	for name, t := range map[string]sideSums{"chosen": m.chosen, "rejected": m.rejected} {
		if t.n > 0 {
			out["rewards/"+name] = t.reward / t.n
			out["logps/"+name] = t.logp / t.n
		}
	}
	if m.chosen.n > 0 {
		out["nll_loss"] = m.nll / m.chosen.n
	}
	if m.chosen.n > 0 && m.rejected.n > 0 {
		out["rewards/margins"] = out["rewards/chosen"] - out["rewards/rejected"]
	}
	if m.pairs > 0 {
		out["rewards/accuracies"] = m.accurate / float64(m.pairs)
		out["rewards/ties"] = m.ties / float64(m.pairs)
	}
	return out
}
