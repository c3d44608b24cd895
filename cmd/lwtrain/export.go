package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"lwtrain/checkpoints"
	"lwtrain/internal/fault"
	"lwtrain/internal/show"
	"lwtrain/session"
	"lwtrain/tokenizer"
)

func newExportCmd() *cobra.Command {
	var dtype string
	cmd := &cobra.Command{
		Use:   "export MODEL DIR",
		Short: "Write a checkpoint or a model to a folder of its own, in bf16",
		Long: `Writes the model of a folder (a checkpoint of a run, say) to DIR: weights,
config.json, tokenizer and chat template, without what a resume needs. In bf16
it takes an eighth of a checkpoint's space. DIR appears when it is complete.`,
		Example: `  lwtrain export runs/mine/checkpoints/step-000400 my-model
  lwtrain export runs/mine/checkpoints/step-000400 my-model --dtype float32`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if dtype != "bfloat16" && dtype != "float32" {
				return fault.Usage(fmt.Errorf("--dtype is %q, want bfloat16 or float32", dtype))
			}
			from, err := session.Folder(cmd.Context(), args[0], show.Session(cmd.ErrOrStderr()))
			if err != nil {
				return err
			}
			tok, err := tokenizer.Load(from)
			if err != nil {
				return err
			}
			m, err := session.Load(from)
			if err != nil {
				return err
			}
			defer m.Free()
			return checkpoints.WriteFolder(args[1], func(dir string) error {
				if err := m.Save(dir, dtype); err != nil {
					return err
				}
				return tok.Save(dir)
			})
		},
	}
	cmd.Flags().StringVar(&dtype, "dtype", "bfloat16", "format of the weights: bfloat16 or float32")
	return cmd
}
