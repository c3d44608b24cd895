package report

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"lwtrain/internal/fault"
	"lwtrain/internal/human"
)

// mostCompared is how many runs can be set side by side: so many lines can be told apart.
const mostCompared = 12

// Comparison is several runs side by side.
type Comparison struct {
	Runs     []Figures          `json:"runs"`
	Settings []DifferingSetting `json:"settings"` // that are not the same in all, by key
	Notes    []string           `json:"notes,omitempty"`

	runs []*Run
}

// Figures are those of a run. Numbers that are not known are left out.
type Figures struct {
	Name     string   `json:"name"` // by which pages and tables call it
	Dir      string   `json:"dir"`
	Model    string   `json:"model,omitempty"`
	Machine  string   `json:"machine,omitempty"` // the last one
	Step     int      `json:"step"`
	Planned  int      `json:"steps_planned,omitempty"`
	Finished bool     `json:"finished"`
	Loss     *float64 `json:"loss,omitempty"` // of the last step
	HeldOut  *float64 `json:"eval_loss,omitempty"`
	Best     *float64 `json:"best_eval_loss,omitempty"` // the lowest
	BestStep int      `json:"best_step,omitempty"`
	Accuracy *float64 `json:"eval_accuracy,omitempty"` // of preferences, the last one held out
	Margin   *float64 `json:"eval_margin,omitempty"`
	Tokens   float64  `json:"tokens,omitempty"`
	Speed    float64  `json:"tokens_per_second,omitempty"` // tokens by the time that steps took
	Seconds  float64  `json:"elapsed_seconds,omitempty"`
	Memory   float64  `json:"peak_rss_bytes,omitempty"`
}

// DifferingSetting is a setting and its value in each run, in their order; "": it has none there.
type DifferingSetting struct {
	Key    string   `json:"key"`
	Values []string `json:"values"`
}

// CompareRuns sets runs side by side.
func CompareRuns(runs []*Run) (*Comparison, error) {
	if len(runs) < 2 || len(runs) > mostCompared {
		return nil, fault.Usage(fmt.Errorf("%s to compare, want 2 to %d", human.Count(len(runs), "run"), mostCompared))
	}
	c := &Comparison{runs: runs}
	names := namesOf(runs)
	for i, name := range names {
		if slices.Index(names, name) < i {
			return nil, fault.Usage(fmt.Errorf("%s is given twice, want each run once", runs[i].Dir))
		}
	}
	for i, r := range runs {
		c.Runs = append(c.Runs, r.numbers(names[i]))
	}
	c.Settings = differing(runs)
	if len(c.units()) > 1 {
		c.Notes = append(c.Notes, "These runs have losses of different kinds (fine-tuning, pairs, labelled answers): "+
			"their numbers are not those of one scale.")
	}
	return c, nil
}

// namesOf are the shortest ends of the runs' paths that tell them apart.
func namesOf(runs []*Run) []string {
	parts := make([][]string, len(runs))
	for i, r := range runs {
		path := filepath.Clean(r.Dir)
		if abs, err := filepath.Abs(path); err == nil {
			path = abs
		}
		parts[i] = strings.Split(strings.Trim(filepath.ToSlash(path), "/"), "/")
	}
	names := make([]string, len(runs))
	for n := 1; ; n++ {
		seen, longer := map[string]bool{}, false
		for i, p := range parts {
			names[i] = strings.Join(p[max(0, len(p)-n):], "/")
			seen[names[i]] = true
			longer = longer || n < len(p)
		}
		if len(seen) == len(runs) || !longer {
			return names
		}
	}
}

// numbers are the figures of a run.
func (r *Run) numbers(name string) Figures {
	known := func(v float64) *float64 {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil
		}
		return &v
	}
	f := Figures{Name: name, Dir: r.Dir, Model: r.About.Model, Planned: r.About.Steps, Finished: r.About.Finished != nil}
	if n := len(r.About.Machines); n > 0 {
		f.Machine = r.About.Machines[n-1]
	}
	loss, held := r.Series["loss"], r.Series["eval_loss"]
	if loss != nil {
		f.Step = int(loss.Step[len(loss.Step)-1])
	}
	f.Loss, f.HeldOut = known(loss.last()), known(held.last())
	step, best := held.lowest()
	f.Best, f.BestStep = known(best), int(step)
	f.Accuracy, f.Margin = known(r.Series["eval_rewards/accuracies"].last()), known(r.Series["eval_rewards/margins"].last())
	f.Tokens = r.Series["tokens"].sum()
	if took := r.took().last(); f.Tokens > 0 && took > 0 {
		f.Speed = f.Tokens / took
	}
	for _, x := range []struct {
		to *float64
		v  float64
	}{{&f.Seconds, r.elapsed().last()}, {&f.Memory, r.Series["peak_rss_bytes"].last()}} {
		if v := known(x.v); v != nil {
			*x.to = *v
		}
	}
	return f
}

// differing are the settings that are not the same in all runs, but for where they are written.
func differing(runs []*Run) (out []DifferingSetting) {
	values := map[string][]string{}
	var keys []string
	for i, r := range runs {
		for _, s := range r.Settings {
			if strings.HasPrefix(s.Key, "output.") {
				continue
			}
			if values[s.Key] == nil {
				values[s.Key] = make([]string, len(runs))
				keys = append(keys, s.Key)
			}
			values[s.Key][i] = s.Value
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		if v := values[key]; slices.ContainsFunc(v, func(x string) bool { return x != v[0] }) {
			out = append(out, DifferingSetting{key, v})
		}
	}
	return out
}

// Table is the comparison as rows of text: what is measured, and its value in each run. What none of them
// has is left out.
func (c *Comparison) Table() (rows [][]string) {
	add := func(what string, value func(f Figures) string) {
		row := []string{what}
		for _, f := range c.Runs {
			row = append(row, cmp.Or(value(f), "-"))
		}
		if slices.ContainsFunc(row[1:], func(v string) bool { return v != "-" }) {
			rows = append(rows, row)
		}
	}
	number := func(v *float64) string {
		if v == nil {
			return ""
		}
		return fmt.Sprintf("%.4f", *v)
	}
	add("steps", func(f Figures) string {
		if f.Planned > 0 && !f.Finished {
			return fmt.Sprintf("%s of %s", human.Grouped(f.Step), human.Grouped(f.Planned))
		}
		return human.Grouped(f.Step)
	})
	add("loss, last step", func(f Figures) string { return number(f.Loss) })
	add("held-out loss, last", func(f Figures) string { return number(f.HeldOut) })
	add("held-out loss, best", func(f Figures) string { return number(f.Best) })
	add("at step", func(f Figures) string {
		if f.Best == nil {
			return ""
		}
		return human.Grouped(f.BestStep)
	})
	add("held-out accuracy", func(f Figures) string { return number(f.Accuracy) })
	add("held-out margin", func(f Figures) string { return number(f.Margin) })
	positive := func(v float64, text func() string) string {
		if v > 0 {
			return text()
		}
		return ""
	}
	add("tokens trained on", func(f Figures) string { return positive(f.Tokens, func() string { return shortTo(f.Tokens, 3) }) })
	add("tokens a second", func(f Figures) string { return positive(f.Speed, func() string { return shortTo(f.Speed, 3) }) })
	add("until the last step", func(f Figures) string {
		return positive(f.Seconds, func() string { return human.Span(span(f.Seconds)) })
	})
	add("memory at most", func(f Figures) string {
		return positive(f.Memory, func() string { return human.Bytes(int64(f.Memory)) })
	})
	return rows
}

// runsView is what runs.tmpl takes.
type runsView struct {
	Title    string
	Runs     []string // lines
	Notes    []string
	Table    table
	Figures  []figure
	Settings *table
}

// WriteRuns writes the page of a comparison.
func WriteRuns(w io.Writer, c *Comparison) error {
	v := runsView{Title: human.Count(len(c.Runs), "training run"), Notes: c.Notes, Table: table{Head: []string{""}}}
	for _, f := range c.Runs {
		text := f.Name + ": " + filepath.Clean(f.Dir)
		for _, more := range []string{f.Model, f.Machine} {
			if more != "" {
				text += "; " + more
			}
		}
		v.Runs = append(v.Runs, text)
		v.Table.Head = append(v.Table.Head, f.Name)
	}
	for _, row := range c.Table() {
		v.Table.Rows = append(v.Table.Rows, tableRow{Cells: row})
	}
	if len(c.Settings) > 0 {
		v.Settings = &table{Head: append([]string{"setting"}, v.Table.Head[1:]...)}
		for _, s := range c.Settings {
			v.Settings.Rows = append(v.Settings.Rows, tableRow{Cells: append([]string{s.Key}, s.Values...)})
		}
	}
	v.Figures = c.figures()
	return render(w, "runs", v)
}

// units are those of the runs' losses, each once.
func (c *Comparison) units() (out []string) {
	for _, r := range c.runs {
		if u := r.losses()[0].unit; !slices.Contains(out, u) {
			out = append(out, u)
		}
	}
	return out
}

// figures overlay the runs' numbers.
func (c *Comparison) figures() (out []figure) {
	unit := strings.Join(c.units(), ", ")
	for i, x := range []struct {
		card
		byTokens bool
	}{
		{card: card{title: "Loss", unit: unit, lines: []line{{"loss", ""}}}},
		{card: card{title: "Held-out loss", unit: unit, lines: []line{{"eval_loss", ""}}}},
		{card: card{title: "Loss, by tokens trained on", unit: unit, lines: []line{{"loss", ""}}}, byTokens: true},
		{card: card{title: "Held-out accuracy", unit: "share of the pairs", axis: axis{Min: 0, Max: 1},
			lines: []line{{"eval_rewards/accuracies", ""}}}},
		{card: card{title: "Held-out margin", unit: "reward", axis: axis{Least: 1e-3}, lines: []line{{"eval_rewards/margins", ""}}}},
		{card: card{title: "Written at evaluations: words", unit: "words", fromZero: true, lines: []line{{"eval_written/words", ""}}}},
		{card: card{title: "Written at evaluations: S_l", unit: "of 100", axis: axis{Min: 0, Max: 100},
			lines: []line{{"eval_written/s_l", ""}}}},
		{card: card{title: "Learning rate", fromZero: true, lines: []line{{"learning_rate", ""}}}},
		{card: card{title: "Gradient norm, before clipping", unit: "L2 norm", fromZero: true, lines: []line{{"grad_norm", ""}}}},
		{card: card{title: "Speed", unit: "tokens a second", fromZero: true, lines: []line{{"tokens_per_second", ""}}}},
	} {
		if f, ok := c.overlay(x.card, x.byTokens, i == 0); ok {
			out = append(out, f)
		}
	}
	return out
}

// overlay draws one number of all runs.
func (c *Comparison) overlay(x card, byTokens, wide bool) (figure, bool) {
	var all []series
	key := x.lines[0].key
	for i, r := range c.runs {
		curve := r.Series[key]
		if curve == nil {
			continue
		}
		if tokens := r.Series["tokens"]; byTokens {
			if tokens == nil {
				continue
			}
			sums, by := tokens.added(), &Curve{Value: curve.Value}
			for _, step := range curve.Step {
				by.Step = append(by.Step, sums.before(step))
			}
			curve = by
		}
		s := curve.series(c.Runs[i].Name)
		s.Lo, s.Hi = nil, nil // bands of several lines hide each other
		s.Color, s.Dash, s.Marks = i%6, (i%6+3*(i/6))%6, strings.HasPrefix(key, "eval_")
		all = append(all, s)
	}
	if len(all) == 0 {
		return figure{}, false
	}
	p := plot{X: axis{Label: "step"}, Y: x.axis}
	if byTokens {
		p.X.Label = "tokens"
	}
	p.Y.Label = x.unit
	f := figure{Title: x.title, Plot: lines(p, x.fromZero, all...), Legend: lineLegend(all)}
	if wide {
		p.Wide = true
		f.Narrow, f.Plot = f.Plot, lines(p, x.fromZero, all...)
	}
	if slices.ContainsFunc(c.runs, func(r *Run) bool { return r.Series[key] != nil && len(r.Series[key].Step) > mostPoints }) {
		f.Note = fmt.Sprintf("A point is the mean over a stretch of steps; %d stretches.", mostPoints)
	}
	return f, true
}
