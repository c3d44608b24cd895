package main

import (
	"fmt"
	"os"
	"strings"

	"lwtrain/convert"
	"lwtrain/internal/fault"
	"lwtrain/internal/show"
	"lwtrain/session"

	"github.com/spf13/cobra"
)

func newExportCmd() *cobra.Command {
	var o session.Exporting
	var dtype string
	cmd := &cobra.Command{
		Use:   "export MODEL TO",
		Short: "Write a checkpoint or a model to a folder or a GGUF file",
		Long: `Writes a model to a new folder: weights, config.json, tokenizer and chat
template, without what a resume needs. MODEL is any model's folder, a checkpoint
of a run, a run's folder, of which the newest whole checkpoint is taken, a name
on the hub or a GGUF file. In bf16 it takes an eighth of a checkpoint's space.
An adapter (LoRA) is merged into its model in float32, read back and compared:
what computes something else is not written.

With --format gguf, or where TO ends in .gguf, it writes a GGUF file for
llama.cpp, with tokenizer and chat template in it and a Modelfile for Ollama
beside it. q4_k_m is llama.cpp's mix of Q4_K and Q6_K of that name. --check
reads back what was written, compares each tensor with the model's, loads both
in float32, one after the other, and compares their logits.

TO appears when it is complete.`,
		Example: `  lwtrain export runs/mine my-model
  lwtrain export runs/mine/checkpoints/step-000400 my-model --dtype f32
  lwtrain export runs/mine my-model.gguf --dtype q8_0 --check`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Precision = strings.ToLower(dtype)
			if short, ok := map[string]string{"bfloat16": "bf16", "float16": "f16", "float32": "f32"}[o.Precision]; ok {
				o.Precision = short
			}
			if err := useThreads(cmd); err != nil {
				return err
			}
			written, err := session.Export(cmd.Context(), args[0], args[1], o, show.Session(cmd.ErrOrStderr()))
			if err == nil {
				show.Exported(cmd.OutOrStdout(), written, o.Precision)
			}
			return err
		},
	}
	addThreads(cmd)
	cmd.Flags().StringVar(&o.Format, "format", "", "hf (a folder), or gguf [gguf if TO ends in .gguf, else hf]")
	cmd.Flags().StringVar(&dtype, "dtype", "bf16", "format of the weights: bf16 or f32, and in GGUF f16, q8_0 or q4_k_m")
	cmd.Flags().StringVar(&o.Base, "base", "", "the model that an adapter is for [the one that its files name]")
	cmd.Flags().BoolVar(&o.Check, "check", false, "read it back and compare logits with the model's")
	return cmd
}

func newInspectCmd() *cobra.Command {
	var capacity int
	var asJSON, tensors bool
	cmd := &cobra.Command{
		Use:   "inspect MODEL",
		Short: "Say what a model's folder or file holds and a fine-tune needs",
		Long: `Says of a model's folder, a run's folder, an adapter, a GGUF file, a safetensors
file or a name on the hub: its family, parameters by part, tensors, tokenizer,
chat template and context, what a fine-tune takes of memory by engine, and what
lwtrain refuses of it and why. No weights are read. With --json it is one
object: docs/formats/plan.md.`,
		Example: `  lwtrain inspect runs/models/smollm2-135m-instruct
  lwtrain inspect model.gguf --json
  lwtrain inspect runs/mine --tensors`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			const most = 1 << 22
			if capacity < 16 || capacity > most {
				return fault.Usage(fmt.Errorf("%d tokens in a pack (--capacity), want 16 to %d", capacity, most))
			}
			in, err := session.Inspect(cmd.Context(), args[0], capacity, show.Session(cmd.ErrOrStderr()))
			if err != nil {
				return err
			}
			if !tensors {
				in.Tensors.List = nil
			}
			for _, text := range in.Warnings {
				show.Warn(cmd.ErrOrStderr(), "%s", text)
			}
			if asJSON {
				return show.InspectionJSON(cmd.OutOrStdout(), in)
			}
			show.Inspection(cmd.OutOrStdout(), in)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.Flags().BoolVar(&tensors, "tensors", false, "list all tensors")
	cmd.Flags().IntVar(&capacity, "capacity", 4096, "tokens of the packs that a fine-tune's needs are of")
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
