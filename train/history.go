package train

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"path"
	"slices"
	"strings"
	"time"

	"lwtrain/checkpoints"
	"lwtrain/internal/rundir"
)

// history is what the metrics of a run tell of it up to now, whoever wrote them: what it
// was interrupted in goes on with the same one.
type history struct {
	evaluations []EvalMetrics
	lastLoss    float64       // of the last step
	tokens      int64         // of the steps whose speed is known
	training    time.Duration // that these took
	elapsed     time.Duration // that the run was worked at, up to its last line
}

// readHistory reads lines of metrics.jsonl. What is not as a run writes it is passed over.
func readHistory(lines []byte) (h history) {
	for line := range bytes.Lines(lines) {
		var values map[string]any
		at, isEval, ok := parseMetrics(line)
		if !ok || json.Unmarshal(line, &values) != nil {
			continue
		}
		number := func(key string) float64 {
			if v, ok := values[key].(float64); ok {
				return v
			}
			return math.NaN() // as null says
		}
		if e := number("elapsed_seconds"); e > 0 {
			h.elapsed = max(h.elapsed, time.Duration(e*float64(time.Second)))
		}
		if !isEval {
			h.addStep(number("loss"), number("tokens"), number("tokens_per_second"))
			continue
		}
		m := EvalMetrics{Step: at, Loss: number("eval_loss"), Values: map[string]float64{}}
		for _, key := range slices.Sorted(maps.Keys(values)) {
			name, isOther := strings.CutPrefix(key, "eval_")
			if source, ok := strings.CutPrefix(key, "eval_loss/"); ok {
				m.Sources = append(m.Sources, SourceLoss{source, number(key)})
			} else if isOther && name != "loss" {
				m.Values[name] = number(key)
			}
		}
		h.evaluations = append(h.evaluations, m)
	}
	return h
}

func (h *history) addStep(loss, tokens, speed float64) {
	if h.lastLoss = loss; speed > 0 {
		h.tokens += int64(tokens)
		h.training += time.Duration(tokens / speed * float64(time.Second))
	}
}

// evaluated is the step of the last evaluation; -1: there is none.
func (h *history) evaluated() int {
	if n := len(h.evaluations); n > 0 {
		return h.evaluations[n-1].Step
	}
	return -1
}

// lowest is the first of the evaluations with the lowest loss; nil: there is none. among
// may be nil: all.
func (h *history) lowest(among func(step int) bool) (best *EvalMetrics) {
	for i, e := range h.evaluations {
		if (among == nil || among(e.Step)) && !math.IsNaN(e.Loss) && (best == nil || e.Loss < best.Loss) {
			best = &h.evaluations[i]
		}
	}
	return best
}

// stalled reports whether the evaluation of a step was the last of that many in which the
// held-out loss was no better than in one before them. 0: it is never asked.
func (h *history) stalled(step, patience int) bool {
	best := h.lowest(nil)
	if patience == 0 || best == nil || h.evaluated() != step {
		return false
	}
	since := 0
	for _, e := range h.evaluations {
		if e.Step > best.Step {
			since++
		}
	}
	return since >= patience
}

// Best is best.json: the evaluation with the lowest held-out loss, and the checkpoint with
// the lowest, which need not be of the same step.
type Best struct {
	Step       int             `json:"step"` // of the evaluation
	Loss       float64         `json:"eval_loss"`
	Checkpoint *BestCheckpoint `json:"checkpoint,omitempty"` // nil: no step that was evaluated is saved
}

// BestCheckpoint is a checkpoint whose step was evaluated.
type BestCheckpoint struct {
	Step int     `json:"step"`
	Loss float64 `json:"eval_loss"`
	Path string  `json:"path"` // from the run's folder on
}

// best looks for what [Best] says. saved reports whether there is a checkpoint of a step;
// nil: there was no evaluation.
func (h *history) best(saved func(step int) bool) *Best {
	lowest := h.lowest(nil)
	if lowest == nil {
		return nil
	}
	b := &Best{Step: lowest.Step, Loss: lowest.Loss}
	if c := h.lowest(saved); c != nil {
		b.Checkpoint = &BestCheckpoint{c.Step, c.Loss, path.Join(rundir.Checkpoints, checkpoints.Name(c.Step))}
	}
	return b
}
