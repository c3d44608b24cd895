package train

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"

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
}

// EvalMetrics is one line of metrics.jsonl for an evaluation: the mean loss
// over all held-out target tokens after Step updates, in nats, and by source.
type EvalMetrics struct {
	Step    int
	Loss    float64
	Sources []SourceLoss
}

// SourceLoss is the held-out loss of one source.
type SourceLoss struct {
	Name string
	Loss float64
}

// MarshalJSON writes the sources as eval_loss/<name> beside eval_loss.
func (e EvalMetrics) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"step":%d,"eval_loss":%s`, e.Step, number(e.Loss))
	for _, s := range e.Sources {
		key, err := json.Marshal("eval_loss/" + s.Name)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, `,%s:%s`, key, number(s.Loss))
	}
	b.WriteByte('}')
	return b.Bytes(), nil
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

// openMetrics opens the file, keeping of an earlier run only what lies at or
// before step: later lines belong to steps that will be taken again.
func openMetrics(path string, step int) (*metricsFile, error) {
	kept, err := linesUpTo(path, step)
	if err != nil {
		return nil, err
	}
	if err := atomicfile.WriteBytes(path, kept); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return nil, err
	}
	return &metricsFile{f}, nil
}

// linesUpTo reads the lines of steps up to step, without a torn last line.
func linesUpTo(path string, step int) ([]byte, error) {
	raw, err := os.ReadFile(path)
	if os.IsNotExist(err) || step < 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var kept bytes.Buffer
	r := bufio.NewReader(bytes.NewReader(raw))
	for {
		line, err := r.ReadBytes('\n')
		if err == io.EOF {
			return kept.Bytes(), nil
		}
		var at struct{ Step *int }
		if json.Unmarshal(line, &at) == nil && at.Step != nil && *at.Step <= step {
			kept.Write(line)
		}
	}
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
