package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lwtrain/agentwrite"
	"lwtrain/internal/fault"
	"lwtrain/internal/human"
	"lwtrain/internal/show"
	"lwtrain/session"
	"lwtrain/train"
)

func newAgentWriteCmd() *cobra.Command {
	var dryRun bool
	var limit int
	cmd := &cobra.Command{
		Use:   "agentwrite [select|plan|write|filter|export]",
		Short: "Build training data of long texts: plan, write, filter",
		Long: `Builds training data as LongWriter's authors built theirs (AgentWrite,
arXiv:2408.07055): takes the instructions that need long answers, has a model
plan each as paragraphs and write them one after the other, leaves out what is
no good answer, and writes {"messages"} that sft takes as they are. Every
instruction that is left out has a reason. The writer is an OpenAI-compatible
server (agentwrite.writer) or a model of your own (model.path).
docs/agentwrite.md.

Without a stage all are done, in order. With one that one alone is, with what is
there of those before. What was asked is kept: the same command goes on, and
more instructions, another filter or a later stage pay for nothing again.`,
		Example: `  lwtrain agentwrite -c my.yaml agentwrite.writer.url=http://localhost:8000/v1 \
      agentwrite.writer.model=qwen --dry-run
  lwtrain agentwrite -c my.yaml --limit 20
  lwtrain agentwrite -c my.yaml filter agentwrite.filter.min_length_score=80`,
		RunE: func(cmd *cobra.Command, args []string) error {
			only, args, err := stageOf(args)
			if err != nil {
				return err
			}
			if limit < 0 {
				return fault.Usage(fmt.Errorf("--limit %d, want a number of instructions, 0 for all", limit))
			}
			s, err := openSession(cmd, args, dryRun)
			if err != nil {
				return err
			}
			defer s.Close()
			return agentWrite(cmd, s, only, limit)
		},
	}
	addConfigFlags(cmd)
	keyed := cmd.Args
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		_, values, err := stageOf(args)
		if err != nil {
			return err
		}
		return keyed(cmd, values)
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "select by the rules and say what would be done, with calls and tokens; write nothing")
	cmd.Flags().IntVar(&limit, "limit", 0, "the first so many instructions only; 0: all")
	return cmd
}

// stageOf takes the name of a stage from arguments.
func stageOf(args []string) (only agentwrite.Stage, rest []string, err error) {
	for _, arg := range args {
		switch {
		case strings.Contains(arg, "="):
			rest = append(rest, arg)
		case !slices.Contains(agentwrite.Stages, agentwrite.Stage(arg)):
			return "", nil, fault.Usage(fmt.Errorf("stage %q, want select, plan, write, filter or export", arg))
		case only != "":
			return "", nil, fault.Usage(fmt.Errorf("stages %s and %s, want one, or none for all in their order", only, arg))
		default:
			only = agentwrite.Stage(arg)
		}
	}
	return only, rest, nil
}

func agentWrite(cmd *cobra.Command, s *session.Session, only agentwrite.Stage, limit int) (err error) {
	run, err := s.AgentWrite(cmd.Context(), only, limit)
	if err != nil {
		return err
	}
	c, out := s.Config, cmd.OutOrStdout()
	show.AgentWritePlan(out, c, run)
	if s.DryRun {
		known, err := run.Check()
		if err != nil {
			return err
		}
		if known {
			fmt.Fprintf(out, "\n%s holds such a job: it would go on.\n", c.Output.Dir)
		}
		fmt.Fprintln(out, "\nThis was a dry run: nothing was asked, and nothing written.")
		return nil
	}
	if err := run.Enter(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, run.Close()) }()
	began := time.Now()
	display := show.NewWriting(cmd.ErrOrStderr(), c, run.Outlook().Selected)
	items, err := run.Do(cmd.Context(), display.Progress)
	display.Close()
	if err != nil && !errors.Is(err, agentwrite.ErrBudget) {
		if status(err) == exitInterrupted {
			err = fault.Hint(fmt.Errorf("%w; what was written is kept in %s", train.ErrInterrupted, c.Output.Dir),
				"this goes on from there: "+commandLine(cmd))
		}
		return err
	}
	fmt.Fprintln(out)
	show.AgentWriteResult(out, c, items, run.Spent(), only, time.Since(began))
	if err != nil {
		spent := run.Spent().Cost + run.Spent().Lost
		return incompleteError{fmt.Errorf("%w: %.2f of %g; raise it, and the same command goes on", err, spent, c.AgentWrite.Budget)}
	}
	if only == "" || only == agentwrite.Export {
		return nothingTaken(agentwrite.Count(items), c.Output.Dir)
	}
	return nil
}

// nothingTaken is the error of a job whose training data is empty: which stages left nothing, and why.
func nothingTaken(c agentwrite.Counts, dir string) error {
	if c.Taken > 0 {
		return nil
	}
	var why []string
	for _, stage := range agentwrite.Stages {
		if reasons := c.Dropped[stage]; len(reasons) > 0 {
			why = append(why, fmt.Sprintf("%s left out %s", stage, human.Counts(reasons)))
		}
		if n := c.Waiting[stage]; n > 0 {
			why = append(why, fmt.Sprintf("%s wait for %s", human.Grouped(n), stage))
		}
	}
	err := incompleteError{fmt.Errorf("%s is empty: of %s none became an answer (%s)", filepath.Join(dir, agentwrite.TrainFile),
		human.Count(c.Instructions, "instruction"), strings.Join(why, "; "))}
	return fault.Hint(err, filepath.Join(dir, agentwrite.DroppedFile)+" says of each why; docs/agentwrite.md says what each reason is")
}
