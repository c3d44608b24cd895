package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"lwtrain/configs"
	"lwtrain/eval"
	"lwtrain/internal/fault"
	"lwtrain/internal/human"
	"lwtrain/internal/llm"
	"lwtrain/internal/plainjson"
	"lwtrain/internal/rundir"
	"lwtrain/internal/show"
	"lwtrain/internal/terminal"
	"lwtrain/report"
	"lwtrain/session"
	"lwtrain/train"
)

// stages are the parts of an evaluation that are to be done.
type stages struct{ generate, score, judge, report bool }

// againIn does stages of the evaluation that a folder holds, with other values over its config.
func againIn(cmd *cobra.Command, dir string, args []string, do stages) error {
	path := filepath.Join(dir, rundir.Config)
	if _, err := os.Stat(path); err != nil {
		return fault.Usage(fault.Hint(fmt.Errorf("%s: not there, want the config that an evaluation leaves in its output.dir", path),
			"`lwtrain eval -c CONFIG` begins one"))
	}
	args, err := withThreads(cmd, append(args, "output.dir="+dir))
	if err != nil {
		return err
	}
	c, err := configs.Load(path, args, func(string) (string, bool) { return "", false })
	if err == nil && do.judge {
		err = session.WantJudge(c)
	}
	if err != nil {
		return err
	}
	s := session.Open(c, show.Session(cmd.ErrOrStderr()), false)
	defer s.Close()
	return evaluate(cmd, s, do)
}

// evaluate does stages of the evaluation of a config.
func evaluate(cmd *cobra.Command, s *session.Session, do stages) (err error) {
	run, err := s.Eval(cmd.Context())
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if do.generate {
		show.EvalPlan(out, s.Config, run)
	}
	if s.DryRun {
		known, err := run.Check()
		if err != nil {
			return err
		}
		if known {
			wanted, there, err := run.Kept()
			if err != nil {
				return err
			}
			with := ""
			if there >= 0 {
				with = fmt.Sprintf(", with %d of %s", there, human.Count(wanted, "answer"))
			}
			fmt.Fprintf(out, "\n%s holds this evaluation%s: it would go on.\n", s.Config.Output.Dir, with)
		}
		fmt.Fprintln(out, "\nThis was a dry run: nothing was written.")
		return nil
	}
	defer func() { err = errors.Join(err, run.Close()) }()
	if err := run.Enter(); err != nil {
		return err
	}
	if do.generate {
		wanted, failed, err := generateAnswers(cmd, s.Config, run)
		if err != nil {
			return err
		}
		if !do.score {
			return answered(out, wanted, failed)
		}
	}
	scored, err := run.Score()
	if err == nil {
		err = judgeAnswers(cmd, s.Config, run, scored, do.judge)
	}
	if do.score || do.judge {
		for _, x := range scored {
			fmt.Fprintln(out)
			show.EvalResult(out, x)
		}
	}
	if err == nil && do.report {
		err = writePages(cmd, run, scored)
	}
	if err != nil {
		return err
	}
	for _, x := range scored {
		if x.Summary.N == 0 {
			return incompleteError{fmt.Errorf("%s: none of %s has an answer (%s)", x.Task.Name,
				human.Count(x.Summary.Missing, "prompt"), human.Counts(x.Summary.Failed))}
		}
		if j := x.Summary.Judge; j != nil && !j.Covered() {
			return incompleteError{fmt.Errorf("%s: the judge's replies on %d of %d answers could be read, want %g of all: there is no mean",
				x.Task.Name, j.Rated, j.N, eval.LeastCoverage)}
		}
	}
	return nil
}

// answered says what came of asking alone.
func answered(w io.Writer, wanted int, failed map[string]int) error {
	lacking := 0
	for _, n := range failed {
		lacking += n
	}
	fmt.Fprintf(w, "\n%d of %s\n", wanted-lacking, human.Count(wanted, "answer"))
	if lacking == 0 {
		return nil
	}
	fmt.Fprintf(w, "no answers: %s; the same command asks again\n", human.Counts(failed))
	if lacking < wanted {
		return nil
	}
	return incompleteError{fmt.Errorf("none of %s is there (%s)", human.Count(wanted, "answer"), human.Counts(failed))}
}

// writePages writes the page of each task, and says where they are.
func writePages(cmd *cobra.Command, run *session.Eval, scored []eval.Scored) error {
	read, err := run.Read(cmd.Context(), nil)
	if err != nil {
		return err
	}
	pages, err := run.Report(scored, read)
	for _, path := range pages {
		fmt.Fprintln(cmd.OutOrStdout(), path)
	}
	return err
}

// judgeAnswers has the answers rated where the config names a judge.
func judgeAnswers(cmd *cobra.Command, c *configs.Config, run *session.Eval, scored []eval.Scored, ask bool) error {
	total := 0
	for _, x := range scored {
		total += x.Summary.N
	}
	if c.Eval.Judge.URL == "" || total == 0 {
		return nil
	}
	bar, done := terminal.NewProgress(cmd.ErrOrStderr(), "judging", int64(total)), 0
	err := run.Judge(cmd.Context(), scored, ask, func() {
		done++
		bar.Set(int64(done), "answers")
	})
	bar.Abandon()
	switch {
	case errors.Is(err, eval.ErrNotAsked) && !ask:
		fmt.Fprintf(cmd.ErrOrStderr(), "%v: `lwtrain eval judge %s` does it\n", err, terminal.ShellWord(c.Output.Dir))
		return nil
	case status(err) == exitInterrupted:
		err = fault.Hint(fmt.Errorf("%w; what is rated is kept in %s", train.ErrInterrupted, c.Output.Dir),
			"this goes on from there: "+commandLine(cmd))
	}
	return err
}

// generateAnswers asks for what lacks, and shows how far it is. It returns how many answers are wanted, and those that there are
// not, by the kind of the failure.
func generateAnswers(cmd *cobra.Command, c *configs.Config, run *session.Eval) (wanted int, failed map[string]int, err error) {
	wanted, known, err := run.Answers()
	if err != nil {
		return wanted, nil, err
	}
	failed = map[string]int{}
	display := show.NewAnswering(cmd.ErrOrStderr(), wanted, c.Eval.MaxNewTokens)
	defer display.Close()
	ended, tokens := 0, 0
	first := known > 0
	err = run.Generate(cmd.Context(), display.Token, func(r llm.Reply) {
		ended, tokens = ended+1, tokens+r.Tokens
		if r.Failed != "" {
			failed[llm.FailureKind(r.Failed)]++
		}
		switch {
		case ended < known:
		case first && ended == known:
			first = false
			display.Resumed(ended, tokens)
		default:
			display.Progress(ended, 0, tokens)
		}
	})
	if status(err) == exitInterrupted {
		err = fault.Hint(fmt.Errorf("%w; what is answered is kept in %s", train.ErrInterrupted, c.Output.Dir),
			"this goes on from there: "+commandLine(cmd))
	}
	return wanted, failed, err
}

// readAnswers scores a file of answers.
func readAnswers(cmd *cobra.Command, task, compat, from string) (eval.Scored, error) {
	t, err := eval.Open(cmd.Context(), task, show.Session(cmd.ErrOrStderr()).Fetcher(false))
	if err != nil {
		return eval.Scored{}, err
	}
	if t.Task = t.As(compat); compat != "paper" && compat != "released" {
		return eval.Scored{}, fault.Usage(fmt.Errorf("--compat is %s, want paper or released", compat))
	}
	answers, err := eval.ReadAnswers(from, t)
	if err != nil {
		return eval.Scored{}, err
	}
	return eval.ScoreAll(t, answers)
}

func printJSON(cmd *cobra.Command, v any) error {
	raw, err := plainjson.Marshal(v)
	if err == nil {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", raw)
	}
	return err
}

// compare pairs two evaluations of a task, or of all that both have.
func compare(cmd *cobra.Command, task, a, b string) (c eval.Comparison, all []report.Compared, err error) {
	c = eval.Comparison{A: a, B: b, Metrics: []eval.Paired{}}
	add := func(t eval.Asked, x, y []eval.Score) error {
		c.Metrics = append(c.Metrics, eval.Compare(t, x, y)...)
		all = append(all, report.Compared{Task: t.Name, A: x, B: y})
		return eval.AskedAlike(t.Name, x, y)
	}
	if task != "" {
		x, err := readAnswers(cmd, task, "paper", a)
		if err != nil {
			return c, all, err
		}
		y, err := readAnswers(cmd, task, "paper", b)
		if err == nil {
			err = add(x.Task, x.Scores, y.Scores)
		}
		return c, all, err
	}
	var in [2][]eval.TaskScores
	for i, dir := range []string{a, b} {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return c, all, fault.Usage(fault.Hint(fmt.Errorf("%s: no such folder, want one of an evaluation", dir),
				"files of answers are compared with --task TASK"))
		}
		if in[i], err = eval.ScoresIn(dir); err != nil {
			return c, all, err
		}
	}
	for _, of := range in[0] {
		k := slices.IndexFunc(in[1], func(x eval.TaskScores) bool { return x.Task.Name == of.Task.Name })
		if k < 0 {
			c.OnlyA = append(c.OnlyA, of.Task.Name)
			continue
		}
		x, err := eval.ReadScores(of.Path)
		if err != nil {
			return c, all, err
		}
		y, err := eval.ReadScores(in[1][k].Path)
		if err == nil {
			err = add(of.Task, x, y)
		}
		if err != nil {
			return c, all, err
		}
	}
	for _, of := range in[1] {
		if !slices.ContainsFunc(in[0], func(x eval.TaskScores) bool { return x.Task.Name == of.Task.Name }) {
			c.OnlyB = append(c.OnlyB, of.Task.Name)
		}
	}
	if len(c.Metrics) == 0 {
		return c, all, fault.Usage(fmt.Errorf("%s (%s) and %s (%s) have no prompt in common that both answered",
			a, taskNames(in[0]), b, taskNames(in[1])))
	}
	return c, all, nil
}

func taskNames(all []eval.TaskScores) string {
	var names []string
	for _, x := range all {
		names = append(names, x.Task.Name)
	}
	return strings.Join(names, ", ")
}

// calibrate finds out what the judge of a config can tell apart.
func calibrate(cmd *cobra.Command, s *session.Session, texts int) (err error) {
	run, err := s.Judging()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, run.Close()) }()
	c, err := run.Calibrate(cmd.Context(), texts)
	if err == nil {
		_, err = fmt.Fprintln(cmd.OutOrStdout(), c)
	}
	return err
}
