package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"lwtrain/convert"
	"lwtrain/internal/fault"
	"lwtrain/internal/show"
)

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
