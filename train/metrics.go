package train

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"

	"lwtrain/internal/atomicfile"
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

// EvalMetrics is one line of metrics.jsonl for an evaluation: the mean loss
// over all held-out target tokens after Step updates, in nats, and by source.
type EvalMetrics struct {
	Step    int
	Loss    float64
	Sources []SourceLoss
	Values  map[string]float64 // what a method tells besides, by key without eval_
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
type metricsFile struct{ f *os.File }

// openMetrics begins the file again with the lines of an earlier run that are
// kept.
func openMetrics(path string, kept []byte) (*metricsFile, error) {
	if err := atomicfile.WriteBytes(path, kept); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return nil, err
	}
	return &metricsFile{f}, nil
}

// linesUpTo reads the lines of steps up to step, without a torn last line:
// later ones belong to steps that will be taken again. It also returns the
// step of the last evaluation among them, -1 if there is none.
func linesUpTo(path string, step int) (kept []byte, evaluated int, err error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || step < 0 {
		return nil, -1, nil
	}
	evaluated = -1
	for line := range bytes.Lines(raw) {
		var at struct {
			Step *int
			Eval json.RawMessage `json:"eval_loss"`
		}
		if !bytes.HasSuffix(line, []byte("\n")) || json.Unmarshal(line, &at) != nil || at.Step == nil || *at.Step > step {
			continue
		}
		kept = append(kept, line...)
		if at.Eval != nil {
			evaluated = *at.Step
		}
	}
	return kept, evaluated, err
}

// ReproducibleMetrics reads the lines of a metrics.jsonl without speed and
// memory: what two equal runs have in common.
func ReproducibleMetrics(path string) ([]map[string]any, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var out []map[string]any
	for line := range bytes.Lines(raw) {
		var m map[string]any
		if err := json.Unmarshal(line, &m); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, len(out)+1, err)
		}
		delete(m, "tokens_per_second")
		delete(m, "peak_rss_bytes")
		out = append(out, m)
	}
	return out, nil
}

func (m *metricsFile) write(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = m.f.Write(append(line, '\n'))
	return err
}

func (m *metricsFile) sync() error { return m.f.Sync() }

func (m *metricsFile) close() error { return m.f.Close() }
