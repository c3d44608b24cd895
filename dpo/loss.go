package dpo

// Side is one answer as the models see it. Sums are in nats, over the answer's
// target tokens: those of its turn and the one that ends it.
type Side struct {
	LogP    float64 // sum of ln p under the model in training
	RefLogP float64 // the same under the reference; 0 where there is none
	Tokens  int     // target tokens, at least 1

	// The same sums over the first Pair.Shared tokens. They are read where
	// ld_alpha is below 1, of the longer answer only.
	Prefix, RefPrefix float64
}

// Pair is a preference: Chosen was found better than Rejected.
type Pair struct{ Chosen, Rejected Side }

// Shared is the length of the shorter answer, LD-DPO's public length l_p.
func (p Pair) Shared() int { return min(p.Chosen.Tokens, p.Rejected.Tokens) }

// Grad is the gradient of a loss with regard to a Side's LogP and Prefix.
type Grad struct{ LogP, Prefix float64 }

// Result is the loss of one pair, or of one labelled answer, in which case the
// other side is zero. A step's loss is the mean over its pairs or answers,
// whatever their lengths.
type Result struct {
	Loss             float64
	Chosen, Rejected Grad

	// Beta times the log-ratio to the reference, as TRL reports it; beta times
	// the mean log-probability where no loss takes a reference.
	ChosenReward, RejectedReward float64
	NLL                          float64 // mean -ln p of the chosen answer's tokens
}

// Loss is the weighted sum of the losses of o.LossType on one pair, plus
// o.SFTWeight times the chosen answer's NLL. The options must be valid.
func (o Options) Loss(p Pair) Result {
	shared := p.Shared()
	w, l := o.answer(p.Chosen, shared), o.answer(p.Rejected, shared)
	var r Result
	var dw, dl float64
	for i, name := range o.LossType {
		weight := 1.0
		if len(o.LossWeights) > 0 {
			weight = o.LossWeights[i]
		}
		row, _ := lossOf(name) // valid options name rows only
		loss, gw, gl := row.pair(&o, w, l)
		r.Loss += weight * loss
		dw += weight * gw
		dl += weight * gl
	}
	r.Chosen, r.Rejected = w.grad(dw), l.grad(dl)
	r.ChosenReward, r.RejectedReward = o.reward(w), o.reward(l)
	o.addNLL(&r, p.Chosen)
	return r
}

// KTO is the loss of one labelled answer (Ethayarajh et al. 2024,
// arXiv:2402.01306). kl is the step's [KL], a constant to the
// gradient. A desirable answer's gradient and reward are Chosen's, an
// undesirable one's Rejected's.
func (o Options) KTO(s Side, desirable bool, kl float64) Result {
	a := o.answer(s, s.Tokens)
	u := o.Beta * (a.ratio - kl)
	slope := o.Beta * sigmoid(u) * sigmoid(-u)
	if !desirable {
		return Result{
			Loss:     o.UndesirableWeight * sigmoid(u),
			Rejected: Grad{LogP: o.UndesirableWeight * slope}, RejectedReward: o.reward(a),
		}
	}
	r := Result{
		Loss:   o.DesirableWeight * sigmoid(-u),
		Chosen: Grad{LogP: -o.DesirableWeight * slope}, ChosenReward: o.reward(a),
	}
	o.addNLL(&r, s)
	return r
}

// KL estimates how far the model is from the reference, for KTO: the mean
// log-ratio of answers that belong to other prompts, at least 0. One estimate
// serves all answers of a step.
func KL(mismatched []Side) float64 {
	sum := 0.0
	for _, s := range mismatched {
		sum += s.LogP - s.RefLogP
	}
	return max(0, sum/float64(max(1, len(mismatched))))
}

func (o *Options) addNLL(r *Result, chosen Side) {
	n := float64(chosen.Tokens)
	r.NLL = -chosen.LogP / n
	r.Loss += o.SFTWeight * r.NLL
	r.Chosen.LogP -= o.SFTWeight / n
}

func (o *Options) reward(a answer) float64 {
	if o.NeedsReference() {
		return o.Beta * a.ratio
	}
	return o.Beta * a.mean()
}

// answer damps the tokens beyond shared by ld_alpha in both models (LD-DPO,
// Liu et al. 2024, arXiv:2409.06411).
func (o *Options) answer(s Side, shared int) answer {
	a := answer{logp: s.LogP, n: float64(s.Tokens), tail: 1}
	ref := s.RefLogP
	if o.LDAlpha < 1 && s.Tokens > shared {
		a.tail = o.LDAlpha
		a.logp = a.tail*s.LogP + (1-a.tail)*s.Prefix
		ref = a.tail*s.RefLogP + (1-a.tail)*s.RefPrefix
	}
	a.ratio = a.logp - ref
	return a
}
