package report

import (
	"fmt"
	"io"
	"math"
	"path"
	"path/filepath"
	"strings"

	"lwtrain/internal/human"
)

// runView is what run.tmpl takes.
type runView struct {
	Title    string
	Kind     string // of work that goes on; "": a training run
	Refresh  int    // seconds after which a page of such work is to be asked for again; 0: never
	Steps    *table
	About    []string // lines
	Tiles    []tile
	Curves   []figure
	Data     []figure
	Sources  *table
	Sides    *table
	Settings *settingsView
	Answers  []Answer
}

// WriteRun writes the page of `lwtrain report`.
func WriteRun(w io.Writer, r *Run) error {
	v := r.view()
	if r.Data != nil {
		v.Data = lossFigures(r.Data, nil)
		t := sourceTable(r.Data)
		v.Sources, v.Sides = &t, sideTable(r.Data)
	}
	return render(w, "run", v)
}

// view is what is shown of a run besides its data.
func (r *Run) view() runView {
	return runView{
		Title: filepath.Clean(r.Dir), About: r.about(), Tiles: r.tiles(), Curves: r.figures(),
		Settings: r.settingsView(), Answers: r.Answers,
	}
}

// about says what was trained, where and by which version.
func (r *Run) about() (out []string) {
	if r.About.Model != "" {
		out = append(out, "Model: "+r.About.Model)
	}
	if n := len(r.About.Machines); n > 0 {
		out = append(out, "Machine: "+strings.Join(r.About.Machines, "; then "))
	}
	if n := len(r.About.Versions); n > 0 {
		out = append(out, "lwtrain "+strings.Join(r.About.Versions, "; then "))
	}
	if r.Best != "" {
		out = append(out, "Best checkpoint: "+path.Clean(r.Best))
	}
	return out
}

func (r *Run) tiles() (out []tile) {
	add := func(known float64, value, label string) {
		if !math.IsNaN(known) && !math.IsInf(known, 0) {
			out = append(out, tile{value, label})
		}
	}
	number := func(v float64, label string) { add(v, fmt.Sprintf("%.4f", v), label) }
	loss, eval := r.Series["loss"], r.Series["eval_loss"]
	if loss != nil {
		step, label := loss.Step[len(loss.Step)-1], "steps"
		if step == 1 {
			label = "step"
		}
		if planned := float64(r.About.Steps); step < planned && r.About.Finished == nil {
			label = "of " + human.Count(r.About.Steps, "step") + " planned"
		}
		add(step, human.Grouped(int64(step)), label)
	}
	if c := r.elapsed(); c != nil {
		label := "until the last step"
		if r.Series["elapsed_seconds"] == nil {
			label = "for the steps"
		}
		add(c.last(), human.Span(span(c.last())), label)
	}
	if !r.Began.IsZero() {
		out = append(out, tile{r.Began.UTC().Format("2 Jan"), r.Began.UTC().Format("2006, begun at 15:04 UTC")})
	}
	number(loss.first(), "loss, first step")
	if loss != nil && len(loss.Step) > 1 {
		number(loss.last(), "loss, last step")
	}
	out = append(out, r.heldOutTiles(eval)...)
	tokens := r.Series["tokens"].sum()
	if tokens > 0 {
		add(tokens, shortTo(tokens, 3), "tokens trained on")
		v := tokens / r.took().last()
		add(v, shortTo(v, 3), "tokens a second")
	}
	add(r.Series["peak_rss_bytes"].last(), fmt.Sprintf("%.2f GiB", r.Series["peak_rss_bytes"].last()/(1<<30)), "memory at most")
	return out
}

// heldOutTiles say how what is held out changed. Where nothing is, of preferences those of
// the last step are shown.
func (r *Run) heldOutTiles(eval *Curve) (out []tile) {
	number := func(v float64, format, label string) {
		if !math.IsNaN(v) {
			out = append(out, tile{fmt.Sprintf(format, v), label})
		}
	}
	if eval != nil {
		step, best := eval.lowest()
		label := fmt.Sprintf("best held-out loss, step %s", human.Grouped(int64(step)))
		switch {
		case len(eval.Step) == 1:
			number(best, "%.4f", fmt.Sprintf("held-out loss, step %s", human.Grouped(int64(step))))
		case step == eval.Step[len(eval.Step)-1]:
			number(eval.first(), "%.4f", "held-out loss, before")
			number(best, "%.4f", label+", the last")
		default:
			number(eval.first(), "%.4f", "held-out loss, before")
			number(best, "%.4f", label)
			number(eval.last(), "%.4f", "held-out loss, last")
		}
	}
	for _, v := range []line{{"rewards/accuracies", "accuracy"}, {"rewards/margins", "margin"}} {
		held, train := r.Series["eval_"+v.key], r.Series[v.key]
		switch {
		case held == nil:
			number(train.last(), "%.3f", v.name+", last step")
		case len(held.Step) == 1:
			number(held.last(), "%.3f", "held-out "+v.name)
		default:
			number(held.last(), "%.3f", fmt.Sprintf("held-out %s, %.3f before", v.name, held.first()))
		}
	}
	return out
}

// settingsView is the settings that a run depends on, those that were chosen for it first.
type settingsView struct {
	Chosen   table
	Defaults table
}

func (r *Run) settingsView() *settingsView {
	unused := []string{"pairs.", "dpo."} // keys of other commands
	if r.preferences() {
		unused = []string{"pairs.", "packing.strategy", "packing.weighting"}
	}
	v := &settingsView{
		Chosen:   table{Head: []string{"setting", "value", "where it comes from"}, Text: true},
		Defaults: table{Head: []string{"setting", "value"}, Text: true},
	}
	var own, recipe []tableRow
	for _, s := range r.Settings {
		row := tableRow{Cells: []string{s.Key, s.Value, s.Origin}}
		switch {
		case hasPrefix(s.Key, unused):
		case s.Origin == "default":
			v.Defaults.Rows = append(v.Defaults.Rows, tableRow{Cells: row.Cells[:2]})
		case strings.HasPrefix(s.Origin, "recipe "):
			recipe = append(recipe, row)
		default:
			own = append(own, row)
		}
	}
	v.Chosen.Rows = append(own, recipe...)
	if len(v.Chosen.Rows)+len(v.Defaults.Rows) == 0 {
		return nil
	}
	return v
}

func hasPrefix(s string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}
