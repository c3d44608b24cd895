package dpo

import (
	"math"
	"slices"
)

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
	{
		name: "simpo", reads: []string{"simpo_gamma"}, refuses: []string{"ld_alpha"},
		pair: func(o *Options, w, l answer) (loss, dw, dl float64) {
			loss, d := logistic(o.Beta*(w.mean()-l.mean())-o.SimPOGamma, 0)
			return loss, o.Beta * d / w.n, -o.Beta * d / l.n
		},
	},
	{name: "orpo", refuses: []string{"ld_alpha", "sft_weight"}, pair: func(o *Options, w, l answer) (loss, dw, dl float64) {
		ow, sw := logOdds(w.mean())
		ol, sl := logOdds(l.mean())
		loss, d := logistic(ow-ol, 0)
		return o.Beta*loss - w.mean(), (o.Beta*d*sw - 1) / w.n, -o.Beta * d * sl / l.n
	}},
	{ // of single answers: Options.KTO
		name: "kto", reference: true,
		reads: []string{"desirable_weight", "undesirable_weight"}, refuses: []string{"ld_alpha"},
	},
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
	{
		name: "rdpo", reference: true, reads: []string{"rdpo_alpha", "label_smoothing"},
		pair: func(o *Options, w, l answer) (loss, dw, dl float64) {
			loss, d := logistic(o.Beta*(w.ratio-l.ratio)+o.RDPOAlpha*(w.n-l.n), o.LabelSmoothing)
			return loss, o.Beta * d, -o.Beta * d
		},
	},
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

// NeedsReference reports whether a loss takes log-ratios to a reference model.
func (o Options) NeedsReference() bool {
	return o.any(func(l lossType) bool { return l.reference })
}

// Labelled reports whether the loss is of single labelled answers, not of pairs.
func (o Options) Labelled() bool { return slices.Contains(o.LossType, "kto") }

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
