package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"lwtrain/configs"
	"lwtrain/internal/fault"
	"lwtrain/internal/show"
	"lwtrain/session"
	"lwtrain/train"
)

func newSFTCmd() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use: "sft", SuggestFor: []string{"train", "finetune"},
		Short: "Fine-tune a model on conversations",
		Long: `Fine-tunes the model of a config on its conversations: next-token loss on the
assistant's tokens. Says first what will happen, then shows how it goes, and at
the end what changed and where everything lies.

A run that was interrupted goes on from its last checkpoint when the same
command is given again; Ctrl-C saves one before it stops.`,
		Example: `  lwtrain sft -c smollm2-quickstart
  lwtrain sft -c my.yaml train.learning_rate=2e-5 output.dir=runs/second
  lwtrain sft -c my.yaml --dry-run`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runTraining(cmd, args, session.SFT, dryRun)
		},
	}
	addConfigFlags(cmd)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "do everything up to the first step, and write nothing")
	return cmd
}

func newDPOCmd() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "dpo",
		Short: "Train a model on pairs of a chosen and a rejected answer",
		Long: `Trains the model of a config on pairs: records with chosen and rejected, each
text, a message or a list of messages, and a prompt (prompt, messages,
conversations, instruction, or what both lists begin with). A .json file may
hold one array of them. With dpo.loss_type: kto it trains on single answers:
records of a conversation and a label (true, false), or the sides of pairs.

What the reference model says of the answers is computed once and kept in
data.cache_dir. A step takes per_device_train_batch_size x
gradient_accumulation_steps pairs, or labelled answers. Losses: docs/dpo.md.

A run that was interrupted goes on from its last checkpoint when the same
command is given again; Ctrl-C saves one before it stops.`,
		Example: `  lwtrain dpo -c smollm2-dpo
  lwtrain dpo -c my.yaml dpo.loss_type=simpo dpo.reference=none dpo.beta=2
  lwtrain dpo -c my.yaml --dry-run`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runTraining(cmd, args, session.DPO, dryRun)
		},
	}
	addConfigFlags(cmd)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "do everything up to the first step, and write nothing")
	return cmd
}

// runTraining is a whole command of training.
func runTraining(cmd *cobra.Command, args []string, how session.Method, dryRun bool) error {
	s, err := openSession(cmd, args, dryRun)
	if err != nil {
		return err
	}
	defer s.Close()
	return trainIn(cmd, s, how)
}

// trainIn trains the model of a session, or says how it would.
func trainIn(cmd *cobra.Command, s *session.Session, how session.Method) error {
	run, err := s.Run(cmd.Context(), how)
	if err != nil {
		return err
	}
	defer run.Close()
	out := cmd.OutOrStdout()
	f, err := run.Forecast(cmd.Context())
	if err != nil {
		return interrupted(err, cmd, train.Result{})
	}
	if s.DryRun {
		return planOnly(out, cmd.ErrOrStderr(), s.Config, run, f)
	}
	if f.Refused != nil {
		return f.Refused
	}
	display := show.NewTraining(out, cmd.ErrOrStderr(), s.Config, run, f.Room, f.Time)
	defer display.Close()
	result, err := run.Do(cmd.Context(), display.Events())
	display.Close()
	if err != nil {
		return interrupted(err, cmd, result)
	}
	if err := run.WriteReport(); err != nil { // the run is done: no reason to fail
		show.Warn(cmd.ErrOrStderr(), "no report: %v", err)
	}
	show.Result(out, s.Config, result)
	return nil
}

// planOnly prints what a run would do, without its weights.
func planOnly(out, w io.Writer, c *configs.Config, run *session.Run, f session.Forecast) error {
	show.Plan(out, c, run, f.Plan, f.Needs, f.Room, f.Time)
	for _, text := range f.Warnings {
		show.Warn(w, "%s (%s)", text.Text, text.Key)
	}
	if f.Refused != nil {
		return f.Refused
	}
	if f.Step > 0 {
		fmt.Fprintf(out, "\nThe run would go on from step %d.\n", f.Step)
	}
	fmt.Fprintln(out, "\nThis was a dry run: nothing was written.")
	return nil
}

func newPlanCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Say what a run would do, need and take",
		Long: `Says what lwtrain sft or dpo, whichever the data is for, would do with a config:
parameters, packs, steps, memory by part, how long it takes on this machine, and
what looks like a mistake. It is the dry run of these commands; nothing is
written. With --json it is one object: docs/formats/plan.md.`,
		Example: `  lwtrain plan -c my.yaml
  lwtrain plan -c my.yaml --json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := openSession(cmd, args, true)
			if err != nil {
				return err
			}
			defer s.Close()
			run, err := s.RunOfData(cmd.Context())
			if err != nil {
				return err
			}
			defer run.Close()
			f, err := run.Forecast(cmd.Context())
			if err != nil {
				return err
			}
			if !asJSON {
				return planOnly(cmd.OutOrStdout(), cmd.ErrOrStderr(), s.Config, run, f)
			}
			if err := show.PlanJSON(cmd.OutOrStdout(), s.Config, run, f); err != nil {
				return err
			}
			return f.Refused
		},
	}
	addConfigFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// interrupted adds the way to go on to the error of a stopped run.
func interrupted(err error, cmd *cobra.Command, r train.Result) error {
	if status(err) != exitInterrupted {
		return err
	}
	if r.Checkpoint == "" {
		return fmt.Errorf("%w before the first step; nothing is lost", err)
	}
	return fault.Hint(fmt.Errorf("%w after step %d, saved in %s", err, r.Steps, r.Checkpoint), "this goes on from there: "+commandLine(cmd))
}
