package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"lwtrain/eval/tasks"
	"lwtrain/internal/atomicfile"
	"lwtrain/internal/fault"
	"lwtrain/internal/show"
	"lwtrain/report"
	"lwtrain/session"
)

func newEvalCmd() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "eval",
		Short: "Measure how long a model writes, and how well",
		Long: `Asks a model for answers to the prompts of tasks, measures them, and writes a
page. The model is that of model.path (a folder, a checkpoint, a run's folder or
a name on the hub), or one that the server of eval.server has.

What was asked is kept in output.dir, so that the same command goes on after a
stop at any moment; more tasks or samples are added to what is there. Each stage
can be done again alone: lwtrain eval generate, score, judge or report DIR.`,
		Example: `  lwtrain eval -c my.yaml
  lwtrain eval -c my.yaml model.path=runs/mine output.dir=evals/mine
  lwtrain eval score --task longbench-write --from answers.jsonl
  lwtrain eval compare evals/before evals/after`,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := openSession(cmd, args, dryRun)
			if err != nil {
				return err
			}
			defer s.Close()
			return evaluate(cmd, s, stages{generate: true, score: true, judge: true, report: true})
		},
	}
	addConfigFlags(cmd)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would be asked; write nothing")
	for _, c := range []*cobra.Command{
		newEvalStageCmd("generate", "Ask for the answers that an evaluation lacks", stages{generate: true}),
		newEvalStageCmd("judge", "Have the answers of an evaluation rated", stages{judge: true, report: true}),
		newEvalCalibrateCmd(),
		newEvalStageCmd("report", "Write the pages of an evaluation again", stages{report: true}),
		newEvalScoreCmd(), newEvalCompareCmd(), newEvalLsCmd(),
	} {
		cmd.AddCommand(c)
	}
	return cmd
}

func newEvalStageCmd(name, short string, do stages) *cobra.Command {
	cmd := &cobra.Command{
		Use:   name + " DIR [key=value ...]",
		Short: short,
		Args:  cobra.MinimumNArgs(1),
		RunE:  func(cmd *cobra.Command, args []string) error { return againIn(cmd, args[0], args[1:], do) },
	}
	if do.generate || do.judge {
		addThreads(cmd)
	}
	return cmd
}

func newEvalCalibrateCmd() *cobra.Command {
	var texts int
	cmd := &cobra.Command{
		Use:   "calibrate",
		Short: "Find out what a judge can tell apart",
		Long: `Has the judge of eval.judge rate texts that ship with lwtrain, whole and
damaged: paragraphs shuffled, caught in a loop, cut off, on another topic. Says
for each damage how probably a whole text is rated above a damaged one (AUC: 0.5
is chance), and how many replies could be read. The pages of the evaluation in
output.dir carry that line.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if texts < 1 {
				return fault.Usage(fmt.Errorf("--texts is %d, want at least 1", texts))
			}
			s, err := openSession(cmd, args, false)
			if err != nil {
				return err
			}
			defer s.Close()
			return calibrate(cmd, s, texts)
		},
	}
	addConfigFlags(cmd)
	cmd.Flags().IntVar(&texts, "texts", 12, "how many texts, at most")
	return cmd
}

func newEvalLsCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "ls",
		Short: "List the tasks",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			out := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, t := range tasks.All() {
				fmt.Fprintf(out, "%s\t%s\n\t%s\n\t%d prompts (%s); data: %s\n\twords: %s\n",
					t.Name, t.About, t.Source, t.Prompts, t.Languages, t.Data(), t.Counted)
				for _, m := range t.Measures {
					fmt.Fprintf(out, "\t%s: %s\n", m.Name, m.About)
				}
			}
			return out.Flush()
		},
	}
}

func newEvalScoreCmd() *cobra.Command {
	var task, compat, from, to string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "score [DIR | --task TASK --from FILE]",
		Short: "Measure answers again, or those that others made",
		Long: `Measures the answers in the folder of an evaluation again or, with --from, those
of a file: a line of JSON each, {"prompt" or "id" or "index", "response" or
"text"}, and "stop" (eos or stop, length) where it is known. index is the place
of the prompt in the task, from 0. A second answer to a prompt is another sample
of it.`,
		Example: `  lwtrain eval score evals/mine
  lwtrain eval score --task longbench-write --from pred.jsonl --json`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case from == "" && task == "" && len(args) > 0:
				return againIn(cmd, args[0], args[1:], stages{score: true})
			case from == "" || task == "" || len(args) > 0:
				return fault.Usage(errors.New("want the folder of an evaluation, or --task and --from"))
			}
			s, err := readAnswers(cmd, task, compat, from)
			if err != nil {
				return err
			}
			if to != "" {
				if err := os.MkdirAll(to, 0o755); err != nil {
					return fault.Usage(err)
				}
				if err := errors.Join(s.Write(to), session.WriteEval(to, filepath.Base(from), s, nil)); err != nil {
					return err
				}
			}
			if asJSON {
				return printJSON(cmd, s.Summary)
			}
			show.EvalResult(cmd.OutOrStdout(), s)
			if to != "" {
				fmt.Fprintln(cmd.OutOrStdout(), filepath.Join(to, session.ReportFile))
			}
			return nil
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&task, "task", "", "with --from: the task that the answers are to, a name or a .jsonl file")
	fl.StringVar(&compat, "compat", "paper", "with --from: scores as papers have them, or as their code released (lifebench)")
	fl.StringVar(&from, "from", "", "a file of answers")
	fl.StringVar(&to, "to", "", "with --from: a folder for scores.jsonl, summary.json and the page")
	fl.BoolVar(&asJSON, "json", false, "with --from: print the summary as JSON")
	return cmd
}

func newEvalCompareCmd() *cobra.Command {
	var task, page string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "compare A B",
		Short: "Set two evaluations side by side, prompt by prompt",
		Long: `Pairs the answers of two evaluations by their prompts. A and B are folders of
evaluations, or with --task files of answers as lwtrain eval score reads them.
A difference is that of B less A, over the prompts that both answered, with an
interval of 95 % from drawing prompts anew; a win is a prompt where B has more.`,
		Example: `  lwtrain eval compare evals/before evals/after
  lwtrain eval compare --task longbench-write a.jsonl b.jsonl --json`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, all, err := compare(cmd, task, args[0], args[1])
			if err == nil && page != "" {
				err = atomicfile.Write(page, func(w io.Writer) error { return report.WriteComparison(w, c, all) })
			}
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd, c)
			}
			show.Comparison(cmd.OutOrStdout(), c)
			return nil
		},
	}
	cmd.Flags().StringVar(&page, "html", "", "a file for a page")
	cmd.Flags().StringVar(&task, "task", "", "A and B are files of answers to this task")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print it as JSON")
	return cmd
}
