package show

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"

	"lwtrain/internal/human"
	"lwtrain/internal/terminal"
	"lwtrain/report"
	"lwtrain/watch"
)

// Watched shows how work stands, in lines of at most so many columns; without a terminal's
// size want 80.
func Watched(w io.Writer, s *watch.Status, columns int, now time.Time) {
	columns = max(columns, 40)
	say := func(label, format string, args ...any) {
		text := strings.TrimRight(fmt.Sprintf("%-9s %s", label, terminal.Printable(fmt.Sprintf(format, args...))), " ")
		fmt.Fprintln(w, runewidth.Truncate(text, columns, "..."))
	}
	say(s.Kind, "%s", s.Dir)
	watchedInner(say, s, now)
	t := s.Training
	for _, step := range s.Steps {
		if step.Inner != nil && step.Inner.Training != nil {
			t = step.Inner.Training
			s = step.Inner
		}
	}
	if t != nil && s.Run != nil {
		fmt.Fprint(w, lossPlot(s.Run, columns))
	}
}

// noteWidth is how wide a line of a note is, so that it fits under a chain's, too.
const noteWidth = 56

// watchedInner shows the lines of work, and of the step of a chain that is at work.
func watchedInner(say func(label, format string, args ...any), s *watch.Status, now time.Time) {
	state := string(s.State)
	if s.Updated != nil {
		state += fmt.Sprintf(", written to %s ago", human.Span(max(0, now.Sub(*s.Updated))))
	}
	say("state", "%s", state)
	line := ""
	for _, word := range strings.Fields(s.Note) {
		if line != "" && runewidth.StringWidth(line)+1+runewidth.StringWidth(word) > noteWidth {
			say("", "%s", line)
			line = ""
		}
		line = strings.TrimLeft(line+" "+word, " ")
	}
	if line != "" {
		say("", "%s", line)
	}
	if t := s.Training; t != nil {
		watchedTraining(say, t)
	}
	for _, f := range s.Files {
		say(f.What, "%s", human.Grouped(f.N)+f.Total())
	}
	for _, step := range s.Steps {
		text := step.Name
		if step.Seconds > 0 {
			text += ", " + human.Span(seconds(step.Seconds))
		}
		if step.Figure != "" {
			text += ", " + step.Figure
		}
		say(string(step.State), "%s (%s)", text, step.Command)
		if step.Inner != nil {
			watchedInner(func(label, format string, args ...any) { say("", "  "+fmt.Sprintf("%-9s ", label)+format, args...) },
				step.Inner, now)
		}
	}
}

func seconds(v float64) time.Duration { return time.Duration(min(v, 1e9) * float64(time.Second)) }

func watchedTraining(say func(label, format string, args ...any), t *watch.Training) {
	if t.Model != "" {
		say("model", "%s", t.Model)
	}
	text := human.Count(t.Step, "step")
	if t.Planned > 0 {
		const room = 20
		full := room * min(t.Step, t.Planned) / t.Planned
		text = fmt.Sprintf("%3d%% [%-*s] %d/%d", 100*min(t.Step, t.Planned)/t.Planned, room, strings.Repeat("=", full),
			t.Step, t.Planned)
	}
	if t.Left != nil {
		text += "  " + human.Span(seconds(*t.Left)) + " left"
	}
	if t.Speed > 0 {
		text += "  " + human.Speed(t.Speed) + " tok/s"
	}
	say("steps", "%s", text)
	if loss, ok := t.Metrics["loss"]; ok {
		say("loss", "%.4f%s  lr %.1e  grad norm %.3g", loss, marginText(t.Metrics), t.Metrics["learning_rate"], t.Metrics["grad_norm"])
	}
	if t.Evaluated != nil {
		say("held out", "%.4f at step %d%s", t.Metrics["eval_loss"], *t.Evaluated, heldOut(t.Metrics))
	}
	saved := "no checkpoint yet"
	if t.Saved > 0 {
		saved = fmt.Sprintf("step %d", t.Saved)
	}
	if t.Elapsed > 0 {
		saved += fmt.Sprintf("  worked %s, at most %s of memory", human.Span(seconds(t.Elapsed)),
			human.Bytes(int64(t.Metrics["peak_rss_bytes"])))
	}
	say("saved", "%s", saved)
}

// heldOut is what else an evaluation said.
func heldOut(metrics map[string]float64) string {
	values := map[string]float64{}
	for key, v := range metrics {
		if name, ok := strings.CutPrefix(key, "eval_"); ok {
			values[name] = v
		}
	}
	return endText(values) + preferenceText(values) + writtenText(values)
}

// lossPlot draws the loss of the steps, and o where it was held out.
func lossPlot(r *report.Run, columns int) string {
	points := func(key string) (out []terminal.Point) {
		c := r.Series[key]
		if c == nil {
			return nil
		}
		for i, step := range c.Step {
			out = append(out, terminal.Point{X: step, Y: c.Value[i]})
		}
		return out
	}
	line := means(points("loss"), 2*columns)
	held := slices.DeleteFunc(points("eval_loss"), func(p terminal.Point) bool { return len(line) == 0 })
	plot := terminal.Plot(line, held, min(columns, 100), 8)
	if plot == "" || len(held) == 0 {
		return plot
	}
	return plot + "  line: loss   o: held out\n"
}

// means are at most so many points, each the mean of a stretch of them.
func means(all []terminal.Point, most int) []terminal.Point {
	if len(all) <= most {
		return all
	}
	out := make([]terminal.Point, most)
	for i := range out {
		from, to := i*len(all)/most, (i+1)*len(all)/most
		for _, p := range all[from:to] {
			out[i].Y += p.Y / float64(to-from)
		}
		out[i].X = all[to-1].X
	}
	return out
}

// WatchedLine is how work stands in a line.
func WatchedLine(s *watch.Status) string {
	parts := []string{string(s.State)}
	t := s.Training
	for _, step := range s.Steps {
		if step.State != watch.Finished {
			parts = append(parts, "step "+step.Name)
			if step.Inner != nil {
				t = step.Inner.Training
				s = step.Inner
			}
		}
	}
	if t != nil {
		text := fmt.Sprintf("step %d", t.Step)
		if t.Planned > 0 {
			text = fmt.Sprintf("%d/%d", t.Step, t.Planned)
		}
		parts = append(parts, text)
		if loss, ok := t.Metrics["loss"]; ok {
			parts = append(parts, fmt.Sprintf("loss %.3f", loss))
		}
		if t.Evaluated != nil {
			parts = append(parts, fmt.Sprintf("held out %.4f", t.Metrics["eval_loss"]))
		}
		if t.Speed > 0 {
			parts = append(parts, human.Speed(t.Speed)+" tok/s")
		}
		if t.Left != nil {
			parts = append(parts, human.Span(seconds(*t.Left))+" left")
		}
	}
	for _, f := range s.Files {
		parts = append(parts, human.Grouped(f.N)+f.Total()+" "+f.What)
	}
	return terminal.Printable(strings.Join(parts, "  "))
}
