package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"lwtrain/configs"
	"lwtrain/internal/atomicfile"
	"lwtrain/internal/fault"
	"lwtrain/session"
)

func newValidateCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "validate",
		Short: "Check a config: every problem at once, by file, line and column",
		Long: `Checks a config without running anything. Each problem is a line on standard
output, and the exit status is 2:

  my.yaml:12:5: train.learning_rat: unknown key; did you mean learning_rate?

Files that the config names but that are not there are noted, and no problem:
they may be on another machine.`,
		Example: "  lwtrain validate -c my.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := loadConfig(cmd, args)
			var problems configs.Problems
			if errors.As(err, &problems) {
				fmt.Fprintln(cmd.OutOrStdout(), problems)
				name, _ := configName(cmd) // it was there: it was loaded
				return fault.Usage(fault.Hint(fmt.Errorf("%s: %s", name, count(len(problems), "problem")), fault.HintOf(err)))
			}
			if err != nil {
				return err
			}
			noteMissing(cmd.ErrOrStderr(), c)
			fmt.Fprintln(cmd.ErrOrStderr(), "no problems")
			return nil
		},
	}
	addConfigFlags(cmd)
	return cmd
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// noteMissing names the files of a config that are not there.
func noteMissing(w io.Writer, c *configs.Config) {
	missing, err := session.FindMissing(c)
	for _, m := range missing {
		text := "is not there"
		if m.Hub {
			text = "is not in the cache: the run fetches it"
		}
		fmt.Fprintf(w, "lwtrain: note: %s: %s %s (%s)\n", m.Key, printable(m.Name), text, c.Origin(m.Key))
	}
	if err != nil {
		warn(w, "%v", err)
	}
}

func newConfigCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Print every value of a config, and where it comes from",
		Long: `Prints the config as it is resolved: an argument (key=value) wins over the
environment (LWTRAIN_TRAIN_LEARNING_RATE), that over the file, that over the
recipe that the file starts from (its key recipe), and that over the default.
What is printed loads again to the same config.`,
		Example: "  lwtrain config -c smollm2 seed=7",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := loadConfig(cmd, args)
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(c.Resolved())
			return err
		},
	}
	addConfigFlags(cmd)
	return cmd
}

func newSchemaCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of a config, for completion in an editor",
		Long: `Prints the JSON Schema (draft 2020-12) of a config. Editors with the YAML
language server complete and check a config whose first line is

  # yaml-language-server: $schema=lwtrain.schema.json`,
		Example: "  lwtrain schema > lwtrain.schema.json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(configs.Schema())
			return err
		},
	}
}

func newRecipesCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "recipes [NAME]",
		Short: "List the configs that ship with lwtrain, or print one",
		Example: `  lwtrain recipes
  lwtrain recipes glm4 > my.yaml`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: cobra.FixedCompletions(configs.RecipeNames(), cobra.ShellCompDirectiveNoFileComp),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				text, ok := configs.RecipeText(strings.TrimSuffix(args[0], ".yaml"))
				if !ok {
					return fault.Usage(fmt.Errorf("%s: no recipe of that name, want one of: %s", args[0], strings.Join(configs.RecipeNames(), ", ")))
				}
				_, err := cmd.OutOrStdout().Write(text)
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, name := range configs.RecipeNames() {
				fmt.Fprintf(w, "%s\t%s\n", name, configs.RecipeSummary(name))
			}
			return w.Flush()
		},
	}
}

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
				return fault.Usage(fault.Hint(fmt.Errorf("%s exists, want a file that is not there yet", args[0]), "give another name, or edit that file"))
			}
			if cmd.Flags().NFlag() == 0 && isTerminal(cmd.InOrStdin()) {
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
	if _, err := configs.Parse(orElse(path, "config"), text, nil, nil); err != nil {
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

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
