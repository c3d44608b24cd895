package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"lwtrain/configs"
	"lwtrain/internal/fault"
	"lwtrain/internal/human"
	"lwtrain/internal/show"
	"lwtrain/internal/terminal"
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
				return fault.Usage(fault.Hint(fmt.Errorf("%s: %s", name, human.Count(len(problems), "problem")), fault.HintOf(err)))
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

// noteMissing names the files of a config that are not there.
func noteMissing(w io.Writer, c *configs.Config) {
	missing, err := session.FindMissing(c)
	for _, m := range missing {
		text := "is not there"
		if m.Hub {
			text = "is not in the cache: the run fetches it"
		}
		fmt.Fprintf(w, "lwtrain: note: %s: %s %s (%s)\n", m.Key, terminal.Printable(m.Name), text, c.Origin(m.Key))
	}
	if err != nil {
		show.Warn(w, "%v", err)
	}
}

func newConfigCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Print every value of a config, and where it comes from",
		Long: `Prints the config as it is resolved: an argument (key=value) wins over the
environment (LWTRAIN_TRAIN_LEARNING_RATE), that over the file, that over the
recipe that the file starts from (its key recipe), and that over the default.
An argument may change an element of a list, by its index or a source's name,
or add one behind the last: data.sources[0].samples=5, data.sources[long]...
What is printed loads again to the same config.`,
		Example: "  lwtrain config -c smollm2 seed=7 'data.sources[0].samples=5'",
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
	all := slices.Concat(configs.RecipeNames(), configs.ChainNames())
	return &cobra.Command{
		Use:   "recipes [NAME]",
		Short: "List the configs and chains that ship with lwtrain, or print one",
		Long: `Lists what ships with lwtrain, or prints one: configs, which the commands take
as -c NAME, and chains of commands, which lwtrain recipe run NAME does.`,
		Example: `  lwtrain recipes
  lwtrain recipes glm4 > my.yaml`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: cobra.FixedCompletions(all, cobra.ShellCompDirectiveNoFileComp),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				name := strings.TrimSuffix(args[0], ".yaml")
				text, ok := configs.RecipeText(name)
				if !ok {
					text, ok = configs.ChainText(name)
				}
				if !ok {
					return fault.Usage(fmt.Errorf("%s: no recipe of that name, want one of: %s",
						args[0], strings.Join(all, ", ")))
				}
				_, err := cmd.OutOrStdout().Write(text)
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, name := range configs.RecipeNames() {
				fmt.Fprintf(w, "%s\t%s\n", name, configs.RecipeSummary(name))
			}
			for _, name := range configs.ChainNames() {
				fmt.Fprintf(w, "%s\t%s\n", name, "[chain] "+configs.RecipeSummary(name))
			}
			return w.Flush()
		},
	}
}
