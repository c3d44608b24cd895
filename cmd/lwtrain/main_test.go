package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"lwtrain/internal/fault"
	"lwtrain/train"
)

func TestExitStatus(t *testing.T) {
	wrong := errors.New("wrong")
	for name, c := range map[string]struct {
		err  error
		want int
	}{
		"done":                         {nil, 0},
		"a failure":                    {wrong, 1},
		"a mistake in what was asked":  {fmt.Errorf("sft: %w", fault.Hint(fault.Usage(wrong), "x")), 2},
		"Ctrl-C in a training run":     {fmt.Errorf("step 3: %w", train.ErrInterrupted), 130},
		"Ctrl-C anywhere else":         {fmt.Errorf("reading: %w", context.Canceled), 130},
		"a save that failed on Ctrl-C": {wrong, 1},
	} {
		t.Run(name, func(t *testing.T) {
			if got := status(c.err); got != c.want {
				t.Errorf("exit status %d, want %d", got, c.want)
			}
		})
	}
}

func TestAnErrorIsShownLineByLineWithItsWayOut(t *testing.T) {
	var b bytes.Buffer
	showError(&b, fault.Hint(fault.Usage(errors.New("a.yaml:1:1: x\na.yaml:2:1: \x1b[31my")), "do z"))
	want := "lwtrain: error: a.yaml:1:1: x\nlwtrain: error: a.yaml:2:1: ?[31my\nlwtrain: hint: do z\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", &b, want)
	}
}

func TestEveryCommandHelpsANewcomer(t *testing.T) {
	root, _ := newRootCmd()
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Short == "" || c.Run == nil && c.RunE == nil && !c.HasSubCommands() {
			t.Errorf("%s: no summary, or nothing to run", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	for _, c := range root.Commands() {
		walk(c)
	}
}

func TestHelpKeepsTo80Columns(t *testing.T) {
	root, _ := newRootCmd()
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Name() == "completion" || cmd.Name() == "help" {
			return // not ours
		}
		var b bytes.Buffer
		cmd.SetOut(&b)
		if err := cmd.Help(); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			if utf8.RuneCountInString(strings.TrimRight(line, "\n")) > 80 {
				t.Errorf("%s: %d columns: %s", cmd.CommandPath(), utf8.RuneCountInString(line)-1, line)
			}
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(root)
}

func TestAnInterruptionIsCalledOne(t *testing.T) {
	for want, err := range map[string]error{
		"lwtrain: stopped: step sft: interrupted\n":    fmt.Errorf("step sft: %w", context.Canceled),
		"lwtrain: stopped: interrupted after step 3\n": fmt.Errorf("%w after step 3", train.ErrInterrupted),
	} {
		var out strings.Builder
		if showError(&out, err); out.String() != want {
			t.Errorf("got %q, want %q", out.String(), want)
		}
	}
}
