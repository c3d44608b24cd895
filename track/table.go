package track

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"lwtrain/internal/atomicfile"
	"lwtrain/internal/prose"
	"lwtrain/internal/rundir"
	"lwtrain/train"
)

// Kind is what decides which columns a run's table has.
type Kind struct {
	Sources  []string // whose held-out loss is told
	Pairs    bool     // preferences are trained on, not conversations
	Labelled bool     // of single answers
	Written  bool     // the model writes at evaluations
}

// Columns are those of a kind of run. Each is there from the first row on, whether a step
// or an evaluation has a value of it or not.
func Columns(k Kind) []string {
	out := []string{
		"step", "epoch", "loss", "token_loss", "grad_norm", "learning_rate", "tokens", "target_tokens", "documents",
		"tokens_per_second", "peak_rss_bytes", "time", "elapsed_seconds",
	}
	evaluated := []string{"eval_loss"}
	for _, s := range k.Sources {
		evaluated = append(evaluated, "eval_loss/"+s)
	}
	if !k.Pairs {
		evaluated = append(evaluated, "eval_end/likely", "eval_end/probability")
	} else {
		both := []string{"rewards/chosen", "rewards/rejected", "rewards/margins"}
		if !k.Labelled {
			both = append(both, "rewards/accuracies", "rewards/ties")
		}
		both = append(both, "logps/chosen", "logps/rejected", "lengths/chosen", "lengths/rejected", "nll_loss", "kl")
		out = append(out, both...)
		for _, key := range both {
			evaluated = append(evaluated, "eval_"+key)
		}
		for _, r := range prose.Ranges {
			if !k.Labelled {
				evaluated = append(evaluated, "eval_rewards/accuracies/"+r.Name)
			}
			evaluated = append(evaluated, "eval_rewards/margins/"+r.Name)
		}
		if !k.Labelled {
			evaluated = append(evaluated, "eval_margin_length_correlation")
		}
	}
	if k.Written {
		for _, key := range []string{"words", "words_median", "ended", "repeated", "s_l"} {
			evaluated = append(evaluated, "eval_written/"+key)
		}
	}
	return append(out, evaluated...)
}

// table is metrics.csv (RFC 4180): a row for each line of metrics.jsonl, with the same
// numbers; NaN where that has null, and nothing where it has no such key.
type table struct {
	path    string
	f       *os.File
	columns []string
}

// openTable writes the table with the rows of lines, whole, and opens it for more.
func openTable(dir string, columns []string, lines []line) (*table, error) {
	t := &table{path: filepath.Join(dir, rundir.Table), columns: columns}
	all, err := t.rows(lines)
	if err != nil {
		return nil, err
	}
	head, err := encode([][]string{columns})
	if err != nil {
		return nil, err
	}
	if err := atomicfile.WriteBytes(t.path, append(head, all...)); err != nil {
		return nil, err
	}
	t.f, err = os.OpenFile(t.path, os.O_WRONLY|os.O_APPEND, 0)
	return t, err
}

func (t *table) line(l line) error {
	row, err := t.rows([]line{l})
	if err == nil {
		_, err = t.f.Write(row)
	}
	return err
}

// answers implements place: they are no numbers.
func (t *table) answers([]train.Answer, int) error { return nil }

func (t *table) close() error { return t.f.Close() }

// rows are lines as the table has them. A key without a column is an error: a number would
// be missing in silence.
func (t *table) rows(lines []line) ([]byte, error) {
	rows := make([][]string, len(lines))
	for i, l := range lines {
		row := make([]string, len(t.columns))
		for key, v := range l.values {
			at := slices.Index(t.columns, key)
			if at < 0 {
				return nil, fmt.Errorf("%s: step %d has %q, for which there is no column", t.path, l.step, key)
			}
			if v == "null" {
				v = "NaN"
			}
			row[at] = v
		}
		rows[i] = row
	}
	return encode(rows)
}

func encode(rows [][]string) ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.UseCRLF = true
	err := w.WriteAll(rows)
	return b.Bytes(), err
}
