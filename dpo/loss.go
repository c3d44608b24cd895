package dpo

import (
	"math"
	"slices"
)

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

// answer is what a loss sees of a side.
type answer struct {
	logp  float64 // under the model in training
	ratio float64 // logp less the reference's
	n     float64 // tokens
	tail  float64 // weight of the tokens that the other answer has no counterpart for
}

func (a answer) mean() float64 { return a.logp / a.n }

// grad spreads dL/dlogp over the sums that logp was made of.
func (a answer) grad(d float64) Grad { return Grad{LogP: a.tail * d, Prefix: (1 - a.tail) * d} }

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

// lossType is a row of losses.
type lossType struct {
	name      string
	reference bool     // takes log-ratios to a reference model
	reads     []string // keys of options that only some losses read
	refuses   []string // keys of options that all losses read but this one
	pair      func(o *Options, w, l answer) (loss, dw, dl float64)
}

// losses are the rows of loss_type, in the order in which users see their names. pair
// returns the loss and its gradient with regard to the chosen and the rejected answer's
// logp. Where a loss has a kink, the gradient there is that of its flat side, as torch's
// relu has it: dpop starts at its kink when training starts from the reference.
var losses = []lossType{
	{name: "sigmoid", reference: true, reads: []string{"label_smoothing"}, pair: func(o *Options, w, l answer) (loss, dw, dl float64) {
		loss, d := logistic(o.Beta*(w.ratio-l.ratio), o.LabelSmoothing)
		return loss, o.Beta * d, -o.Beta * d
	}},
	{name: "hinge", reference: true, pair: func(o *Options, w, l answer) (loss, dw, dl float64) {
		u := o.Beta * (w.ratio - l.ratio)
		if u >= 1 {
			return 0, 0, 0
		}
		return 1 - u, -o.Beta, o.Beta
	}},
	{name: "ipo", reference: true, pair: func(o *Options, w, l answer) (loss, dw, dl float64) {
		e := w.ratio/w.n - l.ratio/l.n - 1/(2*o.Beta)
		return e * e, 2 * e / w.n, -2 * e / l.n
	}},
	{name: "robust", reference: true, reads: []string{"label_smoothing"}, pair: func(o *Options, w, l answer) (loss, dw, dl float64) {
		u, e := o.Beta*(w.ratio-l.ratio), o.LabelSmoothing
		loss = ((1-e)*softplus(-u) - e*softplus(u)) / (1 - 2*e)
		d := o.Beta * (-(1-e)*sigmoid(-u) - e*sigmoid(u)) / (1 - 2*e)
		return loss, d, -d
	}},
	{name: "simpo", reads: []string{"simpo_gamma"}, refuses: []string{"ld_alpha"}, pair: func(o *Options, w, l answer) (loss, dw, dl float64) {
		loss, d := logistic(o.Beta*(w.mean()-l.mean())-o.SimPOGamma, 0)
		return loss, o.Beta * d / w.n, -o.Beta * d / l.n
	}},
	{name: "orpo", refuses: []string{"ld_alpha", "sft_weight"}, pair: func(o *Options, w, l answer) (loss, dw, dl float64) {
		ow, sw := logOdds(w.mean())
		ol, sl := logOdds(l.mean())
		loss, d := logistic(ow-ol, 0)
		return o.Beta*loss - w.mean(), (o.Beta*d*sw - 1) / w.n, -o.Beta * d * sl / l.n
	}},
	{name: "kto", reference: true, reads: []string{"desirable_weight", "undesirable_weight"}, refuses: []string{"ld_alpha"}}, // of single answers: Options.KTO
	{name: "dpop", reference: true, reads: []string{"dpop_lambda"}, pair: func(o *Options, w, l answer) (loss, dw, dl float64) {
		slope := 1.0
		if w.ratio < 0 {
			slope += o.DPOPLambda
		}
		loss, d := logistic(o.Beta*(slope*w.ratio-l.ratio), 0)
		return loss, o.Beta * slope * d, -o.Beta * d
	}},
	{name: "sigmoid_norm", reference: true, reads: []string{"label_smoothing"}, pair: func(o *Options, w, l answer) (loss, dw, dl float64) {
		loss, d := logistic(o.Beta*(w.ratio/w.n-l.ratio/l.n), o.LabelSmoothing)
		return loss, o.Beta * d / w.n, -o.Beta * d / l.n
	}},
	{name: "rdpo", reference: true, reads: []string{"rdpo_alpha", "label_smoothing"}, pair: func(o *Options, w, l answer) (loss, dw, dl float64) {
		loss, d := logistic(o.Beta*(w.ratio-l.ratio)+o.RDPOAlpha*(w.n-l.n), o.LabelSmoothing)
		return loss, o.Beta * d, -o.Beta * d
	}},
	{name: "apo_zero", reference: true, pair: func(o *Options, w, l answer) (loss, dw, dl float64) {
		uw, ul := o.Beta*w.ratio, o.Beta*l.ratio
		return sigmoid(-uw) + sigmoid(ul), -o.Beta * sigmoid(uw) * sigmoid(-uw), o.Beta * sigmoid(ul) * sigmoid(-ul)
	}},
	{name: "apo_down", reference: true, pair: func(o *Options, w, l answer) (loss, dw, dl float64) {
		uw, u := o.Beta*w.ratio, o.Beta*(w.ratio-l.ratio)
		d := o.Beta * sigmoid(u) * sigmoid(-u)
		return sigmoid(uw) + sigmoid(-u), o.Beta*sigmoid(uw)*sigmoid(-uw) - d, d
	}},
}

// lossOf is the row of a name; ok is false when there is none.
func lossOf(name string) (row lossType, ok bool) {
	i := slices.IndexFunc(losses, func(row lossType) bool { return row.name == name })
	if i < 0 {
		return lossType{}, false
	}
	return losses[i], true
}

// lossNames are the names of the rows that have a property.
func lossNames(has func(lossType) bool) (names []string) {
	for _, row := range losses {
		if has(row) {
			names = append(names, row.name)
		}
	}
	return names
}

// any reports whether one of the losses has a property.
func (o Options) any(has func(lossType) bool) bool {
	return slices.ContainsFunc(lossNames(has), func(name string) bool { return slices.Contains(o.LossType, name) })
}

// logistic is -(1-e) ln sigmoid(u) - e ln sigmoid(-u) and its derivative: the
// cross-entropy of a label that is wrong with probability e.
func logistic(u, e float64) (loss, d float64) {
	return (1-e)*softplus(-u) + e*softplus(u), e*sigmoid(u) - (1-e)*sigmoid(-u)
}

// softplus is ln(1 + e^x) = -ln sigmoid(-x), finite for every finite x.
func softplus(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

func sigmoid(x float64) float64 {
	if x < 0 {
		e := math.Exp(x)
		return e / (1 + e)
	}
	return 1 / (1 + math.Exp(-x))
}

// logOdds is ln(p/(1-p)) of p = e^l for l <= 0, and its derivative 1/(1-p).
// Both are infinite at l = 0; float32 cannot tell a mean log-probability above
// -1e-6 from 0 well, so from there on it goes straight.
func logOdds(l float64) (odds, d float64) {
	const certain = -1e-6
	at := min(l, certain)
	p := -math.Expm1(at) // 1 - e^l without cancellation
	return at - math.Log(p) + (l-at)/p, 1 / p
}
