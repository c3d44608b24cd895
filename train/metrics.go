package train

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"lwtrain/internal/atomicfile"
	"lwtrain/internal/rundir"
)

// StepMetrics is one line of metrics.jsonl for an optimiser step.
type StepMetrics struct {
	Step         int     `json:"step"`          // from 1
	Epoch        float64 `json:"epoch"`         // share of the data seen after this step
	Loss         float64 `json:"loss"`          // weighted as configured, before this step's update
	TokenLoss    float64 `json:"token_loss"`    // plain mean over the step's target tokens, in nats
	GradNorm     float64 `json:"grad_norm"`     // before clipping
	LearningRate float64 `json:"learning_rate"` // of this step's update
	Tokens       int     `json:"tokens"`        // of the step, without padding
	TargetTokens int     `json:"target_tokens"`
	Documents    int     `json:"documents"`

	TokensPerSecond float64 `json:"tokens_per_second"`
	PeakRSS         int64   `json:"peak_rss_bytes"`
	Moment

	Values map[string]float64 `json:"-"` // what a method tells besides, by key
}

// MarshalJSON writes the values beside the rest.
func (m StepMetrics) MarshalJSON() ([]byte, error) {
	type plain StepMetrics
	b, err := json.Marshal(plain(m))
	if err != nil {
		return nil, err
	}
	b, err = appendValues(b[:len(b)-1], "", m.Values)
	return append(b, '}'), err
}

// appendValues appends values by key to an open JSON object that has members.
func appendValues(b []byte, prefix string, values map[string]float64) ([]byte, error) {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		key, err := json.Marshal(prefix + name)
		if err != nil {
			return nil, err
		}
		b = fmt.Appendf(b, `,%s:%s`, key, number(values[name]))
	}
	return b, nil
}

// Moment is when a line of metrics.jsonl was written.
type Moment struct {
	Time    string  `json:"time"`            // RFC 3339, UTC
	Elapsed float64 `json:"elapsed_seconds"` // that the run was worked at until then, breaks left out
}

// EvalMetrics is one line of metrics.jsonl for an evaluation: the mean loss
// over all held-out target tokens after Step updates, in nats, and by source.
type EvalMetrics struct {
	Step    int
	Loss    float64
	Sources []SourceLoss
	Values  map[string]float64 // what a method tells besides, by key without eval_
	Moment
}

// SourceLoss is the held-out loss of one source.
type SourceLoss struct {
	Name string
	Loss float64
}

// MarshalJSON writes the sources as eval_loss/<name> beside eval_loss.
func (e EvalMetrics) MarshalJSON() ([]byte, error) {
	b := fmt.Appendf(nil, `{"step":%d,"eval_loss":%s`, e.Step, number(e.Loss))
	var err error
	for _, s := range e.Sources {
		if b, err = appendValues(b, "eval_loss/", map[string]float64{s.Name: s.Loss}); err != nil {
			return nil, err
		}
	}
	b = fmt.Appendf(b, `,"time":%q,"elapsed_seconds":%s`, e.Time, number(e.Elapsed))
	b, err = appendValues(b, "eval_", e.Values)
	return append(b, '}'), err
}

func number(v float64) []byte {
	b, err := json.Marshal(v)
	if err != nil { // NaN, infinity: JSON has no such numbers
		return []byte("null")
	}
	return b
}

// metricsFile appends lines to metrics.jsonl. Each line is on its way to the
// disk when write returns, and on it once sync returns.
type metricsFile struct {
	path  string
	f     *os.File
	all   []byte // what the file holds
	steps int    // bytes of it up to the end of the last step's line
}

// openMetrics begins the file again with the lines of an earlier run that are
// kept.
func openMetrics(path string, kept []byte) (*metricsFile, error) {
	m := &metricsFile{path: path, all: kept, steps: len(kept)}
	return m, m.begin()
}

// begin writes the file as it is to be.
func (m *metricsFile) begin() error {
	if err := atomicfile.WriteBytes(m.path, m.all); err != nil {
		return err
	}
	f, err := os.OpenFile(m.path, os.O_WRONLY|os.O_APPEND, 0)
	if err == nil && m.f != nil {
		m.f.Close()
	}
	if err == nil {
		m.f = f
	}
	return err
}

func (m *metricsFile) write(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	m.all = append(m.all, line...)
	if _, isStep := v.(StepMetrics); isStep {
		m.steps = len(m.all)
	}
	_, err = m.f.Write(line)
	return err
}

// isThere reports whether the file's name still leads to the file that is written, of
// the size that it must have.
func (m *metricsFile) isThere() bool {
	own, err := m.f.Stat()
	there, e := os.Stat(m.path)
	return err == nil && e == nil && os.SameFile(own, there) && there.Size() == int64(len(m.all))
}

// upToStep are the lines up to that of the last step: those that a resumed run does not
// make again. An evaluation after it is left out: a run that was interrupted in it saves
// the same checkpoint.
func (m *metricsFile) upToStep() []byte { return reproducible(m.all[:m.steps]) }

func (m *metricsFile) sync() error { return m.f.Sync() }

func (m *metricsFile) close() error { return m.f.Close() }

// measured are the keys of a line in which equal runs differ, and members what they look like.
var (
	measured = []string{"tokens_per_second", "peak_rss_bytes", "time", "elapsed_seconds"}
	members  = regexp.MustCompile(`,"(?:` + strings.Join(measured, "|") +
		`)":(?:"[^"\\]*"|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)`)
)

// reproducible are lines of metrics.jsonl without speed, memory and time: the same bytes of
// equal runs.
func reproducible(lines []byte) []byte { return members.ReplaceAll(lines, nil) }

// restoreMetrics puts the lines of a checkpoint's copy together: those that file still has,
// with their speed, memory and time, and in place of the lost ones the copy's.
func restoreMetrics(file, copied []byte) (lines []byte, lost int) {
	own := map[string][]byte{}
	for line := range bytes.Lines(file) {
		own[string(reproducible(line))] = line
	}
	for line := range bytes.Lines(copied) {
		mine, ok := own[string(line)]
		if !ok {
			mine = line
			lost++
		}
		lines = append(lines, mine...)
	}
	return lines, lost
}

// metricsUpTo picks the lines of steps up to step, without a torn last line: later ones
// belong to steps that will be taken again. missing is how many of the steps have none.
func metricsUpTo(file []byte, step int) (kept []byte, missing int) {
	seen := map[int]bool{}
	for line := range bytes.Lines(file) {
		at, isEval, ok := parseMetrics(line)
		if !ok || at > step {
			continue
		}
		kept = append(kept, line...)
		if !isEval && at > 0 {
			seen[at] = true
		}
	}
	return kept, step - len(seen)
}

// parseMetrics reads which step a whole line is of, and whether it is an evaluation.
func parseMetrics(line []byte) (step int, isEval, ok bool) {
	var at struct {
		Step *int
		Eval json.RawMessage `json:"eval_loss"`
	}
	if !bytes.HasSuffix(line, []byte("\n")) || json.Unmarshal(line, &at) != nil || at.Step == nil {
		return 0, false, false
	}
	return *at.Step, at.Eval != nil, true
}

// ReproducibleMetrics reads the lines of a metrics.jsonl without speed, memory and
// time: what two equal runs have in common.
func ReproducibleMetrics(path string) ([]map[string]any, error) {
	raw, err := rundir.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var out []map[string]any
	for line := range bytes.Lines(raw) {
		var m map[string]any
		if json.Unmarshal(line, &m) != nil {
			return nil, fmt.Errorf("%s:%d: no JSON object", path, len(out)+1)
		}
		for _, key := range measured {
			delete(m, key)
		}
		out = append(out, m)
	}
	return out, nil
}
