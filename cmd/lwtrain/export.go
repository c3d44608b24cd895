package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"lwtrain/internal/fault"
	"lwtrain/internal/show"
	"lwtrain/session"
)

func newExportCmd() *cobra.Command {
	var dtype string
	cmd := &cobra.Command{
		Use:   "export MODEL DIR",
		Short: "Write a checkpoint or a model to a folder of its own, in bf16",
		Long: `Writes the model of a folder to DIR: weights, config.json, tokenizer and chat
template, without what a resume needs. MODEL is any model's folder, a checkpoint
of a run, or a run's folder, of which the newest whole checkpoint is taken. In
bf16 it takes an eighth of a checkpoint's space. DIR appears when it is
complete.`,
		Example: `  lwtrain export runs/mine my-model
  lwtrain export runs/mine/checkpoints/step-000400 my-model --dtype float32`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if dtype != "bfloat16" && dtype != "float32" {
				return fault.Usage(fmt.Errorf("--dtype is %q, want bfloat16 or float32", dtype))
			}
			if err := useThreads(cmd); err != nil {
				return err
			}
			return session.Export(cmd.Context(), args[0], args[1], dtype, show.Session(cmd.ErrOrStderr()))
		},
	}
	addThreads(cmd)
	cmd.Flags().StringVar(&dtype, "dtype", "bfloat16", "format of the weights: bfloat16 or float32")
	return cmd
}
