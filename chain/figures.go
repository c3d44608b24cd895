package chain

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"lwtrain/agentwrite"
	"lwtrain/configs"
	"lwtrain/eval"
	"lwtrain/internal/human"
	"lwtrain/internal/rundir"
	"lwtrain/pairs"
	"lwtrain/train"
)

// figure is what came of a step, in a few words, by what its command wrote; "" where it says nothing.
func figure(s *configs.Step) string {
	switch strings.Join(s.Command, " ") {
	case "sft", "dpo":
		return ofTraining(s.Dir)
	case "agentwrite":
		return ofWriting(s.Dir)
	case "pairs":
		return ofPairs(s.Dir)
	case "eval":
		return ofEval(s.Dir)
	case "eval compare":
		return ofComparison(s.Args)
	}
	return ""
}

// ofTraining is the loss, held out where something is, and the accuracy of preferences.
func ofTraining(dir string) string {
	lines, err := train.ReproducibleMetrics(filepath.Join(dir, rundir.Metrics))
	if err != nil {
		return ""
	}
	course := func(key string) (first, last any) {
		for _, line := range lines {
			if v, ok := line[key]; ok {
				if first == nil {
					first = v
				}
				last = v
			}
		}
		return first, last
	}
	if a, b := course("eval_loss"); a != nil {
		text := fmt.Sprintf("held-out loss %.4f to %.4f", a, b)
		if a, b := course("eval_rewards/accuracies"); a != nil {
			text += fmt.Sprintf(", accuracy %.3f to %.3f", a, b)
		}
		return text
	}
	a, b := course("loss")
	if a == nil {
		return ""
	}
	return fmt.Sprintf("loss %.4f to %.4f", a, b)
}

func ofWriting(dir string) string {
	var m agentwrite.Manifest
	if known, err := rundir.ReadJSON(filepath.Join(dir, agentwrite.ManifestFile), &m); err != nil || !known {
		return ""
	}
	text := fmt.Sprintf("%d of %s taken", m.Counts.Taken, human.Count(m.Counts.Instructions, "text"))
	left := map[string]int{}
	for stage, reasons := range m.Counts.Dropped {
		for _, n := range reasons {
			left[string(stage)] += n
		}
	}
	if len(left) > 0 {
		text += "; left out: " + human.Counts(left)
	}
	return text
}

func ofPairs(dir string) string {
	var s pairs.Summary
	if known, err := rundir.ReadJSON(filepath.Join(dir, pairs.SummaryFile), &s); err != nil || !known {
		return ""
	}
	return fmt.Sprintf("%s of %s, mean score %.1f; chosen %.0f words, rejected %.0f",
		human.Count(s.Pairs, "pair"), human.Count(s.Samples, "answer"), s.Total.Mean, s.ChosenWords, s.RejectedWords)
}

func ofEval(dir string) string {
	found, _ := fs.Glob(os.DirFS(dir), "*/"+eval.SummaryFile) // fails for a bad pattern only
	var out []string
	for _, name := range found {
		var s eval.Summary
		if known, err := rundir.ReadJSON(filepath.Join(dir, name), &s); err != nil || !known {
			continue
		}
		text := s.Task + ":"
		if s.Length != nil {
			text += fmt.Sprintf(" S_l %.1f,", *s.Length)
		}
		if s.Judge != nil && s.Judge.Quality != nil {
			text += fmt.Sprintf(" S_q %.1f,", *s.Judge.Quality)
		}
		if s.Ended != nil {
			text += fmt.Sprintf(" %.0f %% ended,", 100**s.Ended)
		}
		if s.Words != nil {
			text += fmt.Sprintf(" %.0f words", s.Words.Median)
		}
		out = append(out, strings.TrimRight(text, ",:"))
	}
	return strings.Join(out, "; ")
}

// ofComparison is how S_l of two evaluations differs.
func ofComparison(dirs []string) string {
	if len(dirs) < 2 {
		return ""
	}
	before, err := eval.ScoresIn(dirs[0])
	if err != nil {
		return ""
	}
	after, err := eval.ScoresIn(dirs[1])
	if err != nil {
		return ""
	}
	var out []string
	for _, x := range before {
		for _, y := range after {
			if x.Task.Name != y.Task.Name {
				continue
			}
			a, errA := eval.ReadScores(x.Path)
			b, errB := eval.ReadScores(y.Path)
			if errA != nil || errB != nil {
				continue
			}
			for _, m := range eval.Compare(x.Task, a, b) {
				if m.Metric == "s_l" && m.CI != nil {
					out = append(out, fmt.Sprintf("%s: S_l %+.1f (95 %%: %.1f to %.1f)", m.Task, m.Diff, m.CI[0], m.CI[1]))
				}
			}
		}
	}
	return strings.Join(out, "; ")
}
