package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"lwtrain/configs"
	"lwtrain/internal/fault"
	"lwtrain/internal/terminal"
	"lwtrain/session"
)

// questions ask for the answers of a config, one after another.
type questions struct {
	ctx   context.Context
	lines <-chan string // is closed at the end of the input
	w     io.Writer
	ended bool
}

// ask fills the answers from a terminal. An empty line takes the default, and a wrong answer
// is asked for again. The end of the input leaves the other defaults; an interruption is an
// error that says how to go on with what was said.
func ask(ctx context.Context, in io.Reader, w io.Writer, path string, a *configs.Answers) error {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(in); s.Scan(); {
			lines <- s.Text()
		}
	}()
	q := &questions{ctx: ctx, lines: lines, w: w}
	fmt.Fprintln(w, "An empty line takes what stands in brackets.")
	q.about("Model: a folder, a .gguf file or a name on the hub [runs/models/smollm2-135m-instruct]", func(s string) error {
		a.Model = s
		return session.LookForModel(s)
	})
	q.about("Data: files or folders of conversations or preferences, with blanks between [train.jsonl]", func(s string) error {
		a.Data = strings.Fields(s)
		for _, path := range a.Data {
			if err := session.LookForData(path); err != nil {
				return err
			}
		}
		return nil
	})
	q.about("Train on conversations (sft) or on preferences (dpo) [sft]", func(s string) error {
		if s != "sft" && s != "dpo" {
			return fmt.Errorf("%q, want sft or dpo", s)
		}
		a.DPO = s == "dpo"
		return nil
	})
	q.about("Tokens in a pack, and in the longest sample [what the data needs]", func(s string) error {
		n, err := strconv.Atoi(s)
		if err != nil {
			return fmt.Errorf("%q, want a number of tokens", s)
		}
		if err := checkCapacity(n); err != nil {
			return err
		}
		a.Capacity = n
		return nil
	})
	q.about("Folder for the results [runs/<the file's name>]", func(s string) error {
		a.Output = s
		return nil
	})
	if err := ctx.Err(); err != nil {
		return fault.Hint(unwritten{err}, "with what was said: "+initCommand(path, *a))
	}
	if q.ended {
		fmt.Fprintln(w, "\nThe input ended: the rest is as in brackets.")
	}
	return nil
}

// unwritten is the error of an interruption before anything was written.
type unwritten struct{ error }

func (unwritten) Error() string { return "nothing was written" }

func (u unwritten) Unwrap() error { return u.error }

// about asks until take takes the answer. What it refuses twice in a row the same way is
// kept, if it is a path: what is not there yet may come.
func (q *questions) about(text string, take func(answer string) error) {
	refused := ""
	for !q.ended && q.ctx.Err() == nil {
		fmt.Fprintf(q.w, "%s: ", text)
		var answer string
		select {
		case <-q.ctx.Done():
			return
		case line, more := <-q.lines:
			if q.ended = !more; q.ended {
				return
			}
			answer = strings.TrimSpace(line)
		}
		if answer == "" {
			return
		}
		err := take(answer)
		if err == nil || session.IsMissing(err) && answer == refused {
			return
		}
		fmt.Fprintf(q.w, "  %s\n", terminal.Printable(err.Error()))
		if hint := fault.HintOf(err); hint != "" {
			fmt.Fprintf(q.w, "  hint: %s\n", terminal.Printable(hint))
		}
		if refused = answer; session.IsMissing(err) {
			fmt.Fprintln(q.w, "  the same again keeps it")
		}
	}
}

func checkCapacity(n int) error {
	if n != 0 && (n < 16 || n > 1<<22) {
		return fault.Usage(fmt.Errorf("%d tokens in a pack (--capacity), want 16 to %d", n, 1<<22))
	}
	return nil
}

// initCommand is the command that says what was answered.
func initCommand(path string, a configs.Answers) string {
	args := []string{"lwtrain", "init", path}
	add := func(flag, value string) {
		if value != "" {
			args = append(args, flag, value)
		}
	}
	if a.DPO {
		args = append(args, "--dpo")
	}
	add("--model", a.Model)
	for _, d := range a.Data {
		add("--data", d)
	}
	if a.Capacity > 0 {
		add("--capacity", strconv.Itoa(a.Capacity))
	}
	add("--output", a.Output)
	for i, arg := range args {
		args[i] = terminal.ShellWord(arg)
	}
	return strings.Join(args, " ")
}
