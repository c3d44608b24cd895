package eval

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"

	"lwtrain/eval/tasks"
	"lwtrain/internal/fault"
	"lwtrain/internal/human"
	"lwtrain/internal/jsonl"
	"lwtrain/internal/llm"
	"lwtrain/internal/stats"
	"lwtrain/judge"
)

// LeastCoverage is the share of answers that must be rated for a mean of ratings to be one.
const LeastCoverage = 0.95

// Judged is what a judge said of a task's answers.
type Judged struct {
	Judge    string  `json:"judge"`
	Mode     string  `json:"mode"`
	N        int     `json:"n"`     // answers, or prompts that were compared
	Rated    int     `json:"rated"` // of them; no others count anywhere
	Coverage float64 `json:"coverage"`

	Quality     *float64            `json:"s_q,omitempty"` // mean; nil below LeastCoverage
	CI          *stats.Interval     `json:"ci95,omitempty"`
	Overall     *float64            `json:"s_mean,omitempty"` // the mean of S_l and S_q
	ByDimension map[string]*float64 `json:"by_dimension,omitempty"`
	Chunked     int                 `json:"chunked,omitempty"` // that were rated in parts, and are in no mean

	Against string `json:"against,omitempty"` // of mode pair: the evaluation whose answers were the others
	Wins    int    `json:"wins,omitempty"`    // better than the others' in both orders
	Ties    int    `json:"ties,omitempty"`
	Losses  int    `json:"losses,omitempty"`
	Alone   int    `json:"alone,omitempty"` // answers to which the other evaluation has none: they are not compared
	Flips   int    `json:"flips,omitempty"` // ties where the order decided

	Warnings    []string           `json:"warnings,omitempty"`
	Calibration *judge.Calibration `json:"calibration,omitempty"` // nil: it was not calibrated
}

// Covered reports whether enough was rated.
func (j Judged) Covered() bool { return j.Coverage >= LeastCoverage }

// ErrNotAsked is the error of judging without asking, where a reply is not kept.
var ErrNotAsked = errors.New("the judge has not been asked about all answers")

// KeptOnly answers nothing: with it, what was asked before is found, and all else is [ErrNotAsked].
type KeptOnly struct{}

// Converse implements [llm.Answerer].
func (KeptOnly) Converse(context.Context, []llm.Request, func(int, llm.Reply) ([]llm.Request, error)) error {
	return ErrNotAsked
}

// JudgeAll has the answers of a task rated, puts the ratings into its scores and its summary, and
// writes judgements.jsonl with every attempt.
func (j Job) JudgeAll(ctx context.Context, s *Scored, from llm.Answerer, done func()) error {
	o := j.Options.Judge
	who := o.Rater()
	out := &Judged{Judge: o.Model, Mode: o.Mode, Against: o.Against, Warnings: judge.Warnings(o.Model, j.Name)}
	asked := j.Calls.Keep(from, o.Who())
	var attempts [][]judge.Attempt
	var err error
	if who.Mode == judge.Pair {
		attempts, err = j.duel(ctx, s, out, who, asked, done)
	} else {
		attempts, err = j.rate(ctx, s, out, who, asked, done)
	}
	if err != nil {
		return err
	}
	out.Coverage = float64(out.Rated) / float64(max(1, out.N))
	s.Summary.Judge = out
	return jsonl.Write(filepath.Join(j.Dir, s.Task.Name, JudgementsFile), slices.Concat(attempts...))
}

// Replies is how many replies the answers take, with the ratings of all of them where there is a judge: about so many, since a judge
// is asked again where it is not understood, and about a long text in parts.
func (j Job) Replies() (n int, about bool) {
	judged := j.Options.Judge.URL != ""
	for _, task := range j.Tasks {
		for _, it := range task.Items {
			each := 1
			if judged {
				each += judge.Mode(j.Options.Judge.Mode).Calls(len(it.Checklist))
			}
			n += each * j.Samples
		}
	}
	return n, judged
}

func (j Job) rate(
	ctx context.Context, s *Scored, out *Judged, who judge.Judge, from llm.Answerer, done func(),
) ([][]judge.Attempt, error) {
	var cases []judge.Case
	var at []int
	lists := map[string][]judge.Criterion{}
	if who.Mode == judge.Checklist {
		for _, it := range s.Task.Items {
			lists[it.ID] = checklist(it)
		}
	}
	for i, g := range s.Generations {
		if g.Failed == "" {
			x := judge.Case{ID: fmt.Sprintf("%s/%d", g.ID, g.Sample), Prompt: g.Prompt, Text: g.Text, Checklist: lists[g.ID]}
			if who.Mode == judge.Checklist && len(x.Checklist) == 0 {
				err := fmt.Errorf("eval.judge.mode is checklist, and prompts of %s have none, want strict or paper", s.Task.Name)
				return nil, fault.Usage(err)
			}
			cases = append(cases, x)
			at = append(at, i)
		}
	}
	attempts := make([][]judge.Attempt, len(cases))
	err := judge.Rate(ctx, from, who, cases, func(i int, v judge.Verdict) error {
		attempts[i] = v.Attempts
		x := &s.Scores[at[i]]
		x.Quality, x.Marks, x.Chunked = v.Quality, v.Marks, v.Chunked
		if v.Quality != nil {
			out.Rated++
		}
		if v.Chunked {
			out.Chunked++
		}
		if done != nil {
			done()
		}
		return nil
	})
	out.N = len(cases)
	if err != nil || float64(out.Rated) < LeastCoverage*float64(out.N) {
		return attempts, err
	}
	whole := func(x Score) *float64 { // marks of parts are means of another kind
		if x.Chunked {
			return nil
		}
		return x.Quality
	}
	_, out.Quality, out.CI = meanOf(s.Scores, whole)
	out.ByDimension = map[string]*float64{}
	dimensions := judge.Dimensions
	if who.Mode == judge.Checklist { // each prompt has others
		dimensions = nil
	}
	for _, d := range dimensions {
		_, out.ByDimension[d], _ = meanOf(s.Scores, func(x Score) *float64 {
			if m, ok := x.Marks[d]; ok && whole(x) != nil {
				return &m
			}
			return nil
		})
	}
	if l := s.Summary.Length; l != nil && out.Quality != nil {
		mean := (*l + *out.Quality) / 2
		out.Overall = &mean
	}
	return attempts, nil
}

// checklist is what an item is to be rated by. Criteria are numbered, so that none has the name of another one.
func checklist(it tasks.Item) []judge.Criterion {
	var all []judge.Criterion
	for i, c := range it.Checklist {
		name := strconv.Itoa(i + 1)
		if c.Name != "" {
			name += " " + c.Name
		}
		all = append(all, judge.Criterion{Name: name, About: c.Text})
	}
	return all
}

// duel has answers compared with those of another evaluation to the same prompts.
func (j Job) duel(
	ctx context.Context, s *Scored, out *Judged, who judge.Judge, from llm.Answerer, done func(),
) ([][]judge.Attempt, error) {
	others, err := readGenerations(filepath.Join(out.Against, s.Task.Name, GenerationsFile))
	if err != nil {
		return nil, fault.Hint(err, "eval.judge.against is the output.dir of an evaluation of the same tasks")
	}
	type key struct {
		prompt string
		sample int
	}
	texts := map[key]string{}
	for _, g := range others {
		if g.Failed == "" {
			texts[key{g.Prompt, g.Sample}] = g.Text
		}
	}
	var duels []judge.Duel
	for _, g := range s.Generations {
		other, there := texts[key{g.Prompt, g.Sample}]
		switch {
		case g.Failed != "":
		case there:
			duels = append(duels, judge.Duel{ID: fmt.Sprintf("%s/%d", g.ID, g.Sample), Prompt: g.Prompt, A: g.Text, B: other})
		default:
			out.Alone++
		}
	}
	if out.N = len(duels); out.N == 0 {
		return nil, fault.Usage(fmt.Errorf("%s has no answer to a prompt of %s, want some to compare with", out.Against, s.Task.Name))
	}
	attempts := make([][]judge.Attempt, len(duels))
	err = judge.Compare(ctx, from, who, duels, func(i int, o judge.Outcome) error {
		attempts[i] = o.Attempts
		if done != nil {
			done()
		}
		if o.A == nil {
			return nil
		}
		out.Rated++
		switch *o.A {
		case 1:
			out.Wins++
		case 0:
			out.Losses++
		default:
			out.Ties++
		}
		if o.Flipped {
			out.Flips++
		}
		return nil
	})
	return attempts, err
}

// Marks are the dimensions that are rated, and their means, in their order.
func (j Judged) Marks() (names []string, means []*float64) {
	for _, d := range judge.Dimensions {
		if m, ok := j.ByDimension[d]; ok {
			names, means = append(names, d), append(means, m)
		}
	}
	return names, means
}

// Says is what came of the judge beside the means, and what speaks for it and against it: sentences for
// people.
func (j Judged) Says() (out []string) {
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	switch {
	case j.Mode == "pair":
		add("%d better, %d as good, %d worse than the answers of %s; in %d the order decided, which counts as as good",
			j.Wins, j.Ties, j.Losses, j.Against, j.Flips)
		if j.Alone > 0 {
			add("%s of which %s has none, and which are not compared", human.Count(j.Alone, "answer"), j.Against)
		}
	case !j.Covered():
		add("fewer than %g %% of the answers were rated: there is no mean", 100*LeastCoverage)
	}
	if j.Chunked > 0 {
		add("%s rated in parts, since the judge can not be shown them whole, and in no mean", human.Count(j.Chunked, "answer"))
	}
	out = append(out, j.Warnings...)
	if j.Calibration != nil {
		add("calibrated on damaged texts: %s", *j.Calibration)
	} else {
		add("not calibrated: `lwtrain eval calibrate` says what this judge can tell apart")
	}
	return out
}
