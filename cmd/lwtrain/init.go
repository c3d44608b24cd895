package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"lwtrain/configs"
	"lwtrain/internal/atomicfile"
	"lwtrain/internal/fault"
	"lwtrain/internal/human"
	"lwtrain/internal/show"
	"lwtrain/internal/terminal"
	"lwtrain/migrate"
	"lwtrain/session"
)

func newInitCmd() *cobra.Command {
	var a configs.Answers
	var from string
	var force bool
	cmd := &cobra.Command{
		Use:   "init [FILE]",
		Short: "Begin a config of your own: every key, its meaning and its value",
		Long: `Writes a config with every key, its meaning and its value, to FILE or to
standard output. Sizes, steps, the learning rate and what is held out follow
from the model and the data, which are looked at (tokenised data is kept, and
the run uses it), and from how fast this machine is: a run of it as it is
learns something and ends in reasonable time. The file says why each was chosen.

With --dpo it is a config for preference training: from pairs, or from labelled
answers (KTO). With FILE, on a terminal and without flags, it asks for what it
needs to know. A FILE that is there already is not touched without --force.

With --from it is the config of another trainer in the keys of this one:
LLaMA-Factory's, axolotl's or TRL's YAML, or a file with the command line that
starts it. What has no counterpart is listed with what it would have done.`,
		Example: `  lwtrain init my.yaml --model runs/models/smollm2-135m-instruct \
      --data long.jsonl --data general.jsonl
  lwtrain init my-dpo.yaml --dpo --model runs/my/checkpoints/step-000400 \
      --data pairs.jsonl
  lwtrain init my.yaml --from qwen3_lora_sft.yaml`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := ""
			if len(args) > 0 {
				path = args[0]
				if err := notItself(path, from); err != nil {
					return err
				}
				if _, err := os.Lstat(path); err == nil && !force {
					return fault.Usage(fault.Hint(fmt.Errorf("%s exists, want a file that is not there yet", path),
						"give another name, edit that file, or write over it with --force"))
				}
				if cmd.Flags().NFlag() == 0 && terminal.IsTerminal(cmd.InOrStdin()) {
					if err := ask(cmd.Context(), cmd.InOrStdin(), cmd.ErrOrStderr(), path, &a); err != nil {
						return err
					}
				}
			}
			if from != "" {
				return writeFrom(cmd, from, path, a)
			}
			return writeInit(cmd, path, a)
		},
	}
	addThreads(cmd)
	fl := cmd.Flags()
	fl.StringVar(&a.Model, "model", "", "a model folder, a .gguf file or a name on the hub")
	fl.StringArrayVar(&a.Data, "data", nil, "a file or folder of conversations, or of preferences; may be given again")
	fl.BoolVar(&a.DPO, "dpo", false, "for preference training: lwtrain dpo")
	fl.IntVar(&a.Capacity, "capacity", 0, "tokens in a pack, and in the longest sample; 0: what the data needs")
	fl.StringVar(&a.Output, "output", "", "the run's folder")
	fl.StringVar(&from, "from", "", "a config of LLaMA-Factory, axolotl or TRL, or a file with a command line")
	fl.BoolVar(&force, "force", false, "write over a FILE that is there")
	return cmd
}

// writeInit writes the config, once it is known to load.
func writeInit(cmd *cobra.Command, path string, a configs.Answers) error {
	if err := checkCapacity(a.Capacity); err != nil {
		return err
	}
	if a.Output == "" && path != "" {
		a.Output = "runs/" + strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	}
	command := "sft"
	if a.DPO {
		command = "dpo"
	}
	name := cmp.Or(path, "config")
	c, err := configs.Parse(name, configs.New(a).Explained(command, nil), nil, nil)
	if err != nil {
		return err
	}
	n, given, err := askedThreads(cmd)
	if err != nil {
		return err
	}
	if given {
		c.Threads = n
	}
	w := cmd.ErrOrStderr()
	var p session.Proposal
	if a.Model != "" || len(a.Data) > 0 {
		if p, err = propose(cmd.Context(), w, c, a); err != nil {
			return err
		}
	}
	text := c.Explained(command, p.Why)
	if _, err := configs.Parse(name, text, nil, nil); err != nil {
		return err
	}
	if path == "" {
		_, err := cmd.OutOrStdout().Write(text)
		return err
	}
	if err := atomicfile.WriteBytes(path, text); err != nil {
		return err
	}
	fmt.Fprintf(w, "%s is there. Next: lwtrain validate -c %s, then lwtrain %s -c %s\n", path, terminal.ShellWord(path), command,
		terminal.ShellWord(path))
	return nil
}

// notItself refuses to write over the config that is read.
func notItself(path, from string) error {
	to, err := os.Stat(path)
	if err != nil {
		return nil
	}
	if read, err := os.Stat(from); err == nil && os.SameFile(to, read) {
		return fault.Usage(fmt.Errorf("%s is what --from reads, want another file to write", path))
	}
	return nil
}

// writeFrom writes the config that another trainer's is here. Other flags hold before what it says.
func writeFrom(cmd *cobra.Command, from, path string, a configs.Answers) error {
	t, err := migrate.File(from)
	if err != nil {
		return err
	}
	overrides := t.Overrides()
	for key, v := range map[string]string{"model.path": a.Model, "output.dir": a.Output} {
		if v != "" {
			overrides = append(overrides, key+"="+v)
		}
	}
	if len(a.Data) > 0 || a.Capacity > 0 || a.DPO {
		return fault.Usage(errors.New("--from beside --data, --dpo or --capacity, want these set in the file that is written"))
	}
	c, err := configs.Parse(from, nil, overrides, nil)
	if err != nil {
		return t.Refused(err)
	}
	text := append(c.Explained(t.Command, t.Why()), t.Comment()...)
	if _, err := configs.Parse(cmp.Or(path, "config"), text, nil, nil); err != nil {
		return err
	}
	w := cmd.ErrOrStderr()
	if path == "" {
		if _, err := cmd.OutOrStdout().Write(text); err != nil {
			return err
		}
	} else if err := atomicfile.WriteBytes(path, text); err != nil {
		return err
	}
	show.Translation(w, t)
	if path != "" {
		fmt.Fprintf(w, "%s is there. Next: lwtrain validate -c %s, then lwtrain %s -c %s\n", path, terminal.ShellWord(path), t.Command,
			terminal.ShellWord(path))
	}
	return nil
}

// propose sets the values of c that follow from its model and data, and says what a run of it
// is.
func propose(ctx context.Context, w io.Writer, c *configs.Config, a configs.Answers) (session.Proposal, error) {
	s := session.Open(c, show.Session(w), false)
	defer s.Close()
	p, err := s.Propose(ctx, a.DPO, a.Capacity)
	if err != nil {
		return p, err
	}
	if p.Unread != nil {
		show.Warn(w, "%v", p.Unread)
		if hint := fault.HintOf(p.Unread); hint != "" {
			fmt.Fprintf(w, "lwtrain: hint: %s\n", terminal.Printable(hint))
		}
		fmt.Fprintln(w, "lwtrain: note: so the sizes, steps and rates in the file are defaults: they know nothing of model and data")
		return p, nil
	}
	if p.Bad != nil {
		show.Warn(w, "a run refuses the data as it is: %v", p.Bad)
		fmt.Fprintf(w, "lwtrain: hint: %s\n", terminal.Printable(fault.HintOf(p.Bad)))
	}
	fmt.Fprintf(w, "data      %s, %s held out; packs of %s tokens\n", human.Count(p.Samples, p.Unit),
		human.Grouped(c.Data.HeldOut.Count), human.Grouped(c.Packing.Capacity))
	if reason := p.Why["data.too_long"]; c.Data.TooLong == "split" || p.Steps == 0 {
		fmt.Fprintf(w, "          %s (data.too_long: %s)\n", reason, c.Data.TooLong)
	}
	if p.Steps == 0 {
		return p, nil
	}
	line := fmt.Sprintf("run       %s, learning rate %g", human.Count(p.Steps, "step"), c.Train.LearningRate)
	if p.Left > 0 {
		line += ", about " + human.Span(p.Left)
	}
	fmt.Fprintln(w, line)
	if p.Steps < p.AllSteps {
		fmt.Fprintf(w, "          train.max_steps: %s\n", p.Why["train.max_steps"])
	}
	return p, nil
}
