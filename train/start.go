package train

import (
	"fmt"
	"math"
	"slices"

	"lwtrain/dpo"
	"lwtrain/engine"
	"lwtrain/internal/fault"
)

// startTolerance is how far margins may be from 0 before the first update, where
// model and reference are the same weights: only packs and roundings differ. It is
// for a beta of 0.1 and answers of up to 1,000 tokens. In bf16 a batch of 8 pairs of
// SmolLM2-135M had 0.052; those of another model are some tenths and more.
func startTolerance(precision string) float64 {
	if precision == engine.Float32 {
		return 1e-3
	}
	return 0.15
}

// checkStart compares the first step with what must come out of it where the
// reference is the model itself: margins (of labelled answers rewards and z) of 0, and
// from DPO's loss ln 2, in an engine's precision. Roundings of a sum grow as the root of
// its terms, and beta multiplies them.
func checkStart(losses dpo.Options, needs engine.Needs, m *tally) error {
	if !losses.NeedsReference() || losses.Reference != dpo.Initial || needs.Dropout {
		return nil
	}
	margin, longest := 0.0, 0.0
	for i, d := range m.margins {
		margin += math.Abs(d) / float64(len(m.margins))
		longest = max(longest, m.tokens[i])
	}
	most := startTolerance(needs.Precision) * max(1, losses.Beta/0.1*math.Sqrt(longest/1000))
	v := m.values()
	problem := ""
	if !(margin <= most) {
		problem = fmt.Sprintf("the mean of the margins' absolute values is %.4g, want 0", margin)
	}
	if m.labelled && !(losses.Beta*v["kl"] <= most) {
		problem = fmt.Sprintf("the estimate of the KL divergence is %.4g, want 0", v["kl"])
	}
	plain := slices.Equal(losses.LossType, []string{"sigmoid"}) && len(losses.LossWeights) == 0
	if loss := v["loss"] - losses.SFTWeight*v["nll_loss"]; plain && !(math.Abs(loss-math.Ln2) <= most) {
		problem = fmt.Sprintf("the loss is %.4g, want ln 2 = %.4g", loss, math.Ln2)
	}
	if problem == "" {
		return nil
	}
	return fault.Hint(
		fmt.Errorf("%s: before the first update model and reference are the same weights, and they disagree by more than %g",
			problem, most),
		"the log-probabilities kept under data.cache_dir are not this model's: remove its reference-... folders; "+
			"with bf16 try train.precision: float32")
}
