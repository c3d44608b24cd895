package main

import (
	"bufio"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"lwtrain/configs"
	"lwtrain/internal/atomicfile"
	"lwtrain/internal/fault"
	"lwtrain/internal/terminal"
)

func newInitCmd() *cobra.Command {
	var a configs.Answers
	cmd := &cobra.Command{
		Use:   "init [FILE]",
		Short: "Begin a config of your own: every key, its meaning and its default",
		Long: `Writes a config with every key, its meaning and its default, to FILE or to
standard output. With FILE, on a terminal and without flags, it asks for the
few values that matter first. A FILE that is there already is never touched.`,
		Example: `  lwtrain init my.yaml
  lwtrain init my.yaml --model runs/models/smollm2-135m-instruct \
      --data long.jsonl --data general.jsonl --capacity 8192`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return writeInit(cmd, "", a)
			}
			if _, err := os.Lstat(args[0]); err == nil {
				return fault.Usage(fault.Hint(fmt.Errorf("%s exists, want a file that is not there yet", args[0]),
					"give another name, or edit that file"))
			}
			if cmd.Flags().NFlag() == 0 && terminal.IsTerminal(cmd.InOrStdin()) {
				if err := ask(cmd, &a); err != nil {
					return err
				}
			}
			return writeInit(cmd, args[0], a)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&a.Model, "model", "", "model folder")
	fl.StringArrayVar(&a.Data, "data", nil, "a .jsonl file of conversations; may be given again")
	fl.IntVar(&a.Capacity, "capacity", 0, "tokens in a pack, and in the longest sample")
	fl.StringVar(&a.Output, "output", "", "the run's folder")
	return cmd
}

// ask fills the answers from the terminal. An empty line takes the default.
func ask(cmd *cobra.Command, a *configs.Answers) error {
	in := bufio.NewScanner(cmd.InOrStdin())
	question := func(text string) string {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: ", text)
		if !in.Scan() {
			return ""
		}
		return strings.TrimSpace(in.Text())
	}
	a.Model = question("Model folder [runs/models/smollm2-135m-instruct]")
	a.Data = strings.Fields(question("Files of conversations, .jsonl, with blanks between [train.jsonl]"))
	if s := question("Tokens in a pack, and in the longest sample [32768]"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			return fault.Usage(fmt.Errorf("%q, want a number of tokens", s))
		}
		a.Capacity = n
	}
	a.Output = question("Folder for the results [runs/<the file's name>]")
	return in.Err()
}

// writeInit writes the config, once it is known to load.
func writeInit(cmd *cobra.Command, path string, a configs.Answers) error {
	if a.Capacity != 0 && (a.Capacity < 16 || a.Capacity > 1<<22) {
		return fault.Usage(fmt.Errorf("%d tokens in a pack (--capacity), want 16 to %d", a.Capacity, 1<<22))
	}
	if a.Output == "" && path != "" {
		a.Output = "runs/" + strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	}
	text := configs.Init(a)
	if _, err := configs.Parse(cmp.Or(path, "config"), text, nil, nil); err != nil {
		return err
	}
	if path == "" {
		_, err := cmd.OutOrStdout().Write(text)
		return err
	}
	if err := atomicfile.WriteBytes(path, text); err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s is there. Next: lwtrain validate -c %s\n", path, path)
	return nil
}
