package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"lwtrain/engine"
	"lwtrain/internal/human"
	"lwtrain/internal/show"
	"lwtrain/internal/terminal"
	"lwtrain/session"
	"lwtrain/train"
)

func newSelftestCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "selftest",
		Short: "Prove on your data: resuming, packing, shared prompts are exact",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSelftestResumeCmd(), newSelftestPackingCmd(), newSelftestPromptsCmd())
	return cmd
}

func newSelftestResumeCmd() *cobra.Command {
	var steps int
	var dpo bool
	cmd := &cobra.Command{
		Use:   "resume",
		Short: "A run that was interrupted ends with the bytes of one that was not",
		Long: `Takes a few steps of a run twice: once without a break, and once interrupted in
the middle of a step and resumed, with the model loaded again. Compares weights,
optimiser state and metrics byte for byte; exit status 1 if anything differs.

Works in a temporary folder beside output.dir, which takes the space of two
checkpoints and is removed at the end.`,
		Example: `  lwtrain selftest resume -c my.yaml
  lwtrain selftest resume -c my.yaml --steps 8 train.max_grad_norm=0.5
  lwtrain selftest resume --dpo -c dpo.yaml`,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := openSession(cmd, args, false)
			if err != nil {
				return err
			}
			defer s.Close()
			how := session.SFT
			if dpo {
				how = session.DPO
			}
			run, err := s.Run(cmd.Context(), how)
			if err != nil {
				return err
			}
			defer run.Close()
			bar, done := terminal.NewProgress(cmd.ErrOrStderr(), "training", int64(2*steps)), int64(0)
			r, err := run.SelftestResume(cmd.Context(), steps, train.Events{
				Planned:  func(_ *train.Plan, m engine.Needs) { show.WarnMemory(cmd.ErrOrStderr(), m) },
				Training: func(int) { bar.Set(done, "") },
				Step: func(m train.StepMetrics) {
					done++
					bar.Set(done, fmt.Sprintf("loss %.3f", m.Loss))
				},
			})
			bar.Abandon()
			if err != nil {
				return err
			}
			if err := printResumeTest(cmd.OutOrStdout(), r); err != nil || r.OK() {
				return err
			}
			return errors.New("the resumed run is not the uninterrupted one: see what differs above")
		},
	}
	addConfigFlags(cmd)
	cmd.Flags().IntVar(&steps, "steps", 4, "optimiser steps of each run, at least 2")
	cmd.Flags().BoolVar(&dpo, "dpo", false, "preference training, as lwtrain dpo does it")
	return cmd
}

func printResumeTest(out io.Writer, r train.ResumeTest) error {
	verdict := map[bool]string{true: "the same bytes", false: "DIFFERS"}
	fmt.Fprintf(out, "%s without a break, and again: interrupted in the middle of step %d, resumed from step %d\n\n",
		human.Count(r.Steps, "step"), r.Resumed+1, r.Resumed)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, f := range r.Files {
		fmt.Fprintf(w, "%s\t%s\t%s\n", terminal.Printable(f.Name), human.Bytes(f.Size), verdict[f.Same])
	}
	lines := "the same but for speed and memory"
	if !r.Metrics {
		lines = verdict[false]
	}
	fmt.Fprintf(w, "metrics.jsonl\t%s\t%s\n", human.Count(r.Lines, "line"), lines)
	if err := w.Flush(); err != nil || !r.OK() {
		return err
	}
	_, err := fmt.Fprintln(out, "\nok: a run of this model on this data can be stopped at any moment and goes on as if it had not been")
	return err
}

func newSelftestPackingCmd() *cobra.Command {
	var packs int
	cmd := &cobra.Command{
		Use:   "packing",
		Short: "A document in a pack has the loss and gradient that it has alone",
		Long: `Runs the first packs of a run that hold more than one document, then each of
their documents in a pack of its own, and compares loss and gradient of all of
them. They may differ by rounding alone: loss and gradient norm by a relative
1e-5 in float32 and 1e-3 in bf16; exit status 1 if they differ by more. Writes
nothing but the tokenised data.`,
		Example: "  lwtrain selftest packing -c my.yaml\n  lwtrain selftest packing -c my.yaml --packs 8 train.precision=float32",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := openSession(cmd, args, false)
			if err != nil {
				return err
			}
			defer s.Close()
			run, err := s.Run(cmd.Context(), session.SFT)
			if err != nil {
				return err
			}
			defer run.Close()
			r, err := run.SelftestPacking(cmd.Context(), packs, train.Events{
				Planned: func(_ *train.Plan, m engine.Needs) { show.WarnMemory(cmd.ErrOrStderr(), m) },
			})
			if err != nil {
				return err
			}
			if err := printPackingTest(cmd.OutOrStdout(), s.Config.Packing.Weighting, r); err != nil || r.OK() {
				return err
			}
			return errors.New("documents in a pack are not what they are alone: see the differences above")
		},
	}
	addConfigFlags(cmd)
	cmd.Flags().IntVar(&packs, "packs", 2, "packs that are compared, at least 1")
	return cmd
}

func newSelftestPromptsCmd() *cobra.Command {
	var pairs int
	cmd := &cobra.Command{
		Use:   "prompts",
		Short: "A pair whose prompt is computed once trains as two texts do",
		Long: `Runs the first pairs of a preference run whose prompts are computed once
(dpo.share_prompts), then the same pairs with a prompt for each answer, and
compares loss and gradient. The model itself is the reference. They may differ
by rounding alone: loss and gradient norm by a relative 1e-5 in float32 and 1e-3
in bf16; exit status 1 if they differ by more. Writes nothing but the tokenised
data.`,
		Example: `  lwtrain selftest prompts -c dpo.yaml
  lwtrain selftest prompts -c dpo.yaml --pairs 16 dpo.share_prompts=true`,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := openSession(cmd, args, false)
			if err != nil {
				return err
			}
			defer s.Close()
			run, err := s.Run(cmd.Context(), session.DPO)
			if err != nil {
				return err
			}
			defer run.Close()
			r, err := run.SelftestPrompts(cmd.Context(), pairs, train.Events{
				Planned: func(_ *train.Plan, m engine.Needs) { show.WarnMemory(cmd.ErrOrStderr(), m) },
			})
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			fmt.Fprintf(out, "%s, %s tokens with prompts computed once, %s with one for each answer; %s\n\n", human.Count(r.Pairs,
				"pair"),
				human.Grouped(r.Tokens[0]), human.Grouped(r.Tokens[1]), r.Precision)
			if err := printTwice(out, r.Twice, "once", "each"); err != nil {
				return err
			}
			if !r.OK() {
				return errors.New("prompts that are computed once change what is learnt: see the differences above")
			}
			_, err = fmt.Fprintln(out, "\nok: no answer sees the other one, and each pair has the gradient that it has with a "+
				"prompt for each")
			return err
		},
	}
	addConfigFlags(cmd)
	cmd.Flags().IntVar(&pairs, "pairs", 4, "pairs that are compared, at least 1")
	return cmd
}

func printPackingTest(out io.Writer, weighting string, r train.PackingTest) error {
	fmt.Fprintf(out, "%s of %s, %s tokens; weighting %s, %s\n\n", human.Count(r.Documents, "document"), human.Count(r.Packs, "pack"),
		human.Grouped(r.Tokens), weighting, r.Precision)
	if err := printTwice(out, r.Twice, "packed", "alone"); err != nil || !r.OK() {
		return err
	}
	_, err := fmt.Fprintln(out, "\nok: no document of a pack sees another one, and each carries the loss it should")
	return err
}

// printTwice prints what two ways gave, which have names.
func printTwice(out io.Writer, t train.Twice, first, second string) error {
	loss, norm := t.Differences()
	sums, gradient := t.Tolerance()
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "\t%s\t%s\tdifference\tat most\t\n", first, second)
	fmt.Fprintf(w, "loss\t%.7g\t%.7g\t%.1e\t%.0e\t\n", t.Loss[0], t.Loss[1], loss, sums)
	fmt.Fprintf(w, "gradient norm\t%.7g\t%.7g\t%.1e\t%.0e\t\n", t.Norm[0], t.Norm[1], norm, sums)
	fmt.Fprintf(w, "whole gradient\t\t\t%.1e\t%.0e\t\n", t.Gradient, gradient)
	return w.Flush()
}
