package report

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"lwtrain/internal/human"
)

// elapsed is how long the run was worked at up to each step. Runs whose metrics do not say
// it have the time of their steps alone.
func (r *Run) elapsed() *Curve {
	if c := r.Series["elapsed_seconds"]; c != nil {
		return c
	}
	return r.took()
}

// took is how long the steps took, each with those before it; nil: it is not known.
func (r *Run) took() *Curve {
	tokens, rate := r.Series["tokens"], r.Series["tokens_per_second"]
	if tokens == nil || rate == nil || len(tokens.Value) != len(rate.Value) {
		return nil
	}
	each := &Curve{Step: tokens.Step}
	for i, n := range tokens.Value {
		took := 0.0
		if rate.Value[i] > 0 {
			took = n / rate.Value[i]
		}
		each.Value = append(each.Value, took)
	}
	return each.added()
}

// scales say at which token and at which time a step ended.
func (r *Run) scales() (out []scale) {
	if c := r.Series["tokens"]; c != nil {
		sums := c.added()
		out = append(out, scale{"tokens", func(step float64) string { return shortTo(sums.before(step), 3) }})
	}
	if c := r.elapsed(); c != nil {
		out = append(out, scale{"time", func(step float64) string { return human.Span(span(c.before(step))) }})
	}
	return out
}

func span(seconds float64) time.Duration {
	return time.Duration(min(seconds, 1e9) * float64(time.Second))
}

// card is a plot of numbers of metrics.jsonl: of the steps, and, with eval_ before their
// keys, of what is held out.
type card struct {
	title, unit string
	axis        axis // its ends, where they are known
	fromZero    bool
	lines       []line
	note        string
}

// line is one number, and its name on the page.
type line struct{ key, name string }

// losses are the cards that come first.
func (r *Run) losses() []card {
	switch {
	case !r.preferences():
		c := card{title: "Loss", unit: "nats a token", lines: []line{{"loss", ""}}}
		if r.Series["token_loss"] != nil && !r.same("loss", "token_loss") { // with weighting token they are
			c.lines = []line{{"loss", "weighted"}, {"token_loss", "mean over target tokens"}}
		}
		return []card{c}
	case r.labelled():
		return []card{
			{title: "Loss", unit: "loss an answer", lines: []line{{"loss", ""}}},
			{title: "Rewards and margin", unit: "reward", axis: axis{Least: 1e-3},
				lines: []line{{"rewards/chosen", "desirable"}, {"rewards/rejected", "undesirable"}, {"rewards/margins", "margin"}}},
			{title: "Lengths of the answers", unit: "target tokens", fromZero: true,
				lines: []line{{"lengths/chosen", "desirable"}, {"lengths/rejected", "undesirable"}}},
		}
	}
	return []card{
		{title: "Loss", unit: "loss a pair", lines: []line{{"loss", ""}}},
		{title: "Accuracy, and ties", unit: "share of the pairs", axis: axis{Min: 0, Max: 1},
			note:  "Accurate: the chosen answer has the larger reward. Ties: both have the same.",
			lines: []line{{"rewards/accuracies", "accurate"}, {"rewards/ties", "ties"}}},
		{title: "Rewards and margin", unit: "reward", axis: axis{Least: 1e-3},
			lines: []line{{"rewards/chosen", "chosen"}, {"rewards/rejected", "rejected"}, {"rewards/margins", "margin"}}},
		{title: "Lengths of the answers", unit: "target tokens", fromZero: true,
			lines: []line{{"lengths/chosen", "chosen"}, {"lengths/rejected", "rejected"}}},
	}
}

// others are the cards after those.
func (r *Run) others() []card {
	better, worse, which := "chosen", "rejected", "the chosen answer"
	if r.labelled() {
		better, worse, which = "desirable", "undesirable", "the answer"
	}
	return []card{
		{title: "Held-out loss, by source", unit: r.losses()[0].unit, lines: r.family("eval_loss/")},
		{title: "Held-out accuracy, by words of " + which, unit: "share of the pairs", axis: axis{Min: 0, Max: 1},
			lines: r.family("eval_rewards/accuracies/")},
		{title: "Held-out margin, by words of " + which, unit: "reward", axis: axis{Least: 1e-3}, lines: r.family("eval_rewards/margins/")},
		{title: "Ends of held-out answers", unit: "share, probability", axis: axis{Min: 0, Max: 1},
			note:  "Likely: after the whole answer its end is more probable than all other tokens together.",
			lines: []line{{"end/likely", "likely"}, {"end/probability", "mean probability"}}},
		{title: "Written at evaluations: S_l", unit: "of 100", axis: axis{Min: 0, Max: 100}, lines: []line{{"written/s_l", ""}}},
		{title: "Written at evaluations: words", unit: "words", fromZero: true,
			lines: []line{{"written/words", "mean"}, {"written/words_median", "median"}}},
		{title: "Written at evaluations: ended, and repeated", unit: "share", axis: axis{Min: 0, Max: 1},
			lines: []line{{"written/ended", "ended by themselves"}, {"written/repeated", "repeated"}}},
		{title: "KL to the reference", unit: "nats an answer", axis: axis{Least: 1e-3}, lines: []line{{"kl", ""}}},
		{title: "Log-probabilities of the answers", unit: "nats an answer",
			lines: []line{{"logps/chosen", better}, {"logps/rejected", worse}}},
		{title: "Loss of the answers' tokens", unit: "nats a token", lines: []line{{"token_loss", "all"}, {"nll_loss", better}}},
		{title: "Correlation of held-out margins and lengths", unit: "Pearson's", axis: axis{Min: -1, Max: 1},
			lines: []line{{"margin_length_correlation", ""}}},
		{title: "Learning rate", fromZero: true, lines: []line{{"learning_rate", ""}}},
		{title: "Gradient norm, before clipping", unit: "L2 norm", fromZero: true, lines: []line{{"grad_norm", ""}}},
		{title: "Speed", unit: "tokens a second", fromZero: true, lines: []line{{"tokens_per_second", ""}}},
		{title: "Memory, the most so far", unit: "GiB", fromZero: true, lines: []line{{"peak_rss_bytes", ""}}},
	}
}

// preferences reports whether answers were trained by what is preferred, and labelled
// whether they were single ones.
func (r *Run) preferences() bool {
	return r.Series["rewards/margins"] != nil || r.Series["eval_rewards/margins"] != nil || r.paired()
}

func (r *Run) labelled() bool { return r.preferences() && !r.paired() }

func (r *Run) paired() bool {
	return r.Series["rewards/accuracies"] != nil || r.Series["eval_rewards/accuracies"] != nil
}

// family are the numbers whose keys begin so, by the rest of their keys.
func (r *Run) family(prefix string) (out []line) {
	for _, key := range r.keys() {
		if name, ok := strings.CutPrefix(key, prefix); ok {
			out = append(out, line{key, name})
		}
	}
	return out
}

func (r *Run) keys() []string {
	var out []string
	for key := range r.Series {
		out = append(out, key)
	}
	slices.Sort(out)
	return out
}

// figures draws what the metrics hold: what is known in its own way, and everything else
// by the part of its key before the slash.
func (r *Run) figures() []figure {
	done := map[string]bool{"elapsed_seconds": true, "epoch": true, "tokens": true, "target_tokens": true, "documents": true}
	var out []figure
	draw := func(c card, wide bool) {
		if f, ok := r.figure(c, wide, done); ok {
			out = append(out, f)
		}
	}
	for i, c := range r.losses() {
		draw(c, i == 0)
	}
	done["token_loss"] = !r.preferences()
	for _, c := range r.others() {
		draw(c, false)
	}
	for _, key := range r.keys() {
		if family, _, _ := strings.Cut(strings.TrimPrefix(key, "eval_"), "/"); !done[key] {
			c := card{title: strings.ReplaceAll(family, "_", " "), unit: family}
			for _, l := range r.family("") {
				name := strings.TrimPrefix(l.key, "eval_")
				if f, _, _ := strings.Cut(name, "/"); f == family && !slices.Contains(c.lines, line{name, name}) {
					c.lines = append(c.lines, line{name, name})
				}
			}
			draw(c, false)
		}
	}
	return out
}

// figure draws a card. What is held out has marks. A colour is one number, but that of the
// only one differs for what is held out, and so does the loss's: that is the mean over
// target tokens. Each line has its own dashes.
func (r *Run) figure(c card, wide bool, done map[string]bool) (figure, bool) {
	var all []series
	add := func(key, name string, color int, marks bool) {
		if v := r.Series[key]; v != nil && !done[key] {
			s := inGiB(key, v).series(name)
			s.Color, s.Dash, s.Marks = color, min(len(all), 5), marks
			all = append(all, s)
		}
		done[key] = true
	}
	for i, l := range c.lines {
		if strings.HasPrefix(l.key, "eval_") { // a part of what is held out, by its name
			add(l.key, l.name, color(i), true)
			continue
		}
		held := i
		if len(c.lines) == 1 || l.key == "loss" {
			held = 1
		}
		add(l.key, named("training", l.name), color(i), false)
		add("eval_"+l.key, named("held out", l.name), color(held), true)
	}
	if len(all) == 0 || len(all) == 1 && strings.HasPrefix(c.lines[0].key, "eval_") {
		return figure{}, false // of one part alone the whole has been drawn
	}
	p := plot{X: axis{Label: "step"}, Y: c.axis}
	p.Y.Label = c.unit
	if wide {
		p.Under = r.scales()
	}
	f := figure{Title: c.title, Note: c.note, Plot: lines(p, c.fromZero, all...)}
	if wide {
		p.Wide = true
		f.Narrow, f.Plot = f.Plot, lines(p, c.fromZero, all...)
	}
	if len(all) > 1 || all[0].Marks {
		f.Legend = lineLegend(all)
	}
	for _, s := range all {
		if s.Lo != nil && wide {
			const note = "A point of a line is the mean over a stretch of steps, the band its least and most; %d stretches."
			f.Note = fmt.Sprintf(note, mostPoints)
		}
	}
	return f, true
}

func named(what, name string) string {
	if name == "" {
		return what
	}
	return name + ", " + what
}

// inGiB are bytes as they are drawn.
func inGiB(key string, c *Curve) *Curve {
	if key != "peak_rss_bytes" {
		return c
	}
	out := &Curve{Step: c.Step}
	for _, v := range c.Value {
		out.Value = append(out.Value, v/(1<<30))
	}
	return out
}

// same reports whether two numbers differ by roundings alone.
func (r *Run) same(a, b string) bool {
	x, y := r.Series[a], r.Series[b]
	return x != nil && y != nil && slices.EqualFunc(x.Value, y.Value, func(v, w float64) bool { return math.Abs(v-w) <= 1e-6*math.Abs(v) })
}
