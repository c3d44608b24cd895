package session

import (
	"context"
	"errors"
	"time"

	"lwtrain/engine"
	"lwtrain/engine/native"
	"lwtrain/internal/machine"
	"lwtrain/model"
	"lwtrain/packing"
	"lwtrain/train"
)

// Outlook is how long a run will take.
type Outlook struct {
	Left       time.Duration // from here on; 0: nothing is left, or it is not known
	Reference  time.Duration // of that, asking the reference, unless what it says is kept
	HeldOut    time.Duration // of that, measuring what is held out
	Unknown    string        // why it is not
	Remembered bool          // by the last run like it, not by a short measurement
	OtherWork  float64       // how much of the processors others take now, from 0 to 1
}

// Outlook says how long the run takes that goes on from a step: by the pace of the last run
// of such a model and such packs on this machine, unless that ran beside much other work and
// there is little now; otherwise by one that it measures with random weights in some seconds.
// It writes nothing.
func (r *Run) Outlook(ctx context.Context, p *train.Plan, m engine.Needs, step int) (Outlook, error) {
	if step >= p.Schedule.Total {
		return Outlook{}, nil
	}
	at, remembered, err := r.pace(ctx, p, m)
	if ctx.Err() != nil {
		return Outlook{}, ctx.Err()
	}
	if err != nil {
		return Outlook{Unknown: err.Error()}, nil
	}
	return r.outlook(at, remembered, step)
}

// pace finds the pace of the run: that of the last one like it, otherwise a measured one.
func (r *Run) pace(ctx context.Context, p *train.Plan, m engine.Needs) (at pace, remembered bool, err error) {
	c := r.session.Config
	last := readPaces(c.Data.CacheDir)[paceKey(r.method.kind, r.Model.Config, c.Train, p, m)]
	known := last.Learn > 0
	if others, _ := r.session.watch.OtherWork(); known && (!last.busy() || others >= Busy) {
		return last, true, nil
	}
	if r.session.usesTorch() {
		err = errors.New("no run like it was done here by torch")
	} else {
		at, err = r.measure(ctx, p, m, r.prompts())
	}
	if err != nil && known {
		return last, true, nil
	}
	return at, false, err
}

// prompts is how many held-out prompts are answered.
func (r *Run) prompts() int {
	return min(r.session.Config.Sample.Prompts, len(r.Data.HeldOutPrompts()))
}

// outlook is how long the run takes from a step on, at a pace.
func (r *Run) outlook(at pace, remembered bool, step int) (Outlook, error) {
	work, err := r.method.work(r, step)
	if err != nil {
		return Outlook{}, err
	}
	answers := r.prompts() * r.session.Config.Sample.MaxNewTokens
	if step == 0 {
		answers *= 2 // before and after
	}
	others, _ := r.session.watch.OtherWork()
	return Outlook{
		Left: at.takes(work, answers), Reference: at.takes(train.Work{Scored: work.Asked}, 0),
		HeldOut: at.takes(train.Work{Scored: work.HeldOut}, 0), Remembered: remembered, OtherWork: others,
	}, nil
}

// What is measured has at most that many tokens, and computes about that much in a step.
const (
	measuredTokens = 1024
	leastMeasured  = 256 // of a large model
	measuredFLOPs  = 1e12
	measuredVocab  = 1 << 14
	diskSpeed      = 300e6 // bytes a second, written, flushed and hashed
)

// measure finds the pace of a run with random weights in a model of the same shape, of
// fewer layers and tokens where it is large, and takes that many times more for the whole.
func (r *Run) measure(ctx context.Context, p *train.Plan, m engine.Needs, prompts int) (_ pace, err error) {
	o := r.session.Config.Train
	whole := r.Model.Config
	part, size, document := whole, min(measuredTokens, packSize(p, o)), documentSize(p)
	for part.Vocab = min(part.Vocab, measuredVocab); part.Layers > 2 && native.FLOPs(part, size) > measuredFLOPs; {
		part.Layers--
	}
	for size > leastMeasured && native.FLOPs(part, size) > measuredFLOPs/5 && part.Layers < whole.Layers {
		size /= 2
	}
	how := engineOptions(o, size)
	how.Precision, how.GradientCheckpointing = m.Precision, "false"
	trained := model.Training{LoRA: r.session.Config.LoRA, Bits24: how.Bits8, Seed: 1}
	if trained.LoRA.From != "" {
		if trained.LoRA, _, err = model.ReadLoRA(trained.LoRA.From); err != nil {
			return pace{}, err
		}
	}
	trained.LoRA.Target = []string{model.AllLinear} // names may be of layers that are left out
	outline, err := model.Outline(part, "", trained)
	if err != nil {
		return pace{}, err
	}
	needs, err := native.Needs(outline, how)
	if err != nil {
		return pace{}, err
	}
	if free := machine.ReadMemory().Available(); needs.Total() > free {
		return pace{}, errors.New("there is too little memory to measure it")
	}
	if tell := r.session.events.Measuring; tell != nil && native.FLOPs(part, size) > measuredFLOPs/10 {
		tell() // it takes a while
	}
	weights, err := model.NewToMeasure(part, trained)
	if err != nil {
		return pace{}, err
	}
	e, err := native.New(weights, how)
	if err != nil {
		return pace{}, err
	}
	defer e.Close()
	got, err := try(ctx, e, part.Vocab, size, min(size, document), prompts)
	if err != nil {
		return pace{}, err
	}
	work := native.FLOPs(whole, document) / float64(document) / (native.FLOPs(part, min(size, document)) / float64(min(size, document)))
	grown := float64(whole.Parameters()) / float64(part.Parameters())
	return pace{
		Learn: got.Learn * work * (1 + m.Repeats/3), Score: got.Score * work * r.heldOutWork(document), Update: got.Update * grown,
		Answer: got.Answer * grown, Save: float64(m.Checkpoint) / diskSpeed,
	}, nil
}

// heldOutWork is how many times the work of a token of a document a token of the held-out samples takes, where some are longer
// than a pack: each sees more tokens before it. Of preferences others are scored, too.
func (r *Run) heldOutWork(document int) float64 {
	if r.heldOut() == 0 || r.method.pairs {
		return 1
	}
	var work, tokens float64
	for _, i := range r.Data.HeldOut() {
		n := r.Data.Tokens(int(i))
		work, tokens = work+native.FLOPs(r.Model.Config, n), tokens+float64(n)
	}
	return work / tokens / (native.FLOPs(r.Model.Config, document) / float64(document))
}

// try measures the pace of an engine with a pack of random documents.
func try(ctx context.Context, e engine.Engine, vocab, size, document, prompts int) (pace, error) {
	ids := make([]int32, size)
	for i := range ids {
		ids[i] = int32(i * 7919 % vocab)
	}
	var docs []packing.Doc
	for at := 0; at < size; at += document {
		n := min(document, size-at)
		docs = append(docs, packing.Doc{IDs: ids[at : at+n], Target: [][2]int32{{0, int32(n)}}, Factor: 1})
	}
	pack, err := packing.Lay(size, docs, packing.ByToken)
	if err != nil {
		return pace{}, err
	}
	asked := make([]engine.Prompt, prompts)
	for i := range asked {
		asked[i] = engine.Prompt{IDs: ids[:min(16, size)], MaxNewTokens: 12, TopP: 1, Seed: 1}
	}
	one := func(yield func(packing.Pack, error) bool) { yield(pack, nil) }
	for range 2 { // the first one warms up
		t := &timed{Engine: e}
		if _, err := t.Learn(ctx, 1, []packing.Pack{pack}, nil); err != nil {
			return pace{}, err
		}
		if _, err := t.Update(1, 0, pack.Divisor, 0); err != nil {
			return pace{}, err
		}
		if err := t.Score(ctx, one, engine.ScoreOptions{}, func(int, []float64) error { return nil }); err != nil {
			return pace{}, err
		}
		if _, err := t.Answer(ctx, asked, nil); err != nil {
			return pace{}, err
		}
		e = t
	}
	return e.(*timed).pace(0), nil
}
