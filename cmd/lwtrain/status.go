package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"

	"lwtrain/internal/fault"
	"lwtrain/internal/terminal"
	"lwtrain/train"
)

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
	for _, line := range strings.Split(strings.TrimRight(err.Error(), "\n"), "\n") {
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
