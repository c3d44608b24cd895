package train

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"

	"lwtrain/data/store"
	"lwtrain/internal/fault"
	"lwtrain/internal/graph"
	"lwtrain/model"
)

// hasReference reports whether log-ratios are taken to a model.
func (p *preferences) hasReference() bool { return p.DPO.NeedsReference() }

// openReference reads a reference from a folder and makes it part of the run's
// identity.
func (p *preferences) openReference() error {
	if !p.hasReference() || p.DPO.Reference == "initial" {
		return nil
	}
	m, err := model.Load(p.DPO.Reference)
	if err != nil {
		return fault.Usage(fmt.Errorf("dpo.reference: %w", err))
	}
	p.loaded = m
	if a, b := m.Config.Vocab, p.model.Config.Vocab; a != b {
		return fault.Usage(fmt.Errorf("dpo.reference: %s has %d tokens, want the %d of the model in training", p.DPO.Reference, a, b))
	}
	p.Identity.Contents["reference"], err = m.Fingerprint()
	return err
}

func (p *preferences) closeReference() {
	if p.loaded != nil {
		p.loaded.Free()
		p.loaded = nil
	}
}

// prepare gets what the reference says of every answer: from the cache, or by
// asking it. The model still has the weights that training starts from.
func (p *preferences) prepare() error {
	defer p.closeReference()
	if !p.hasReference() {
		return nil
	}
	inputs := maps.Clone(p.Data.Contents())
	inputs["precision"] = p.memory.Precision.String()
	inputs["reference"] = p.Identity.Contents["model"]
	if p.loaded != nil {
		inputs["reference"] = p.Identity.Contents["reference"]
	}
	var answers []int
	for _, pair := range p.all {
		answers = append(answers, pair.Answers()...)
	}
	replies := own(answers)
	if p.labelled {
		replies = append(replies, p.mismatches(p.all)...)
		inputs["mismatched answers"] = fmt.Sprintf("seed %d, packs of %d", p.Seed, p.capacity)
	}
	scores, err := store.ReadLogProbs(p.CacheDir, inputs, len(replies))
	if err != nil {
		if !errors.Is(err, os.ErrNotExist) && p.Events.Broken != nil {
			p.Events.Broken("what is kept of the reference", err)
		}
		if scores, err = p.ask(replies); err != nil {
			return err
		}
		if err := store.WriteLogProbs(p.CacheDir, inputs, scores); err != nil {
			return err
		}
	}
	p.reference = make(map[reply]store.LogProbs, len(replies))
	for i, r := range replies {
		if s := scores[i]; math.IsNaN(s.LogP) || math.IsInf(s.LogP, 0) {
			return fmt.Errorf("the reference gives the answer of %s a log-probability of %v, want a finite one", p.Data.Origin(r.answer), s.LogP)
		}
		p.reference[r] = scores[i]
	}
	return nil
}

// ask scores replies with the reference.
func (p *preferences) ask(replies []reply) ([]store.LogProbs, error) {
	total := int64(0)
	for _, r := range replies {
		total += int64(r.tokens(p.Data))
	}
	from := p.programs
	if p.loaded != nil {
		if from.precision == graph.BFloat16 {
			p.loaded.UseHalf()
		}
		other := *from
		other.model, other.made = p.loaded, map[int]*program{}
		from = &other
	}
	done := int64(0)
	return from.score(p.Data, replies, p.shared, func(tokens int) {
		if done += int64(tokens); p.Events.Scoring != nil {
			p.Events.Scoring(done, total)
		}
	})
}

// startTolerance is how far margins may be from 0 before the first update, where
// model and reference are the same weights: only packs and roundings differ. It is
// for a beta of 0.1 and answers of up to 1,000 tokens.
var startTolerance = map[graph.Precision]float64{graph.Float32: 1e-3, graph.BFloat16: 5e-2}

// checkStart compares the first step with what must come out of it where the
// reference is the model itself: margins (of labelled answers rewards and z) of 0, and
// from DPO's loss ln 2. Roundings of a sum grow as the root of its terms, and beta
// multiplies them.
func (p *preferences) checkStart(m *tally) error {
	if p.step > 0 || !p.hasReference() || p.DPO.Reference != "initial" {
		return nil
	}
	margin, longest := 0.0, 0.0
	for i, d := range m.margins {
		margin += math.Abs(d) / float64(len(m.margins))
		longest = max(longest, m.tokens[i])
	}
	most := startTolerance[p.memory.Precision] * max(1, p.DPO.Beta/0.1*math.Sqrt(longest/1000))
	v := m.values()
	problem := ""
	if !(margin <= most) {
		problem = fmt.Sprintf("the mean of the margins' absolute values is %.4g, want 0", margin)
	}
	if p.labelled && !(p.DPO.Beta*v["kl"] <= most) {
		problem = fmt.Sprintf("the estimate of the KL divergence is %.4g, want 0", v["kl"])
	}
	plain := slices.Equal(p.DPO.LossType, []string{"sigmoid"}) && len(p.DPO.LossWeights) == 0
	if loss := v["loss"] - p.DPO.SFTWeight*v["nll_loss"]; plain && !(math.Abs(loss-math.Ln2) <= most) {
		problem = fmt.Sprintf("the loss is %.4g, want ln 2 = %.4g", loss, math.Ln2)
	}
	if problem == "" {
		return nil
	}
	return fault.Hint(fmt.Errorf("%s: before the first update model and reference are the same weights, and they disagree by more than %g", problem, most),
		"the log-probabilities kept under data.cache_dir are not this model's: remove its reference-... folders; with bf16 try train.precision: float32")
}
