package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"lwtrain/configs"
	"lwtrain/engine"
	"lwtrain/internal/fault"
	"lwtrain/internal/show"
	"lwtrain/session"
	"lwtrain/train"
)

// runTraining is a whole command of training.
func runTraining(cmd *cobra.Command, args []string, how session.Method, dryRun bool) error {
	s, err := openSession(cmd, args, dryRun)
	if err != nil {
		return err
	}
	defer s.Close()
	run, err := s.Run(cmd.Context(), how)
	if err != nil {
		return err
	}
	defer run.Close()
	out := cmd.OutOrStdout()
	plan, err := run.Plan()
	if err != nil {
		return err
	}
	memory, err := run.Needs()
	if err != nil {
		return err
	}
	room := run.Room(plan, memory)
	if dryRun {
		return planOnly(cmd.Context(), out, cmd.ErrOrStderr(), s.Config, run, plan, memory, room)
	}
	step, err := run.Check()
	if err == nil {
		err = room.Check()
	}
	if err != nil {
		return err
	}
	time, err := run.Outlook(cmd.Context(), plan, memory, step)
	if err != nil {
		return err
	}
	display := show.NewTraining(out, cmd.ErrOrStderr(), s.Config, run, room, time)
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
func planOnly(
	ctx context.Context, out, w io.Writer, c *configs.Config, run *session.Run, p *train.Plan, m engine.Needs, room session.Room,
) error {
	step, err := run.Check()
	var time session.Outlook
	if err == nil {
		time, err = run.Outlook(ctx, p, m, step)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	show.Plan(out, c, run, p, m, room, time)
	show.WarnMemory(w, m)
	if err == nil {
		err = room.Check()
	}
	if err != nil {
		return err
	}
	if step > 0 {
		fmt.Fprintf(out, "\nThe run would go on from step %d.\n", step)
	}
	fmt.Fprintln(out, "\nThis was a dry run: nothing was written.")
	return nil
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
