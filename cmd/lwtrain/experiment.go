package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"lwtrain/internal/fault"
	"lwtrain/internal/show"
	"lwtrain/lengthcap"
	"lwtrain/session"
	"lwtrain/train"
)

func newExperimentCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "experiment", Short: "Controlled experiments", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newLengthCapCmd())
	return cmd
}

func newLengthCapCmd() *cobra.Command {
	var dryRun bool
	var hours float64
	cmd := &cobra.Command{
		Use:   "length-cap",
		Short: "Show that the longest training answers bound what a model writes",
		Long: `Does LongWriter's controlled experiment (arXiv:2408.07055, section 2): trains
the same model on the same documents, with answers cut at several lengths, and
as many target tokens each; beside them controls that saw about as many answers,
in as many steps, as the one with the longest, and the model as it is. Reads
held-out answers with each (no sampling), asks each the same prompts, and writes
a table, curves and a test of their order.

Documents and prompts are fitted to experiment.hours by what is measured here,
and the plan is shown first. Each model is an ordinary run in a folder of its
own; what was stopped goes on with the same command.`,
		Example: `  lwtrain experiment length-cap -c length-cap
  lwtrain experiment length-cap -c length-cap --hours 1 experiment.caps=[60,300]`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("hours") {
				args = append(args, fmt.Sprintf("experiment.hours=%g", hours))
			}
			s, err := openSession(cmd, args, dryRun)
			if err != nil {
				return err
			}
			defer s.Close()
			return lengthCap(cmd, s)
		},
	}
	addConfigFlags(cmd)
	cmd.Flags().Float64Var(&hours, "hours", 0, "the same as experiment.hours")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "make the plan; write nothing")
	return cmd
}

func lengthCap(cmd *cobra.Command, s *session.Session) (err error) {
	out, display := cmd.OutOrStdout(), show.NewExperiment(cmd.ErrOrStderr())
	defer display.Close()
	x, err := lengthcap.Open(cmd.Context(), s, display.Events())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, x.Close()) }()
	show.ExperimentPlan(out, s.Config, x)
	if s.DryRun {
		fmt.Fprintln(out, "\nThis was a dry run: nothing was written.")
		return nil
	}
	result, err := x.Do(cmd.Context())
	display.Close()
	if err != nil {
		if status(err) == exitInterrupted {
			err = fault.Hint(fmt.Errorf("%w; what is done is kept in %s", train.ErrInterrupted, s.Config.Output.Dir),
				"this goes on from there: "+commandLine(cmd))
		}
		return err
	}
	show.ExperimentResult(out, result)
	fmt.Fprintln(out, filepath.Join(s.Config.Output.Dir, session.ReportFile))
	return nil
}
