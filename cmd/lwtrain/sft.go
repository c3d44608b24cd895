package main

import (
	"github.com/spf13/cobra"

	"lwtrain/session"
)

func newSFTCmd() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "sft",
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
