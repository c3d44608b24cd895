package show

import (
	"fmt"
	"io"
	"strings"

	"lwtrain/configs"
	"lwtrain/data"
	"lwtrain/dpo"
	"lwtrain/engine"
	"lwtrain/internal/human"
	"lwtrain/internal/kernels"
	"lwtrain/internal/terminal"
	"lwtrain/session"
	"lwtrain/train"
)

// Plan says what a run will do and what it needs.
func Plan(w io.Writer, c *configs.Config, run *session.Run, p *train.Plan, m engine.Needs, room session.Room, time session.Outlook) {
	line := terminal.Fitting(w)
	line("model", "%s", run.Model.Describe())
	mix := run.Data.Mix()
	kind, each := "sample", 1
	switch {
	case p.Labelled:
		kind = "labelled answer"
	case p.Pairs > 0:
		kind, each = "pair", 2 // samples
	}
	tokens, targets := mix.Tokens, mix.TargetTokens
	for _, id := range run.Data.HeldOut() {
		tokens -= int64(run.Data.Tokens(int(id)))
		targets -= int64(run.Data.Targets(int(id)))
	}
	line("data", "%s to train on, %s tokens, %s of them targets; %d held out", human.Count((mix.Samples-mix.HeldOut)/each, kind),
		human.Grouped(tokens), human.Grouped(targets), mix.HeldOut/each)
	for _, s := range dropNotes(mix) {
		line("", "%s", s)
	}
	if p.Pairs > 0 {
		printPairs(line, c, mix, p)
	} else {
		printPacks(line, c, p)
	}
	printLoRA(line, c, run, p, m)
	if text := TimeText(time); text != "" {
		line("time", "%s", text)
	}
	if time.HeldOut.Minutes() >= 1 && time.HeldOut > time.Left/4 {
		line("", "about %s of it to measure what is held out", human.Span(time.HeldOut))
	}
	if time.OtherWork >= session.Busy {
		line("", "longer beside other work, which takes %.0f %% of the processors now: wait", 100*time.OtherWork)
		line("", "for its end, or leave it some (threads)")
	}
	line("memory", "%s%s", human.Bytes(m.Total()), human.OfFree(m.Limit))
	line("", "%s, gradients %s, optimiser %s", trainedText(m), human.Bytes(m.Gradients), human.Bytes(m.Optimizer))
	line("", "activations %s: %s", human.Bytes(m.Activations), m.Recomputed)
	if m.HeldOut > 0 {
		line("", "the longest held-out sample is measured in %s of them", human.Bytes(m.HeldOut))
	}
	for _, note := range m.Notes {
		line("", "%s", note)
	}
	line("types", "%s", typesText(c, m))
	line("machine", "%s", m.Machine)
	if refused := kernels.Describe().Refused; refused != "" {
		line("", "not used: %s", refused)
	}
	line("output", "%s", c.Output.Dir)
	line("", "%s", roomText(room))
	if room.Parts > 0 {
		line("", "%s more while one is made of the processes' parts", human.Bytes(room.Parts))
	}
}

// typesText says of which type the numbers are that a run computes with.
func typesText(c *configs.Config, m engine.Needs) string {
	text := "products of " + m.Precision
	if asked := c.Train.Precision; asked != m.Precision {
		text += " (train.precision: " + asked + ")"
	}
	if m.Half > 0 {
		text += fmt.Sprintf(", copies of weights for them %s", human.Bytes(m.Half))
	}
	return text + "; sums, norms and loss of float32"
}

// printRate says how the learning rate goes. In a short run a step without one counts.
func printRate(line func(label, format string, args ...any), s train.Schedule) {
	line("", "learning rate: %s, peak %.2g, warm-up %s", s.Type, s.Peak, human.Count(s.Warmup, "step"))
	switch s.Type {
	case "cosine_with_min_lr":
		line("", "it falls to %.2g", s.Peak*s.Least)
	case "warmup_stable_decay":
		line("", "it falls in the last %s", human.Count(s.Decay, "step"))
	}
	if s.Total < 20 && s.At(1) == 0 {
		line("", "the first step has a rate of 0: it changes nothing")
	}
}

// TimeText says how long the run will take; nothing where it is done.
func TimeText(o session.Outlook) string {
	switch {
	case o.Unknown != "":
		return "not known before the first step: " + o.Unknown
	case o.Left == 0:
		return ""
	case o.Remembered:
		return fmt.Sprintf("about %s in all, by the last run like it here", human.Span(o.Left))
	}
	return fmt.Sprintf("about %s in all, by a short measurement with random weights", human.Span(o.Left))
}

// roomText says what checkpoints take on the disk.
func roomText(r session.Room) string {
	text := "a checkpoint takes " + human.Bytes(r.Checkpoint)
	if r.Most > 1 {
		text = fmt.Sprintf("%d checkpoints at a time take %s", r.Most, human.Bytes(int64(r.Most)*r.Checkpoint))
	}
	if r.Free < 0 {
		return text
	}
	return fmt.Sprintf("%s; %s are free", text, human.Bytes(r.Free))
}

// printPacks says how conversations are packed and weighed.
func printPacks(line func(label, format string, args ...any), c *configs.Config, p *train.Plan) {
	line("packs", "%s of %s tokens, %.1f %% full, %.1f samples each", human.Grouped(p.Packs), human.Grouped(p.Capacity),
		100*p.Fill(), float64(p.Documents)/float64(p.Packs))
	line("loss", "weighting %s: who carries how much of it", c.Packing.Weighting)
	for _, kind := range []string{"source", "words"} {
		for _, text := range shareLines(p.Shares, kind) {
			line("", "%s", text)
		}
	}
	perStep := c.Train.PacksPerStep()
	line("run", "%s of %s = %.4g epochs", human.Count(p.Schedule.Total, "step"), human.Count(min(perStep, p.Packs), "pack"), p.Epochs)
	if perStep > p.Packs {
		line("", "a step could take %d packs, and there are only %d", perStep, p.Packs)
	}
	printRate(line, p.Schedule)
}

// shareLines lists the shares of a kind in lines of at most 70 columns.
func shareLines(shares []train.Share, kind string) []string {
	lines := []string{map[string]string{"source": "by source:", "words": "by words of the answer:"}[kind]}
	for _, s := range shares {
		if s.Kind != kind {
			continue
		}
		last := &lines[len(lines)-1]
		part := fmt.Sprintf(" %s %.1f %%", s.Name, 100*s.Loss)
		switch {
		case len(*last)+len(part) > 69:
			*last += ","
			lines = append(lines, " "+part)
		case strings.HasSuffix(*last, ":"):
			*last += part
		default:
			*last += "," + part
		}
	}
	return lines
}

// printPairs says what pairs, or labelled answers, are trained on, and by which loss.
func printPairs(line func(label, format string, args ...any), c *configs.Config, mix data.SourceStats, p *train.Plan) {
	kind := "pair"
	switch {
	case p.Labelled:
		kind = "answer"
		line("answers", "%s desirable, %s undesirable to train on, %.0f tokens each", human.Grouped(p.Desirable),
			human.Grouped(int64(p.Pairs-p.Desirable)), float64(p.Tokens)/float64(p.Pairs))
	default:
		line("pairs", "%s to train on, %.0f tokens each", human.Grouped(p.Pairs), float64(p.Tokens)/float64(p.Pairs))
	}
	if mix.Paired() {
		for _, side := range []struct {
			name string
			data.Side
		}{{"chosen", mix.Chosen}, {"rejected", mix.Rejected}} {
			n := float64(side.Answers)
			line("", "%s answers: %.0f words, %.0f target tokens on average", side.name,
				float64(side.Words)/n, float64(side.TargetTokens)/n)
		}
	}
	if p.Split > 0 {
		line("", "%s larger than a pack of %s tokens: scored first, then trained", human.Count(p.Split, "pair"), human.Grouped(p.Capacity))
	}
	if !p.Labelled {
		printOnce(line, p)
	}
	for _, text := range shareLines(p.Shares, "words") {
		if !p.Labelled {
			text = strings.Replace(text, "of the answer", "of the chosen answer", 1)
		}
		line("", "%s", text)
	}
	reference := c.DPO.Reference
	if !c.DPO.NeedsReference() {
		reference = "none"
	}
	line("loss", "%s, beta %g, reference %s", strings.Join(c.DPO.LossType, " + "), c.DPO.Beta, reference)
	if text := balanceText(c.DPO, p); text != "" {
		line("", "%s", text)
	}
	perStep := c.Train.PacksPerStep()
	line("run", "%s of %s = %.4g epochs", human.Count(p.Schedule.Total, "step"), human.Count(min(perStep, p.Pairs), kind), p.Epochs)
	if perStep > p.Pairs {
		line("", "a step could take %d %ss, and there are only %d", perStep, kind, p.Pairs)
	}
	if p.Labelled && perStep < 4 {
		line("", "kto's estimate of the KL is the mean of %s: take more a step", human.Count(perStep, "answer"))
	}
	printRate(line, p.Schedule)
}

// printOnce says of how many pairs the prompt is computed once, and why not of the others.
func printOnce(line func(label, format string, args ...any), p *train.Plan) {
	o := p.Once
	if o.Pairs > 0 {
		line("", "prompts computed once in %s of %s: %.0f %% less work", human.Grouped(o.Pairs), human.Count(p.Pairs, "pair"), 100*o.Saved)
	}
	switch {
	case o.Most == 0:
		line("", "a prompt for each answer: %s", o.Why)
	case o.Longer > 0:
		line("", "a prompt for each answer in %s of more than %s tokens: %s", human.Count(o.Longer, "pair"), human.Grouped(o.Most), o.Why)
	case o.Pairs == 0:
		line("", "a prompt for each answer: to share it would save less than 5 %%")
	}
}

// balanceText says how desirable and undesirable answers weigh against each other,
// where that is not between 1:1 and 4:3 as KTO's authors recommend (Ethayarajh et al.
// 2024, arXiv:2402.01306, equation 8).
func balanceText(o dpo.Options, p *train.Plan) string {
	good, bad := float64(p.Desirable), float64(p.Pairs-p.Desirable)
	ratio := o.DesirableWeight * good / (o.UndesirableWeight * bad)
	switch {
	case !p.Labelled || ratio > 0.995 && ratio < 1.34:
		return ""
	case good == 0 || bad == 0:
		return "all answers have the same label: kto wants some of both"
	case o.DesirableWeight == 0 || o.UndesirableWeight == 0:
		return "one label has a weight of 0: only answers of the other one are learnt from"
	case ratio < 1:
		return fmt.Sprintf("the undesirable ones weigh more, 1:%.3g: try dpo.desirable_weight: %.3g", 1/ratio, o.UndesirableWeight*bad/good)
	}
	return fmt.Sprintf("the desirable ones weigh %.3g:1: try dpo.undesirable_weight: %.3g", ratio, o.DesirableWeight*good/bad)
}

// WarnMemory says so when a run needs more than there is, and what would help.
func WarnMemory(w io.Writer, m engine.Needs) {
	if text := session.MemoryWarning(m); text != "" {
		Warn(w, "%s", text)
	}
}
