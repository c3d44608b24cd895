// Package talk is a conversation with a model by lines: answers come as they are written, what is the same at the
// beginning of a longer conversation is not read again ([model.Thread]), and lines that begin with a slash are commands.
package talk

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"lwtrain/chat"
	"lwtrain/internal/human"
	"lwtrain/internal/rng"
	"lwtrain/internal/terminal"
	"lwtrain/model"
	"lwtrain/tokenizer"
)

// Options say how a conversation is led.
type Options struct {
	System    string // before all messages; "": none
	Sampling  model.Sampling
	MaxTokens int  // of an answer; 0: as many as there is room for
	Context   int  // tokens of the whole conversation
	Stats     bool // each answer is followed by what it took
	Prompt    bool // somebody is asked for lines
}

// Talk is a conversation. [Talk.Interrupt] may be called while others are.
type Talk struct {
	Options
	tok      *tokenizer.Tokenizer
	template *chat.Template
	thread   *model.Thread
	out      io.Writer // answers
	notes    io.Writer // all else

	messages []chat.Message
	tries    int // answers so far, those that were tried again among them

	mu     sync.Mutex
	stop   context.CancelFunc // of the answer under way; nil: none is
	struck bool               // an interruption came, and no line since
}

// New begins a conversation with a model. Close is to be called at the end.
func New(m *model.Model, tok *tokenizer.Tokenizer, template *chat.Template, o Options, out, notes io.Writer) *Talk {
	return &Talk{
		Options: o, tok: tok, template: template, thread: model.NewGenerator(m).Thread(o.Context), out: out, notes: notes,
	}
}

// Close frees what is kept of the conversation.
func (t *Talk) Close() { t.thread.Free() }

// Interrupt stops the answer under way; what has come of it stays. It reports false where the conversation is to end: the
// second time without a line between.
func (t *Talk) Interrupt() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.struck {
		return false
	}
	t.struck = true
	if t.stop != nil {
		t.stop()
		return true
	}
	t.note("\n(once more ends the conversation, and so does /quit)")
	if t.Prompt {
		fmt.Fprint(t.notes, "> ")
	}
	return true
}

func (t *Talk) note(format string, args ...any) { fmt.Fprintf(t.notes, format+"\n", args...) }

// mostLine is how many bytes a message may have.
const mostLine = 4 << 20

// Run answers the lines of in until it ends, /quit comes, or ctx ends, with its error.
func (t *Talk) Run(ctx context.Context, in io.Reader) error {
	lines, failed := make(chan string), make(chan error, 1)
	go func() {
		defer close(lines)
		s := bufio.NewScanner(in)
		s.Buffer(nil, mostLine)
		for s.Scan() {
			select {
			case lines <- s.Text():
			case <-ctx.Done():
				return
			}
		}
		if err := s.Err(); errors.Is(err, bufio.ErrTooLong) {
			failed <- fmt.Errorf("a line of more than %d bytes, want a shorter one", mostLine)
		} else {
			failed <- err
		}
	}()
	for {
		text, more, err := t.read(ctx, lines)
		switch {
		case err != nil:
			return err
		case !more:
			if t.Prompt {
				fmt.Fprintln(t.notes)
			}
			return <-failed
		case strings.TrimSpace(text) == "":
		case strings.HasPrefix(text, "/") && !strings.HasPrefix(text, "//"):
			var end bool
			if end, err = t.command(ctx, text); end {
				return nil
			}
		default:
			err = t.ask(ctx, strings.TrimPrefix(text, "/")) // of two slashes one is the message's
		}
		if err != nil {
			return err
		}
	}
}

// read reads a message: a line, and the next one where it ends with a backslash.
func (t *Talk) read(ctx context.Context, lines <-chan string) (text string, more bool, err error) {
	for mark := "> "; ; mark = ". " {
		if t.Prompt {
			fmt.Fprint(t.notes, mark)
		}
		select {
		case <-ctx.Done():
			return "", false, ctx.Err()
		case line, there := <-lines:
			if !there {
				return text, text != "", nil
			}
			t.mu.Lock()
			t.struck = false
			t.mu.Unlock()
			begin, goesOn := strings.CutSuffix(line, `\`)
			if text += begin; !goesOn {
				return text, true, nil
			}
			text += "\n"
		}
	}
}

// ask adds a message of the user and its answer. Its error ends the conversation.
func (t *Talk) ask(ctx context.Context, text string) error {
	t.messages = append(t.messages, chat.Message{Role: "user", Content: text})
	return t.answer(ctx)
}

// answer answers the last message, which is taken back where nothing comes.
func (t *Talk) answer(ctx context.Context) error {
	last := len(t.messages) - 1
	said, err := t.write(ctx)
	if strings.TrimSpace(said) == "" {
		t.messages = t.messages[:last]
	} else {
		t.messages = append(t.messages, chat.Message{Role: "assistant", Content: said})
	}
	return err
}

// conversation is all messages, with the system's.
func (t *Talk) conversation() []chat.Message {
	if t.System == "" {
		return t.messages
	}
	return append([]chat.Message{{Role: "system", Content: t.System}}, t.messages...)
}

// write writes the next answer, as it comes.
func (t *Talk) write(ctx context.Context) (string, error) {
	_, prompt, err := t.template.Prompt(t.conversation())
	if err != nil {
		t.note("(%s)", terminal.Printable(err.Error()))
		return "", nil
	}
	room := t.Context - len(prompt)
	if room < 1 {
		t.note("(the conversation has %s tokens with this message, which is not kept, and the context %s:\n"+
			" /reset begins anew, /save keeps it)", human.Grouped(len(prompt)), human.Grouped(t.Context))
		return "", nil
	}
	most := room
	if t.MaxTokens > 0 {
		most = min(room, t.MaxTokens)
	}
	how := t.Sampling
	how.Seed = rng.New(how.Seed, "talk", uint64(t.tries)).Uint64()
	t.tries++

	answering, stop := context.WithCancel(ctx)
	t.mu.Lock()
	t.stop = stop
	t.mu.Unlock()
	stream, began := t.tok.Decoder(), time.Now()
	show := func(text string) { io.WriteString(t.out, terminal.PrintableText(text)) }
	got, kept, err := t.thread.Continue(answering, model.Request{
		Prompt: prompt, MaxNewTokens: most, Stop: t.template.Stop(), Sampling: how,
		Emit: func(id int32) {
			if !t.tok.IsSpecial(id) {
				show(stream.Next(id))
			}
		},
	})
	t.mu.Lock()
	t.stop = nil
	t.mu.Unlock()
	stop()
	show(stream.Flush() + "\n")
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case errors.Is(err, context.Canceled):
		t.note("(stopped)")
	case err != nil:
		return "", err
	case got.Stop == model.StopLength && most == room:
		t.note("(cut off: the conversation fills the context of %s tokens; /reset begins anew, /save keeps it)", human.Grouped(t.Context))
	case got.Stop == model.StopLength:
		t.note("(cut off at --max-new-tokens %d)", t.MaxTokens)
	}
	if took := time.Since(began).Seconds(); t.Stats {
		t.note("(%s of %s read, %s written in %.1f s, %.1f tokens/s)", human.Grouped(len(prompt)-kept),
			human.Count(len(prompt), "token"), human.Grouped(len(got.IDs)), took, float64(len(got.IDs))/took)
	}
	return t.tok.Decode(got.IDs, true), nil
}
