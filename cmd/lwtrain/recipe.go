package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"lwtrain/chain"
	"lwtrain/configs"
	"lwtrain/data/read"
	"lwtrain/hub"
	"lwtrain/internal/fault"
	"lwtrain/internal/show"
	"lwtrain/internal/terminal"
	"lwtrain/session"
)

// program is what this program does with arguments: its commands, and to run one.
type program struct {
	commands func() (root *cobra.Command, ran *bool)
	run      func(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error
}

func newRecipeCmd(p program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "recipe",
		Short: "A whole recipe: a chain of commands, one after the other",
		Long: `A chain is a YAML file that lists commands of lwtrain, each with its settings
and what it takes from those before it. lwtrain recipes lists the chains that
ship. The form of the file, and what is done again when: docs/recipes.md.`,
	}
	for _, c := range []*cobra.Command{newRecipeRunCmd(p), newRecipeShowCmd(p), newRecipeScriptCmd(p)} {
		c.Use += " FILE [key=value ...]"
		c.Args = cobra.MinimumNArgs(1)
		c.ValidArgsFunction = p.completeChains
		cmd.AddCommand(c)
	}
	return cmd
}

func newRecipeRunCmd(p program) *cobra.Command {
	var dryRun bool
	var again []string
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Do the steps of a chain in order, and go on where it was",
		Long: `Does the commands of a chain, each in a folder of its own, and shows at the end
what came of each. The same command goes on after a stop at any moment. A step
that is done is not begun again while its settings and what it reads are as they
were; else its command is given again, which goes on, or refuses where it would
be another run. --again does a step and all that read it anew, and keeps what
they wrote beside it.

key=value is VARIABLE=VALUE, STEP.KEY=VALUE of a step's config, or dir=FOLDER.
The exit status is that of the step that ended it.`,
		Example: `  lwtrain recipe run longwriter --dry-run
  lwtrain recipe run longwriter
  lwtrain recipe run longwriter dir=runs/second sft.train.max_steps=32
  lwtrain recipe run longwriter --again pairs`,
		RunE: func(cmd *cobra.Command, args []string) error { return p.runChain(cmd, args, again, dryRun) },
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would be done, and have each step's command say it; write nothing")
	cmd.Flags().StringSliceVar(&again, "again", nil, "steps to do anew, with all that read what they write")
	return cmd
}

func newRecipeShowCmd(p program) *cobra.Command {
	return &cobra.Command{
		Use:   "show",
		Short: "Say what the steps of a chain are, and how far each is",
		RunE: func(cmd *cobra.Command, args []string) error {
			run, err := p.openChain(args)
			if err == nil {
				show.ChainPlan(cmd.OutOrStdout(), run, true)
			}
			return err
		},
	}
}

func newRecipeScriptCmd(p program) *cobra.Command {
	return &cobra.Command{
		Use:   "script",
		Short: "Print a shell script of the same commands",
		Long: `Prints the commands of a chain as a shell script. Each command goes on where it
was, and does little where it is done; what the chain knows beyond that (which
steps are done, --again) the script does not.`,
		Example: "  lwtrain recipe script longwriter > longwriter.sh",
		RunE: func(cmd *cobra.Command, args []string) error {
			run, err := p.openChain(args)
			if err == nil {
				_, err = fmt.Fprint(cmd.OutOrStdout(), script(run.Chain))
			}
			return err
		},
	}
}

// completeChains completes the chain, and then what is changed of it.
func (p program) completeChains(_ *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var out []cobra.Completion
	if len(args) == 0 {
		for _, name := range configs.ChainNames() {
			if strings.HasPrefix(name, typed) {
				out = append(out, cobra.CompletionWithDesc(name, configs.RecipeSummary(name)))
			}
		}
		return out, cobra.ShellCompDirectiveDefault
	}
	c, err := configs.LoadChain(args[0], nil, os.LookupEnv, p.checkCommand)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	for _, s := range c.Steps {
		for _, k := range configs.Keys() {
			if key := s.Name + "." + k.Path + "="; s.Config != nil && strings.HasPrefix(key, typed) {
				out = append(out, cobra.CompletionWithDesc(key, k.Doc))
			}
		}
	}
	return out, cobra.ShellCompDirectiveNoSpace
}

// checkCommand is the [configs.CheckCommand] of this program.
func (p program) checkCommand(words, args []string) (config bool, err error) {
	root, _ := p.commands()
	cmd, rest, err := root.Find(words)
	switch {
	case len(words) == 0 || err != nil || len(rest) > 0 || !cmd.Runnable():
		hint := ""
		if len(words) > 0 {
			root.SuggestionsMinimumDistance = 2
			if near := root.SuggestionsFor(words[0]); len(near) > 0 {
				hint = "; did you mean " + near[0] + "?"
			}
		}
		return false, fmt.Errorf("%q is no command of lwtrain%s", strings.Join(words, " "), hint)
	case cmd.HasParent() && cmd.Parent().Name() == "recipe":
		return false, fmt.Errorf("a chain in a chain, want its steps here")
	}
	config = cmd.Flags().Lookup("config") != nil
	if err := cmd.ParseFlags(args); err != nil {
		return config, err
	}
	return config, cmd.ValidateArgs(cmd.Flags().Args())
}

// openChain opens the chain that arguments name.
func (p program) openChain(args []string) (*chain.Run, error) {
	c, err := configs.LoadChain(args[0], args[1:], os.LookupEnv, p.checkCommand)
	if err != nil {
		return nil, err
	}
	return chain.Open(c)
}

func (p program) runChain(cmd *cobra.Command, args, again []string, dryRun bool) error {
	run, err := p.openChain(args)
	if err != nil {
		return err
	}
	out, w := cmd.OutOrStdout(), cmd.ErrOrStderr()
	do := func(ctx context.Context, command []string) error {
		return p.run(ctx, command, strings.NewReader(""), out, w)
	}
	steps, err := run.Anew(again)
	if err != nil {
		return err
	}
	if err := p.checkInputs(run); err != nil {
		return err
	}
	if dryRun {
		return p.planChain(cmd, run, steps, do)
	}
	moved, err := run.Aside(steps)
	for _, m := range moved {
		fmt.Fprintf(w, "lwtrain: note: %s is now %s\n", terminal.Printable(m[0]), terminal.Printable(m[1]))
	}
	if err != nil {
		return err
	}
	show.ChainPlan(out, run, false)
	err = run.Do(cmd.Context(), chain.Events{Begin: func(i int) { show.ChainStep(out, run, i) }}, do)
	show.ChainResult(out, run)
	if status(err) == exitInterrupted {
		err = fault.Hint(err, "this goes on from there: "+commandLine(cmd, "again")) // what is begun anew is begun
	}
	return err
}

// operands name what a command without a config reads.
type operands struct {
	option string // whose value does; "": the first arguments do
	first  int    // so many of them
	model  bool   // they may be names on the hub
}

// reads are those of the commands that have some.
var reads = map[string][]operands{
	"eval compare":  {{first: 2}},
	"eval score":    {{first: 1}, {option: "from"}},
	"export":        {{first: 1, model: true}, {option: "base", model: true}},
	"generate":      {{first: 2, model: true}, {option: "model", model: true}, {option: "base", model: true}, {option: "prompts"}},
	"import":        {{first: 1}},
	"inspect":       {{first: 1, model: true}},
	"pairs compare": {{first: math.MaxInt}},
	"push":          {{first: 1, model: true}, {option: "base", model: true}},
	"report":        {{first: math.MaxInt}},
	"tokenize":      {{option: "model", model: true}},
}

// named lists what the command of a step without a config reads of what its arguments name.
func (p program) named(s *chain.Step) (out []session.Input, err error) {
	root, _ := p.commands()
	cmd, _, err := root.Find(s.Command)
	if err == nil {
		err = cmd.ParseFlags(s.Args)
	}
	if err != nil {
		return nil, err
	}
	for _, of := range reads[strings.Join(s.Command, " ")] {
		paths := cmd.Flags().Args()
		paths = paths[:min(of.first, len(paths))]
		if of.option != "" {
			paths = []string{cmd.Flag(of.option).Value.String()}
		}
		for _, path := range paths {
			if path != "" && !hub.HasScheme(path) && !strings.HasPrefix(path, read.Builtin) && !(of.model && session.OnHub(path)) {
				out = append(out, session.Input{Key: "args", Path: path})
			}
		}
	}
	return out, nil
}

// checkInputs refuses a chain of which a step that is to be done names a file that is not there, and that no step before it will
// have made: all of them at once.
func (p program) checkInputs(run *chain.Run) error {
	var bad configs.Problems
	hint := ""
	for i := range run.Steps {
		s := &run.Steps[i]
		if s.State == chain.Done && run.Waits(i) == "" {
			continue
		}
		var inputs []session.Input
		var err error
		if s.Config != nil {
			inputs = session.Inputs(s.Config, strings.Join(s.Command, " "))
		} else if inputs, err = p.named(s); err != nil {
			return err
		}
		for _, in := range inputs {
			by, wrong := run.Coming(i, in.Path)
			switch text := terminal.Printable(in.Path) + ": "; {
			case in.Wrong != "":
				wrong = in.Wrong
			case wrong != "":
				wrong = text + wrong
			case by != nil || in.There():
				continue
			default:
				wrong = text + "not there, and no step before this one makes it"
				hint = cmp.Or(hint, in.Hint())
			}
			at := s.Place(in.Path)
			if s.Config != nil {
				at = s.Origin(in.Key)
			}
			bad = append(bad, configs.Problem{Origin: at, Path: s.Name + "." + in.Key, Text: wrong})
		}
	}
	if len(bad) == 0 {
		return nil
	}
	return fault.Usage(fault.Hint(bad, hint))
}

// planChain says what a chain would do, and has the commands say it whose steps have all that they read and nothing
// that would be moved aside.
func (p program) planChain(cmd *cobra.Command, run *chain.Run, anew []*chain.Step, do func(context.Context, []string) error) error {
	out := cmd.OutOrStdout()
	show.ChainPlan(out, run, true)
	for i, s := range run.Steps {
		if s.State == chain.Done && run.Waits(i) == "" {
			continue
		}
		show.ChainStep(out, run, i)
		root, _ := p.commands()
		own, _, err := root.Find(s.Command)
		switch by := run.Waits(i); {
		case err != nil:
			return err
		case by != "":
			fmt.Fprintf(out, "it reads what %s writes, which is not done\n", by)
		case slices.Contains(anew, &run.Steps[i]) && isFolder(s.Dir):
			fmt.Fprintf(out, "it begins anew, and what %s holds is kept beside it\n", terminal.Printable(s.Dir))
		case own.Flags().Lookup("dry-run") == nil:
			fmt.Fprintln(out, "this command has no dry run")
		default:
			if err := s.Try(cmd.Context(), do, "--dry-run"); err != nil {
				return err
			}
		}
	}
	return nil
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// script is a chain as a shell script.
func script(c *configs.Chain) string {
	var b strings.Builder
	fmt.Fprintf(&b, "#!/bin/sh\n# %s: %s\nset -eu\n", c.Name, c.About)
	for i, s := range c.Steps {
		fmt.Fprintf(&b, "\n# %d of %d: %s\n", i+1, len(c.Steps), s.Name)
		if s.About != "" {
			fmt.Fprintf(&b, "# %s\n", s.About)
		}
		if s.Config == nil {
			fmt.Fprintf(&b, "mkdir -p %s\n", terminal.ShellWord(s.Dir))
		}
		b.WriteString("lwtrain")
		for _, word := range s.Command {
			b.WriteString(" " + terminal.ShellWord(word))
		}
		for _, arg := range s.Args {
			if strings.Contains(arg, "=") && !strings.HasPrefix(arg, "-") {
				b.WriteString(" \\\n ")
			}
			b.WriteString(" " + terminal.ShellWord(arg))
		}
		b.WriteString("\n")
	}
	return b.String()
}
