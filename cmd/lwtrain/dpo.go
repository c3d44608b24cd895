package main

import (
	"github.com/spf13/cobra"

	"lwtrain/session"
)

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
