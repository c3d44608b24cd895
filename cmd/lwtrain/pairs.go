package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lwtrain/configs"
	"lwtrain/internal/fault"
	"lwtrain/pairs"
	"lwtrain/session"
	"lwtrain/train"
)

func newPairsCmd() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "pairs",
		Short: "Make preference pairs: answer prompts, score the answers, choose",
		Long: `Answers each prompt of data.sources several times, with the model or with an
OpenAI-compatible server, scores the answers by LongWriter's length score, a
judge or a command of yours, and takes the best against another one. The pairs
train as they are: lwtrain dpo. Scores and files: docs/pairs.md.

Answers and scores are on the disk as soon as they are there: a run that was
interrupted goes on when the same command is given again, and asks only for
what is missing.`,
		Example: `  lwtrain pairs -c smollm2-pairs
  lwtrain pairs -c my.yaml pairs.samples=8 pairs.rejected=worst
  lwtrain pairs -c my.yaml pairs.server.url=http://localhost:8000/v1 \
      pairs.server.model=longwriter`,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := openSession(cmd, args, dryRun)
			if err != nil {
				return err
			}
			defer s.Close()
			return makePairs(cmd, s)
		},
	}
	addConfigFlags(cmd)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "read the prompts and say what would be done; write nothing")
	return cmd
}

func makePairs(cmd *cobra.Command, s *session.Session) error {
	run, err := s.Pairs(cmd.Context())
	if err != nil {
		return err
	}
	defer run.Close()
	c, out := s.Config, cmd.OutOrStdout()
	printPairsPlan(out, c, run)
	if s.DryRun {
		known, err := run.Check()
		if err != nil {
			return err
		}
		if known {
			fmt.Fprintf(out, "\n%s holds this run, if the weights are the same: it would go on.\n", c.Output.Dir)
		}
		fmt.Fprintln(out, "\nThis was a dry run: nothing was written.")
		return nil
	}
	if err := run.Load(cmd.Context()); err != nil {
		return err
	}
	fmt.Fprintln(out)
	total := len(run.Prompts) * c.Pairs.Samples
	bar := newProgress(cmd.ErrOrStderr(), "answering", int64(2*total)) // each answer is written and rated
	began, before := time.Now(), -1
	resumed := func(n int) {
		bar.Println(fmt.Sprintf("going on: %s of %s are there", grouped(int64(n)), count(total, "answer")))
	}
	progress := func(answers, rated, tokens int) {
		if before < 0 {
			before = tokens
		}
		speed := float64(tokens-before) / time.Since(began).Seconds()
		bar.Set(int64(answers+rated), fmt.Sprintf("%d answers  %d rated  %.0f tok/s", answers, rated, speed))
	}
	result, err := run.Do(cmd.Context(), resumed, progress)
	bar.abandon()
	if err != nil {
		if status(err) == exitInterrupted {
			err = fault.Hint(fmt.Errorf("%w; what is answered is kept in %s", train.ErrInterrupted, c.Output.Dir), "this goes on from there: "+commandLine(cmd))
		}
		return err
	}
	printPairsResult(out, c, result, time.Since(began))
	return nil
}

// printPairsPlan says what will be asked.
func printPairsPlan(w io.Writer, c *configs.Config, run *session.PairsRun) {
	line := labelled(w)
	o, prompts := c.Pairs, run.Prompts
	from := o.Server.Model + " at " + o.Server.URL
	if m := run.Model; m != nil {
		from = modelText(m)
	}
	stated, words := 0, 0
	for _, p := range prompts {
		if p.Required > 0 {
			stated++
			words += p.Required
		}
	}
	line("model", "%s", from)
	line("prompts", "%s, %d of them ask for a length, of %.0f words on average", count(len(prompts), "prompt"), stated, float64(words)/max(1, float64(stated)))
	if len(run.Dropped) > 0 {
		line("", "dropped: %s", countsText(run.Dropped))
	}
	line("answers", "%d to each, at most %s tokens, temperature %g, top-p %g", o.Samples, grouped(int64(o.MaxNewTokens)), o.Temperature, o.TopP)
	var scores []string
	for _, s := range []struct {
		used   bool
		name   string
		weight float64
	}{
		{o.LengthWeight > 0, "length score (S_l)", o.LengthWeight},
		{o.Judge.URL != "", "judge " + o.Judge.Model + " (S_q)", o.JudgeWeight},
		{len(o.Command) > 0, "command " + strings.Join(o.Command, " "), o.CommandWeight},
	} {
		if s.used {
			scores = append(scores, fmt.Sprintf("%s x %g", s.name, s.weight))
		}
	}
	line("scores", "%s", strings.Join(scores, ", "))
	line("pairs", "the best against %s", map[string]string{"random": "one of the rest at random", "worst": "the worst"}[o.Rejected])
	if left := len(prompts) - stated; left > 0 && o.Judge.URL == "" && len(o.Command) == 0 {
		line("", "%s without a length to score: not answered", count(left, "prompt"))
	}
	line("output", "%s", c.Output.Dir)
}

// printPairsResult says what came of it, and what to do with it.
func printPairsResult(w io.Writer, c *configs.Config, s pairs.Summary, took time.Duration) {
	line := labelled(w)
	line("done", "%s to %s in %s", count(s.Samples, "answer"), count(s.Prompts, "prompt"), span(took))
	if s.Required > 0 {
		line("answers", "%.0f words on average, %.0f asked for; half have at most %.2f of it", s.Words, s.Required, s.Ratio)
	} else {
		line("answers", "%.0f words on average", s.Words)
	}
	if s.CutOff > 0 {
		line("", "%s cut off at pairs.max_new_tokens", count(s.CutOff, "answer"))
	}
	if s.Unrated > 0 {
		line("", "%s without a readable rating", count(s.Unrated, "answer"))
	}
	spread := func(label string, x pairs.Spread) {
		if x.Count > 0 {
			line("", "%-13s mean %5.1f, quartiles %5.1f %5.1f %5.1f, from %.1f to %.1f", label, x.Mean, x.P25, x.Median, x.P75, x.Least, x.Most)
		}
	}
	spread("score", s.Total)
	if s.Quality.Count+s.Command.Count > 0 {
		spread("length score", s.Length)
	}
	spread("judge", s.Quality)
	spread("command", s.Command)
	line("pairs", "%s; words of the chosen answer %.0f, of the rejected %.0f", count(s.Pairs, "pair"), s.ChosenWords, s.RejectedWords)
	spread("margin", s.Margin)
	if len(s.Dropped) > 0 {
		line("", "prompts without a pair: %s", countsText(s.Dropped))
	}
	line("", "%s", filepath.Join(c.Output.Dir, pairs.PairsFile))
	line("samples", "%s", filepath.Join(c.Output.Dir, pairs.CandidatesFile))
	if s.Pairs > 0 {
		line("next", "lwtrain dpo -c my.yaml \\")
		line("", "  'data.sources=[{name: pairs, path: %s}]'", filepath.Join(c.Output.Dir, pairs.PairsFile))
	}
}
