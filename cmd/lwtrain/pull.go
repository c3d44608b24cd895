package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"lwtrain/hub"
	"lwtrain/internal/fault"
	"lwtrain/internal/human"
	"lwtrain/internal/show"
	"lwtrain/internal/terminal"
	"lwtrain/push"
	"lwtrain/session"
)

func newPullCmd() *cobra.Command {
	var dataset, noWeights, look bool
	cmd := &cobra.Command{
		Use:   "pull [-c CONFIG [key=value ...]] [NAME ...]",
		Short: "Fetch models and datasets from the Hugging Face hub",
		Long: `Fetches what is named, or with -c all that a config names, into Hugging Face's
cache, which transformers and datasets read as well, and prints the folder of
each. What is there is not fetched again; what was begun is gone on with; what
came is checked by its hash. Of a model the weights in safetensors, the config
and the tokenizer are fetched, of a dataset the files to train on.

Training fetches by itself what is not there. It stays with the commit that was
fetched last: pull looks whether the hub has a newer one. A revision is named
as owner/name@revision, files as hf://owner/name/folder/*.jsonl.

HF_HOME or HF_HUB_CACHE move the cache, HF_ENDPOINT names another hub, HF_TOKEN
is sent for gated and private repositories, HF_HUB_OFFLINE=1 asks nobody.`,
		Example: `  lwtrain pull THUDM/glm-4-9b
  lwtrain pull --dataset THUDM/LongWriter-6k
  lwtrain pull -c glm4 --no-weights`,
	}
	addConfigFlags(cmd)
	cmd.Args = nil
	cmd.ValidArgsFunction = nil
	cmd.Flags().BoolVar(&dataset, "dataset", false, "the names are those of datasets")
	cmd.Flags().BoolVar(&noWeights, "no-weights", false, "of models the config and the tokenizer alone")
	cmd.Flags().BoolVar(&look, "dry-run", false, "say what would be fetched, and how much of it is missing")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		refs, err := pulled(cmd, args, dataset)
		if err != nil {
			return err
		}
		h, err := session.OpenHub(show.Session(cmd.ErrOrStderr()))
		if err != nil {
			return err
		}
		each := pull
		if look {
			each = lookUp
		}
		for _, ref := range refs {
			if err := each(cmd, h, ref, !noWeights); err != nil {
				return err
			}
		}
		return nil
	}
	return cmd
}

func newPushCmd() *cobra.Command {
	var o push.Options
	cmd := &cobra.Command{
		Use:   "push MODEL OWNER/NAME",
		Short: "Send a model to the Hugging Face hub, with a model card",
		Long: `Sends a run's newest whole checkpoint, any checkpoint, model's folder or GGUF
file to a repository of the hub, which is made where it is not there: weights in
bf16, config, tokenizer and chat template in one commit, nothing of what a
resume needs. An adapter is sent as it is, with --merge as a whole model. What
the repository has already is not sent again, so a push goes on where it was.

README.md is a model card made of the run: settings, data by the hash of its
content, figures. Licence, language and purpose are for you to fill in; one that
the repository has stays, unless --new-card is given.

HF_TOKEN, or the token of ` + "`hf auth login`" + `, must be one that may write;
HF_ENDPOINT names another hub.`,
		Example: `  lwtrain push runs/mine me/longwriter-135m --private
  lwtrain push runs/mine/checkpoints/step-000400 me/mine --dry-run
  lwtrain push my-model.gguf me/mine-gguf`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := useThreads(cmd); err != nil {
				return err
			}
			o.To = args[1]
			sent, err := push.Push(cmd.Context(), args[0], o, show.Session(cmd.ErrOrStderr()))
			if err == nil {
				show.Pushed(cmd.OutOrStdout(), sent)
			}
			return err
		},
	}
	addThreads(cmd)
	fl := cmd.Flags()
	fl.BoolVar(&o.Private, "private", false, "make the repository a private one, if it is made")
	fl.StringVar(&o.Message, "message", "", "of the commit")
	fl.BoolVar(&o.Merge, "merge", false, "send an adapter as a whole model, merged into its base")
	fl.StringVar(&o.Base, "base", "", "with --merge: the model that the adapter is for [the one that its files name]")
	fl.BoolVar(&o.Card, "new-card", false, "make README.md anew where the repository has one")
	fl.BoolVar(&o.DryRun, "dry-run", false, "say what would be sent, and print the model card")
	return cmd
}

// pulled lists what the arguments name.
func pulled(cmd *cobra.Command, args []string, dataset bool) (refs []hub.Ref, err error) {
	var overrides []string
	kind := hub.Model
	if dataset {
		kind = hub.Dataset
	}
	for _, arg := range args {
		if strings.Contains(arg, "=") && cmd.Flags().Changed("config") {
			overrides = append(overrides, arg)
			continue
		}
		k := kind
		if strings.HasPrefix(strings.TrimPrefix(arg, hub.Scheme), "datasets/") {
			k = hub.Dataset
		}
		ref, err := hub.Parse(k, arg)
		if err != nil {
			return nil, err
		}
		refs = append(refs, ref)
	}
	switch {
	case cmd.Flags().Changed("config"):
		c, err := loadConfig(cmd, overrides)
		if err != nil {
			return nil, err
		}
		err = session.HubRefs(c, func(_ string, ref hub.Ref) { refs = append(refs, ref) })
		if err == nil && len(refs) == 0 {
			fmt.Fprintln(cmd.ErrOrStderr(), "nothing in it lies on the hub")
		}
		return refs, err
	case len(refs) == 0:
		return nil, fault.Usage(fault.Hint(errors.New("nothing is named, want owner/name, or -c with a config"),
			"`lwtrain pull --help` shows what there is"))
	}
	return refs, nil
}

// pull fetches one repository and prints where it lies.
func pull(cmd *cobra.Command, h *session.Hub, ref hub.Ref, weights bool) error {
	s, err := h.Pull(cmd.Context(), ref, weights)
	if err != nil {
		return err
	}
	fmt.Fprintln(cmd.ErrOrStderr(), snapshotText(ref, s))
	fmt.Fprintln(cmd.OutOrStdout(), s.Dir)
	return nil
}

// lookUp prints what would be fetched of one repository.
func lookUp(cmd *cobra.Command, h *session.Hub, ref hub.Ref, weights bool) error {
	s, missing, err := h.Look(cmd.Context(), ref, weights)
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s, %s of it missing\n", snapshotText(ref, s), human.Bytes(missing))
	for _, f := range s.Files {
		fmt.Fprintf(cmd.OutOrStdout(), "%12d  %s\n", f.Size, terminal.Printable(f.Path))
	}
	return nil
}

func snapshotText(ref hub.Ref, s *hub.Snapshot) string {
	return fmt.Sprintf("%s: commit %s, %s, %s",
		terminal.Printable(ref.String()), s.Commit[:12], human.Count(len(s.Files), "file"), human.Bytes(s.Size()))
}
