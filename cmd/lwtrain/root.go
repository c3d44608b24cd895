// Command lwtrain fine-tunes language models to write long. Each subcommand has
// a file of its own, with a func newXCmd() that [groups] lists; this file holds
// what they share: how errors are shown, what the exit status means, how a
// config is named.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"
	"unicode"

	"github.com/spf13/cobra"

	"lwtrain/configs"
	"lwtrain/hub"
	"lwtrain/internal/fault"
	"lwtrain/session"
	"lwtrain/train"
)

// groups lists every subcommand as the help shows them. Register new ones here.
var groups = []struct {
	title    string
	commands []func() *cobra.Command
}{
	{"Training:", []func() *cobra.Command{newSFTCmd, newPairsCmd, newDPOCmd, newStatsCmd, newPackCmd, newDataCmd, newReportCmd, newBenchCmd, newSelftestCmd}},
	{"Models:", []func() *cobra.Command{newPullCmd, newGenerateCmd, newTokenizeCmd, newImportCmd, newExportCmd}},
	{"Configs:", []func() *cobra.Command{newInitCmd, newRecipesCmd, newValidateCmd, newConfigCmd, newSchemaCmd}},
	{"More:", []func() *cobra.Command{newDoctorCmd, newVersionCmd}},
}

// Exit status of every command.
const (
	exitDone        = 0
	exitFailed      = 1   // it failed while running
	exitUsage       = 2   // what was asked for is wrong; nothing was written
	exitInterrupted = 130 // by Ctrl-C or SIGTERM; the same command goes on
)

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
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	var ended atomic.Bool
	defer func() {
		ended.Store(true)
		stop()
	}()
	go func() {
		<-ctx.Done()
		stop() // a second Ctrl-C ends the program at once
		if !ended.Load() {
			fmt.Fprintln(stderr, "\nlwtrain: stopping; once more ends it at once")
		}
	}()
	root, ran := newRootCmd()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && !*ran {
		err = misused(root, cmd, args, err)
	}
	showError(stderr, err)
	return status(err)
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
		Version: version(),
	}
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), "FlagUsages", "FlagUsagesWrapped 80"))
	root.SetVersionTemplate("lwtrain {{.Version}}\n")
	root.CompletionOptions.HiddenDefaultCmd = false
	for _, g := range groups {
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

// showError shows an error, every line of it, and the way out.
func showError(w io.Writer, err error) {
	if err == nil {
		return
	}
	kind := "error"
	if status(err) == exitInterrupted {
		kind = "stopped"
	}
	for _, line := range strings.Split(strings.TrimRight(err.Error(), "\n"), "\n") {
		fmt.Fprintf(w, "lwtrain: %s: %s\n", kind, printable(line))
	}
	if hint := fault.HintOf(err); hint != "" {
		fmt.Fprintf(w, "lwtrain: hint: %s\n", printable(hint))
	}
}

// warn shows something that does not stop a command.
func warn(w io.Writer, format string, args ...any) {
	fmt.Fprintf(w, "lwtrain: warning: %s\n", printable(fmt.Sprintf(format, args...)))
}

// printable keeps control characters of file names and contents away from the
// terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '?'
		}
		return r
	}, s)
}

func status(err error) int {
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, context.Canceled), errors.Is(err, train.ErrInterrupted):
		return exitInterrupted
	case fault.IsUsage(err):
		return exitUsage
	}
	return exitFailed
}

// addConfigFlags gives cmd the flag -c, and key=value arguments after it.
func addConfigFlags(cmd *cobra.Command) {
	cmd.Flags().StringP("config", "c", "", "a YAML file, or the name of a shipped recipe")
	if !strings.Contains(cmd.Use, " ") {
		cmd.Use += " -c CONFIG [key=value ...]"
	}
	cmd.Args = func(_ *cobra.Command, args []string) error {
		for _, a := range args {
			if !strings.Contains(a, "=") {
				return fault.Hint(fmt.Errorf("%q is not key=value", a), "a config is given with -c, a value as train.learning_rate=2e-5")
			}
		}
		return nil
	}
	_ = cmd.RegisterFlagCompletionFunc("config", func(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		var out []cobra.Completion
		for _, r := range configs.RecipeNames() {
			if strings.HasPrefix(r, typed) {
				out = append(out, cobra.CompletionWithDesc(r, configs.RecipeSummary(r)))
			}
		}
		return out, cobra.ShellCompDirectiveDefault
	}) // fails only for a flag that is not there
	cmd.ValidArgsFunction = completeKeys
}

// completeKeys completes key=value: keys, then the values of those that have
// few; files after the others.
func completeKeys(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var out []cobra.Completion
	for _, k := range configs.Keys() {
		if strings.HasPrefix(k.Path+"=", typed) {
			out = append(out, cobra.CompletionWithDesc(k.Path+"=", k.Doc))
		}
		if strings.HasPrefix(typed, k.Path+"=") && k.Values != nil {
			out = nil
			for _, v := range k.Values {
				if strings.HasPrefix(k.Path+"="+v, typed) {
					out = append(out, k.Path+"="+v)
				}
			}
			return out, cobra.ShellCompDirectiveNoFileComp
		}
	}
	return out, cobra.ShellCompDirectiveNoSpace
}

// loadConfig loads the config that -c names, with the environment and args over
// it.
func loadConfig(cmd *cobra.Command, args []string) (*configs.Config, error) {
	name, err := configName(cmd)
	if err != nil {
		return nil, err
	}
	for _, line := range configs.UnknownEnv(os.Environ()) {
		warn(cmd.ErrOrStderr(), "environment %s", line)
	}
	c, err := configs.Load(name, args, os.LookupEnv)
	if err != nil {
		return nil, err
	}
	return c, session.HubRefs(c, func(string, hub.Ref) {}) // are the names well formed?
}

// openSession loads the config that -c names, and opens it.
func openSession(cmd *cobra.Command, args []string, dryRun bool) (*session.Session, error) {
	c, err := loadConfig(cmd, args)
	if err != nil {
		return nil, err
	}
	return session.Open(c, sessionEvents(cmd.ErrOrStderr()), dryRun), nil
}

func configName(cmd *cobra.Command) (string, error) {
	name, err := cmd.Flags().GetString("config")
	if err == nil && name == "" {
		err = fault.Usage(fault.Hint(errors.New("no config is given, want -c with a YAML file or a recipe"),
			"`lwtrain recipes` lists the recipes, `lwtrain init` begins a file"))
	}
	return name, err
}

func newVersionCmd() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Say which lwtrain this is", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "lwtrain %s\n", version())
			return err
		},
	}
}

// version is the module's version, or the commit that was built, and what it
// was built with.
func version() string {
	v := "devel"
	if info, ok := debug.ReadBuildInfo(); ok {
		if m := info.Main.Version; m != "" && m != "(devel)" {
			v = m
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && v == "devel" {
				v += " " + s.Value
			}
		}
	}
	return fmt.Sprintf("%s (%s, %s/%s)", v, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
