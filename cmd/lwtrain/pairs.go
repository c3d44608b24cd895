package main

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"lwtrain/internal/fault"
	"lwtrain/internal/human"
	"lwtrain/internal/show"
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
	cmd.AddCommand(newPairsCompareCmd())
	return cmd
}

func newPairsCompareCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "compare DIR...",
		Short: "Set what models wrote in several runs side by side",
		Long: `Prints a table of finished runs of lwtrain pairs, such as the rounds of pairs,
dpo, pairs: of all answers of a run the mean length score (S_l, or of a range),
how many ended, how much of their words repeats what came before, and their
words beside those asked for; and its pairs with the mean difference of their
scores.`,
		Example: `  lwtrain pairs compare runs/rounds/pairs-1 runs/rounds/pairs-2`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			type run struct {
				Dir string `json:"run"`
				pairs.Summary
			}
			var runs []run
			var all []pairs.Summary
			for _, dir := range args {
				s, err := pairs.ReadSummary(dir)
				if err != nil {
					return err
				}
				runs, all = append(runs, run{dir, s}), append(all, s)
			}
			if asJSON {
				return printJSON(cmd, runs)
			}
			show.PairsTable(cmd.OutOrStdout(), args, all)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print it as JSON: each run's summary.json with its folder as run")
	return cmd
}

func makePairs(cmd *cobra.Command, s *session.Session) error {
	run, err := s.Pairs(cmd.Context())
	if err != nil {
		return err
	}
	defer run.Close()
	c, out := s.Config, cmd.OutOrStdout()
	show.PairsPlan(out, c, run)
	if s.DryRun {
		known, err := run.Check()
		if err != nil {
			return err
		}
		if known {
			there, err := pairs.Answered(c.Output.Dir)
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "\n%s holds this run, if the weights are the same, with %d of %s: it would go on.\n", c.Output.Dir, there,
				human.Count(run.Answers(), "answer"))
		}
		fmt.Fprintln(out, "\nThis was a dry run: nothing was written.")
		return nil
	}
	if err := run.Load(cmd.Context()); err != nil {
		return err
	}
	fmt.Fprintln(out)
	began := time.Now()
	display := show.NewAnswering(cmd.ErrOrStderr(), run.Answers(), c.Pairs.MaxNewTokens)
	result, err := run.Do(cmd.Context(), pairs.Events{
		Lost: func(file string, n int) {
			display.Println(fmt.Sprintf("lwtrain: warning: %s: %s of the finished run are gone; they are asked for again",
				file, human.Count(n, "answer")))
		},
		Resumed:  display.Resumed,
		Token:    display.Token,
		Progress: display.Progress,
		Failed: func(origin, why string) {
			display.Println(fmt.Sprintf("lwtrain: warning: %s: %s; it is asked for again by the same command", origin, why))
		},
		Pausing: show.Pauses(display.Println),
	})
	display.Close()
	if err != nil {
		if status(err) == exitInterrupted {
			err = fault.Hint(fmt.Errorf("%w; what is answered is kept in %s", train.ErrInterrupted, c.Output.Dir),
				"this goes on from there: "+commandLine(cmd))
		}
		return err
	}
	show.PairsResult(out, c, result, time.Since(began))
	if result.Pairs == 0 {
		err := incompleteError{fmt.Errorf("%s is empty: of %s none came to a pair (%s)", filepath.Join(c.Output.Dir, pairs.PairsFile),
			human.Count(result.Prompts, "prompt"), human.Counts(result.Dropped))}
		return fault.Hint(err,
			filepath.Join(c.Output.Dir, pairs.CandidatesFile)+" has the answers with their scores; docs/pairs.md says what each reason is")
	}
	return nil
}
