package main

import (
	"fmt"
	"lwtrain/convert"
	"lwtrain/internal/fault"
	"lwtrain/internal/show"
	"lwtrain/session"
	"os"

	"github.com/spf13/cobra"
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

func newImportCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import MODEL.gguf DIR",
		Short: "Turn a GGUF file into a model folder in Hugging Face layout",
		Long: `Dequantises the weights of a GGUF file to float32 and writes them to DIR with
config.json, tokenizer.json and the chat template, in the layout that lwtrain
and transformers load. DIR appears when it is complete.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := os.Stat(args[1]); err == nil {
				return fault.Usage(fault.Hint(fmt.Errorf("%s exists, want a folder that is not there yet", args[1]),
					"remove it, or import to another name"))
			}
			if err := useThreads(cmd); err != nil {
				return err
			}
			events := show.Session(cmd.ErrOrStderr())
			err := convert.FromGGUF(args[0], args[1], events.Importing)
			events.Ended(err)
			return err
		},
	}
	addThreads(cmd)
	return cmd
}
