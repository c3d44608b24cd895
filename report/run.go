package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lwtrain/data"
	"lwtrain/internal/fault"
	"lwtrain/internal/human"
	"lwtrain/internal/rundir"
)

// Run is what a run's folder says of it (docs/formats/run.md).
type Run struct {
	Dir      string
	Series   map[string]*Curve // of metrics.jsonl, by key
	Settings []Setting         // of config.yaml
	Answers  []Answer          // of answers.json
	Data     *data.Stats       // of data.json; nil: there is none
}

// Curve is one number of a run over its steps.
type Curve struct{ Step, Value []float64 }

// Setting is a line of config.yaml.
type Setting struct {
	Text   string // indented as there
	Origin string
}

// Answer is a held-out prompt with its answers.
type Answer struct {
	Origin, Prompt string
	Reference      *Answered
	Before, After  *Answered // nil: not known
}

// Answered is one answer.
type Answered struct {
	Text  string
	Words int
	Stop  string
}

// most bounds a file of a run's folder, and a line of one.
const most, mostLine = 1 << 30, 1 << 20

// ReadRun reads metrics.jsonl, and config.yaml, answers.json and data.json where
// they are there. A run may be going on: a last line without an end is passed
// over.
func ReadRun(dir string) (*Run, error) {
	r := &Run{Dir: dir, Series: map[string]*Curve{}}
	if err := r.readMetrics(filepath.Join(dir, rundir.Metrics)); err != nil {
		return nil, err
	}
	raw, err := optional(filepath.Join(dir, rundir.Config))
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(raw)) {
		text, origin, _ := strings.Cut(strings.TrimRight(line, "\r\n"), "  # ")
		if at := strings.LastIndex(strings.TrimRight(line, "\r\n"), "  # "); at >= 0 {
			text, origin = line[:at], strings.TrimRight(line[at+4:], "\r\n")
		}
		if strings.TrimSpace(text) != "" && !strings.HasPrefix(text, "#") {
			r.Settings = append(r.Settings, Setting{text, origin})
		}
	}
	path := filepath.Join(dir, rundir.Answers)
	if raw, err = optional(path); err != nil {
		return nil, err
	}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &r.Answers); err != nil {
			return nil, fault.Usage(fmt.Errorf("%s: %w", path, err))
		}
	}
	path = filepath.Join(dir, DataFile)
	if _, err := os.Stat(path); err == nil {
		if r.Data, err = data.ReadStats(path); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// DataFile holds the statistics of a run's data in its folder.
const DataFile = "data.json"

func optional(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.Usage(err)
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most))
}

func (r *Run) readMetrics(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fault.Usage(fault.Hint(err, "a run's folder has a metrics.jsonl, which `lwtrain sft` writes"))
	}
	defer f.Close()
	in := bufio.NewReaderSize(io.LimitReader(f, most), mostLine)
	for number := 1; ; number++ {
		line, err := in.ReadSlice('\n')
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fault.Usage(fmt.Errorf("%s:%d: a line of more than %d bytes, want one JSON object", path, number, mostLine))
		}
		var values map[string]any
		if err := json.Unmarshal(bytes.TrimSpace(line), &values); err != nil {
			return fault.Usage(fmt.Errorf("%s:%d: %v, want one JSON object", path, number, err))
		}
		step, ok := values["step"].(float64)
		if !ok {
			return fault.Usage(fmt.Errorf("%s:%d: no number as step", path, number))
		}
		for key, v := range values {
			value, ok := v.(float64)
			if !ok || key == "step" {
				continue // null stands for NaN and infinity
			}
			c := r.Series[key]
			if c == nil {
				c = &Curve{}
				r.Series[key] = c
			}
			c.Step, c.Value = append(c.Step, step), append(c.Value, value)
		}
	}
}

// mostPoints bounds the points of a line: more are drawn as the means of
// stretches, in the band from the least to the most.
const mostPoints = 300

func (c *Curve) series(name string, color int, dots bool) series {
	s := series{Name: name, Color: color, Dots: dots}
	if len(c.Step) <= mostPoints {
		s.X, s.Y = c.Step, c.Value
		return s
	}
	for i := range mostPoints {
		from, to := i*len(c.Step)/mostPoints, (i+1)*len(c.Step)/mostPoints
		lo, hi, sum := math.Inf(1), math.Inf(-1), 0.0
		for _, v := range c.Value[from:to] {
			lo, hi, sum = min(lo, v), max(hi, v), sum+v
		}
		s.X, s.Y = append(s.X, c.Step[to-1]), append(s.Y, sum/float64(to-from))
		s.Lo, s.Hi = append(s.Lo, lo), append(s.Hi, hi)
	}
	return s
}

func (c *Curve) last() float64 {
	if c == nil || len(c.Value) == 0 {
		return math.NaN()
	}
	return c.Value[len(c.Value)-1]
}

func (c *Curve) first() float64 {
	if c == nil || len(c.Value) == 0 {
		return math.NaN()
	}
	return c.Value[0]
}

func (c *Curve) sum() (total float64) {
	if c != nil {
		for _, v := range c.Value {
			total += v
		}
	}
	return total
}

// runView is what run.tmpl takes.
type runView struct {
	Title    string
	Tiles    []tile
	Curves   []figure
	Data     []figure
	Sources  *table
	Settings []Setting
	Answers  []Answer
}

// WriteRun writes the page of `lwtrain report`.
func WriteRun(w io.Writer, r *Run) error {
	v := runView{Title: r.Dir, Tiles: r.tiles(), Curves: r.figures(), Settings: r.Settings, Answers: r.Answers}
	if r.Data != nil {
		v.Data = lossFigures(r.Data, nil)
		t := sourceTable(r.Data)
		v.Sources = &t
	}
	return render(w, "run", v)
}

func (r *Run) tiles() []tile {
	var out []tile
	add := func(value string, v float64, label string) {
		if !math.IsNaN(v) && v != 0 {
			out = append(out, tile{value, label})
		}
	}
	number := func(v float64) string { return fmt.Sprintf("%.4f", v) }
	loss, eval, rate, rss := r.Series["loss"], r.Series["eval_loss"], r.Series["tokens_per_second"], r.Series["peak_rss_bytes"]
	if loss != nil {
		out = append(out, tile{human.Grouped(int64(loss.Step[len(loss.Step)-1])), "steps"})
	}
	add(number(loss.first()), loss.first(), "loss, first step")
	add(number(loss.last()), loss.last(), "loss, last step")
	add(number(eval.first()), eval.first(), "held-out loss, before")
	if eval != nil && len(eval.Step) > 1 {
		add(number(eval.last()), eval.last(), "held-out loss, last")
	}
	tokens := r.Series["tokens"].sum()
	add(short(tokens), tokens, "tokens trained on")
	if rate != nil {
		add(short(tokens/seconds(r)), tokens/seconds(r), "tokens a second")
	}
	add(fmt.Sprintf("%.2f GiB", rss.last()/(1<<30)), rss.last(), "memory at most")
	return out
}

// seconds is how long the steps took.
func seconds(r *Run) (total float64) {
	tokens, rate := r.Series["tokens"], r.Series["tokens_per_second"]
	if tokens == nil || rate == nil || len(tokens.Value) != len(rate.Value) {
		return math.NaN()
	}
	for i, n := range tokens.Value {
		if rate.Value[i] > 0 {
			total += n / rate.Value[i]
		}
	}
	return total
}

// figures draws what the metrics hold: what is known in its own way, and
// everything else by the part of its key before the slash.
func (r *Run) figures() []figure {
	var out []figure
	draw := func(title, unit string, wide, fromZero bool, all ...series) {
		if len(all) == 0 {
			return
		}
		p := plot{X: axis{Label: "step"}, Y: axis{Label: unit}}
		f := figure{Title: title, Plot: lines(p, fromZero, all...)}
		if wide {
			p.Wide = true
			f.Narrow, f.Plot = f.Plot, lines(p, fromZero, all...)
		}
		if len(all) > 1 {
			f.Legend = lineLegend(all)
		}
		for _, s := range all {
			if s.Lo != nil && wide {
				const note = "A point of a line is the mean over a stretch of steps, the band its least and most; %d stretches."
				f.Note = fmt.Sprintf(note, mostPoints)
			}
		}
		out = append(out, f)
	}
	done := map[string]bool{"elapsed_seconds": true, "epoch": true, "tokens": true, "target_tokens": true, "documents": true}
	take := func(color int, dots bool, name, key string) []series {
		done[key] = true
		if c := r.Series[key]; c != nil {
			return []series{c.series(name, color, dots)}
		}
		return nil
	}
	loss := take(0, false, "training, weighted", "loss")
	token := take(2, false, "training, mean over target tokens", "token_loss")
	if a, b := r.Series["loss"], r.Series["token_loss"]; a != nil && b != nil && slices.Equal(a.Value, b.Value) {
		token = nil // with weighting token they are the same
	}
	eval := take(1, true, "held out", "eval_loss")
	draw("Loss", "loss, nats a token", true, false, slices.Concat(loss, token, eval)...)
	var sources []series
	keys := r.keys()
	for _, key := range keys {
		if name, ok := strings.CutPrefix(key, "eval_loss/"); ok {
			sources = append(sources, take(color(len(sources)), true, name, key)...)
		}
	}
	if len(sources) > 1 {
		draw("Held-out loss, by source", "loss, nats a token", false, false, sources...)
	}
	draw("Learning rate", "learning rate", false, true, take(0, false, "learning rate", "learning_rate")...)
	draw("Gradient norm, before clipping", "L2 norm", false, true, take(0, false, "gradient norm", "grad_norm")...)
	draw("Speed", "tokens a second", false, true, take(0, false, "tokens a second", "tokens_per_second")...)
	if c := r.Series["peak_rss_bytes"]; c != nil {
		gib := &Curve{Step: c.Step}
		for _, v := range c.Value {
			gib.Value = append(gib.Value, v/(1<<30))
		}
		done["peak_rss_bytes"] = true
		draw("Memory", "GiB, the most so far", false, true, gib.series("memory", 0, false))
	}
	for _, key := range keys {
		if done[key] {
			continue
		}
		family, _, _ := strings.Cut(key, "/")
		var all []series
		for _, other := range keys {
			if f, _, _ := strings.Cut(other, "/"); f == family && !done[other] {
				all = append(all, take(color(len(all)), false, other, other)...)
			}
		}
		draw(strings.ReplaceAll(family, "_", " "), family, false, false, all...)
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
