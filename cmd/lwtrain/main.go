// Command lwtrain fine-tunes language models to write long. Each subcommand has
// a file of its own (sft and dpo have training.go), with a func newXCmd() that [groups]
// lists. What they share is in flags.go: how a config is named, how errors are shown and
// what the exit status means. They open what they work on by package session, and
// show it by package show.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lwtrain/internal/fault"
	"lwtrain/internal/human"
	"lwtrain/session"
)

// groups lists every subcommand as the help shows them. Register new ones here.
func groups() []group {
	return []group{
		{"Training:", []func() *cobra.Command{
			newSFTCmd, newPairsCmd, newAgentWriteCmd, newDPOCmd, newNodeCmd, newLaunchCmd,
			newStatsCmd, newPackCmd, newPlanCmd, newDataCmd, newReportCmd, newWatchCmd, newBenchCmd, newSelftestCmd,
		}},
		{"Evaluation:", []func() *cobra.Command{newEvalCmd, newExperimentCmd}},
		{"Models:", []func() *cobra.Command{
			newPullCmd, newPushCmd, newInspectCmd, newGenerateCmd, newChatCmd, newServeCmd, newTokenizeCmd, newImportCmd,
			newExportCmd,
		}},
		{"Configs:", []func() *cobra.Command{newInitCmd, newRecipesCmd, newRecipe, newValidateCmd, newConfigCmd, newSchemaCmd}},
		{"More:", []func() *cobra.Command{newDoctorCmd, newVersionCmd}},
	}
}

type group struct {
	title    string
	commands []func() *cobra.Command
}

// newRecipe makes the command that does others.
func newRecipe() *cobra.Command { return newRecipeCmd(program{newRootCmd, execute}) }

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole program.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) (exit int) {
	// A panic would end with status 2, which means something else here.
	defer func() {
		if e := recover(); e != nil {
			fmt.Fprintf(stderr, "lwtrain: error: this is a bug in lwtrain: %v\n%s", e, debug.Stack())
			exit = exitFailed
		}
	}()
	ctx, cancel := context.WithCancel(ctx)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, stopping()...)
	var ended atomic.Bool
	defer func() {
		ended.Store(true)
		signal.Stop(signals)
		cancel()
	}()
	go func() {
		for waits := true; waits; {
			select {
			case <-ctx.Done():
				waits = false
			case s := <-signals:
				take := takesInterrupt.Load()
				waits = s == os.Interrupt && take != nil && (*take)()
			}
		}
		signal.Ignore(syscall.SIGPIPE) // who read what is said may have got the same signal: `| tee` on Ctrl-C
		signal.Stop(signals)           // a second Ctrl-C ends the program at once
		cancel()
		if !ended.Load() {
			fmt.Fprintln(stderr, "\nlwtrain: stopping; once more ends it at once")
		}
	}()
	err := execute(ctx, args, stdin, stdout, stderr)
	showError(stderr, err)
	return status(err)
}

// execute runs the command that arguments are for.
func execute(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	root, ran := newRootCmd()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && !*ran {
		err = misused(root, cmd, args, err)
	}
	return err
}

// stopping are the signals at which a command keeps what it has and ends. One that was
// ignored before, as nohup does with that of a terminal that is closed, still is.
func stopping() []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}

// newRootCmd makes the command tree. ran becomes true once the arguments were
// understood and a command runs.
func newRootCmd() (root *cobra.Command, ran *bool) {
	ran = new(bool)
	root = &cobra.Command{
		Use:   "lwtrain",
		Short: "Fine-tune language models to write long",
		Long: `lwtrain fine-tunes language models to write long: it mixes long answers with
general conversations, packs them, weighs the loss, and trains. A run is a YAML
file and a seed.`,
		Example: `  lwtrain recipes                         configs that ship with lwtrain
  lwtrain sft -c smollm2-quickstart       train with one of them
  lwtrain init my.yaml                    or begin one of your own
  lwtrain sft -c my.yaml train.learning_rate=2e-5`,
		SilenceErrors: true, SilenceUsage: true, DisableSuggestions: true,
		Version: session.Version(),
	}
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), "FlagUsages", "FlagUsagesWrapped 80"))
	root.SetVersionTemplate("lwtrain {{.Version}}\n")
	root.CompletionOptions.HiddenDefaultCmd = false
	for _, g := range groups() {
		root.AddGroup(&cobra.Group{ID: g.title, Title: g.title})
		for _, make := range g.commands {
			cmd := make()
			cmd.GroupID = g.title
			root.AddCommand(cmd)
			noteRun(cmd, ran)
		}
	}
	root.SetHelpCommandGroupID("More:")
	root.SetCompletionCommandGroupID("More:")
	refuseUnknown(root)
	return root, ran
}

// noteRun sets ran when cmd, or a command under it, starts to run.
func noteRun(cmd *cobra.Command, ran *bool) {
	if f := cmd.RunE; f != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			*ran = true
			return f(cmd, args)
		}
	}
	for _, c := range cmd.Commands() {
		noteRun(c, ran)
	}
}

// misused explains arguments that no command understood.
func misused(root, cmd *cobra.Command, args []string, err error) error {
	hint := "`" + cmd.CommandPath() + " --help` shows what there is"
	var value *pflag.InvalidValueError
	if errors.As(err, &value) {
		if want := wantedOf[value.GetFlag().Value.Type()]; want != "" {
			err = fmt.Errorf("--%s is %.80q, want %s", value.GetFlag().Name, value.GetValue(), want)
		}
	}
	err = plainer(cmd, err)
	if cmd == root && len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		err = fmt.Errorf("%q is no command of lwtrain", args[0])
		root.SuggestionsMinimumDistance = 2
		if near := root.SuggestionsFor(args[0]); len(near) > 0 {
			hint = "did you mean `lwtrain " + near[0] + "`?"
		}
	}
	if fault.HintOf(err) != "" {
		return fault.Usage(err)
	}
	return fault.Usage(fault.Hint(err, hint))
}

// plainer says what the library of commands says of arguments in our words.
func plainer(cmd *cobra.Command, err error) error {
	want := strings.TrimSuffix(cmd.UseLine(), " [flags]")
	switch text := err.Error(); {
	case strings.Contains(text, " arg(s), "):
		given := "no argument is given"
		if n := cmd.Flags().NArg(); n == 1 {
			given = "one argument is given"
		} else if n > 1 {
			given = human.Count(n, "argument") + " are given"
		}
		return fmt.Errorf("%s, want %s", given, want)
	case strings.HasPrefix(text, "required flag(s) "):
		names := strings.TrimSuffix(strings.TrimPrefix(text, "required flag(s) "), " not set")
		return fmt.Errorf("no --%s is given, want %s", strings.ReplaceAll(strings.ReplaceAll(names, `", "`, ", no --"), `"`, ""), want)
	case strings.HasPrefix(text, "unknown command ") && cmd.HasSubCommands():
		return fmt.Errorf("%.80q is no command of %s", cmd.Flags().Arg(0), cmd.CommandPath())
	case strings.HasPrefix(text, "unknown command "):
		return fmt.Errorf("%.80q is given, and %s takes no argument", cmd.Flags().Arg(0), cmd.CommandPath())
	}
	return err
}

// refuseUnknown has the commands that the library adds refuse arguments that they do not know, as ours do.
func refuseUnknown(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "completion":
			c.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		case "help":
			c.PreRunE = func(_ *cobra.Command, args []string) error {
				if _, _, err := root.Find(args); err != nil {
					return fmt.Errorf("%.80q is no command of lwtrain", strings.Join(args, " "))
				}
				return nil
			}
		}
	}
}

// wantedOf are the values of flags by their types.
var wantedOf = map[string]string{
	"bool": "true or false", "int": "a whole number", "float64": "a number", "duration": "a time such as 90s, 10m or 1h30m",
	"stringSlice": "names with commas between them",
}

func newVersionCmd() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Say which lwtrain this is", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "lwtrain %s\n", session.Version())
			return err
		},
	}
}
