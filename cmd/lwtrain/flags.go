package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lwtrain/chat"
	"lwtrain/configs"
	"lwtrain/data"
	"lwtrain/hub"
	"lwtrain/internal/fault"
	"lwtrain/internal/show"
	"lwtrain/internal/terminal"
	"lwtrain/model"
	"lwtrain/session"
	"lwtrain/train"
)

// threadsFlag is the flag of every command that computes.
const threadsFlag = "threads"

// addThreads gives cmd the flag --threads. With a config it is the argument threads=N
// ([loadConfig]); without one [useThreads] does it.
func addThreads(cmd *cobra.Command) {
	cmd.Flags().Int(threadsFlag, 0, "processor threads; 0: all cores")
}

// askedThreads is what --threads says; false where it is not given, or is no flag.
func askedThreads(cmd *cobra.Command) (n int, given bool, err error) {
	if !cmd.Flags().Changed(threadsFlag) {
		return 0, false, nil
	}
	const most = 4096
	n, err = cmd.Flags().GetInt(threadsFlag)
	if err == nil && (n < 0 || n > most) {
		err = fault.Usage(fmt.Errorf("--%s %d, want at least 0 and at most %d", threadsFlag, n, most))
	}
	return n, true, err
}

// withThreads adds what --threads says to the arguments of a config.
func withThreads(cmd *cobra.Command, args []string) ([]string, error) {
	n, given, err := askedThreads(cmd)
	if given && err == nil {
		args = append(slices.Clone(args), fmt.Sprintf("threads=%d", n))
	}
	return args, err
}

// useThreads sets the threads of a command without a config.
func useThreads(cmd *cobra.Command) error {
	n, given, err := askedThreads(cmd)
	if given && err == nil {
		session.UseThreads(n)
	}
	return err
}

// addConfigFlags gives cmd the flags -c and --threads, and key=value arguments after them.
func addConfigFlags(cmd *cobra.Command) {
	addThreads(cmd)
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
	_ = cmd.RegisterFlagCompletionFunc("config", completeRecipes) // fails only for a flag that is not there
	cmd.ValidArgsFunction = completeKeys
}

// completeRecipes completes -c: recipes, then files.
func completeRecipes(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var out []cobra.Completion
	for _, r := range configs.RecipeNames() {
		if strings.HasPrefix(r, typed) {
			out = append(out, cobra.CompletionWithDesc(r, configs.RecipeSummary(r)))
		}
	}
	return out, cobra.ShellCompDirectiveDefault
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
		show.Warn(cmd.ErrOrStderr(), "environment %s", line)
	}
	if args, err = withThreads(cmd, args); err != nil {
		return nil, err
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
	return session.Open(c, show.Session(cmd.ErrOrStderr()), dryRun), nil
}

// openSamples loads a config and opens the data of it.
func openSamples(cmd *cobra.Command, args []string) (*configs.Config, *data.Set, *chat.Template, error) {
	s, err := openSession(cmd, args, false)
	if err != nil {
		return nil, nil, nil, err
	}
	defer s.Close()
	store, chat, err := s.Samples(cmd.Context())
	return s.Config, store, chat, err
}

func configName(cmd *cobra.Command) (string, error) {
	name, err := cmd.Flags().GetString("config")
	if err == nil && name == "" {
		err = fault.Usage(fault.Hint(errors.New("no config is given, want -c with a YAML file or a recipe"),
			"`lwtrain recipes` lists the recipes, `lwtrain init` begins a file"))
	}
	return name, err
}

// commandLine is what a command was called with, for a shell.
func commandLine(cmd *cobra.Command, without ...string) string {
	out := cmd.CommandPath()
	add := func(arg string) { out += " " + terminal.ShellWord(arg) }
	cmd.Flags().Visit(func(f *pflag.Flag) {
		switch {
		case slices.Contains(without, f.Name):
		case f.Value.Type() == "bool":
			add("--" + f.Name)
		case f.Shorthand != "":
			add("-" + f.Shorthand)
			add(f.Value.String())
		default:
			add("--" + f.Name + "=" + f.Value.String())
		}
	})
	for _, a := range cmd.Flags().Args() {
		add(a)
	}
	return out
}

// orEmpty makes a missing list an empty one, so that it prints as [].
func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// checkSampling refuses flags of how tokens are chosen that make no sense.
func checkSampling(s model.Sampling) error {
	switch {
	case !(s.Temperature >= 0) || math.IsInf(s.Temperature, 0):
		return fmt.Errorf("--temperature %g, want at least 0", s.Temperature)
	case !(s.TopP > 0 && s.TopP <= 1):
		return fmt.Errorf("--top-p %g, want above 0 and at most 1", s.TopP)
	case s.TopK < 0:
		return fmt.Errorf("--top-k %d, want at least 0", s.TopK)
	}
	return nil
}

// Exit status of every command.
const (
	exitDone        = 0
	exitFailed      = 1   // it failed while running
	exitUsage       = 2   // what was asked for is wrong; nothing was written
	exitIncomplete  = 3   // it is done, and something that was to be measured is not
	exitInterrupted = 130 // by Ctrl-C, SIGTERM or SIGHUP; the same command goes on
)

// takesInterrupt, where a command has set it, takes a Ctrl-C that is to end something else than the program, and reports
// whether it has.
var takesInterrupt atomic.Pointer[func() bool]

// showError shows an error, every line of it, and the way out.
func showError(w io.Writer, err error) {
	if err == nil {
		return
	}
	kind := "error"
	if status(err) == exitInterrupted {
		kind = "stopped"
	}
	text := strings.ReplaceAll(err.Error(), context.Canceled.Error(), train.ErrInterrupted.Error())
	for _, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		fmt.Fprintf(w, "lwtrain: %s: %s\n", kind, terminal.Printable(line))
	}
	if hint := fault.HintOf(err); hint != "" {
		fmt.Fprintf(w, "lwtrain: hint: %s\n", terminal.Printable(hint))
	}
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
	if incomplete := (incompleteError{}); errors.As(err, &incomplete) {
		return exitIncomplete
	}
	return exitFailed
}

// incompleteError is the error of a command that is done, and has not measured what it was to.
type incompleteError struct{ error }
