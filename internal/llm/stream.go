package llm

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"lwtrain/internal/plainjson"
	"lwtrain/internal/transport"
)

// patience ends a request of which nothing comes.
type patience struct {
	next   time.Duration // that it may take until more comes
	begun  atomic.Bool
	since  time.Time // of a stream: when it began; zero: it has not
	timer  *time.Timer
	cancel context.CancelCauseFunc
	free   func() bool // of the context that it is under
}

// stopWait is how long a reply that has begun may go on when all is to stop: who stops a container waits half a minute.
const stopWait = 20 * time.Second

// ErrStopping is what [Client.Waiting] is told once replies that have begun are waited for, so long at most, since all is to stop.
var ErrStopping = errors.New("stopping")

// patience is that of a request under ctx. Once that is cancelled, a reply of which something has come is waited for: it is paid for.
// So is each that is under way at a server whose replies come whole, of which nothing shows before.
func (c *Client) patience(ctx context.Context) (context.Context, *patience) {
	late := func(err error) error { return &failure{"silent", err} } // waited for once more, after all others
	under, p := newPatience(context.WithoutCancel(ctx), time.Duration(c.Timeout)*time.Second, late)
	p.free = context.AfterFunc(ctx, func() {
		cause := context.Cause(ctx)
		if !p.begun.Load() && !c.whole.Load() || !errors.Is(cause, context.Canceled) {
			p.cancel(cause)
			return
		}
		if c.Waiting != nil {
			c.stopping.Do(func() { c.Waiting(ErrStopping, c.stopWait) })
		}
		time.AfterFunc(c.stopWait, func() { p.cancel(cause) })
	})
	if ctx.Err() != nil { // now, and not in a moment
		p.cancel(context.Cause(ctx))
	}
	return under, p
}

// newPatience waits for first until something comes, and then a tenth of it, or a minute
// where that is more. late turns what it ends a request with into the error of one.
func newPatience(ctx context.Context, first time.Duration, late func(error) error) (context.Context, *patience) {
	ctx, cancel := context.WithCancelCause(ctx)
	p := &patience{next: min(first, max(time.Minute, first/10)), cancel: cancel}
	p.timer = time.AfterFunc(first, func() {
		err := fmt.Errorf("no answer in %s", seconds(first))
		if p.begun.Load() {
			err = fmt.Errorf("nothing more of the answer in %s", seconds(p.next))
		}
		cancel(late(err))
	})
	return ctx, p
}

// more is told that something has come.
func (p *patience) more() {
	if !p.begun.Swap(true) {
		p.since = time.Now()
	}
	p.timer.Reset(p.next)
}

// last is told that all has come but what need not come.
func (p *patience) last() { p.timer.Reset(min(p.next, 5*time.Second)) }

func (p *patience) end() {
	if p.free != nil {
		p.free()
	}
	p.timer.Stop()
	p.cancel(nil)
}

// bytes that a reply may have: a piece of a stream repeats who says it, and each candidate
// is an object.
const replyBytes, tokenBytes, candidateBytes = 1 << 20, 1 << 10, 256

// read reads the reply to r, a stream or whole, and looks at how it ended. With an error
// the reply holds what came.
func (c *Client) read(ctx context.Context, r Request, body io.Reader, wait *patience) (Reply, error) {
	most := min(mostReply, replyBytes+r.MaxTokens*(tokenBytes+candidateBytes*r.TopLogprobs))
	limited := &io.LimitedReader{R: body, N: int64(most) + 1}
	in := bufio.NewReader(limited)
	var s said
	err := c.readInto(&s, in, wait, r.MaxTokens)
	switch {
	case limited.N <= 0:
		err = &failure{"too long", fmt.Errorf("a reply of more than %d MiB to a request for %d tokens", most>>20, r.MaxTokens)}
	case err != nil && ctx.Err() != nil:
		err = context.Cause(ctx)
	}
	if c.repeatsKey(&s) {
		return Reply{}, &transport.BusyError{Err: &failure{"no answer", errKey}}
	}
	reply := s.reply()
	if reply.Reasoning == "" {
		reply.Reasoning, reply.Text = SplitReasoning(reply.Text, openedBefore(reply.Text))
	}
	if err == nil {
		reply.Stop, err = c.end(&s, r)
	}
	return reply, err
}

// readInto reads a reply: a stream, or the JSON of a whole one from a server that has none.
func (c *Client) readInto(s *said, in *bufio.Reader, wait *patience, asked int) error {
	first, err := in.ReadByte()
	for err == nil && (first == ' ' || first == '\t' || first == '\r' || first == '\n') {
		first, err = in.ReadByte()
	}
	if err != nil {
		return cut("the reply is empty")
	}
	if err := in.UnreadByte(); err != nil {
		return err
	}
	if first != '{' && first != '<' {
		return c.readEvents(s, in, wait, asked)
	}
	raw, err := io.ReadAll(in)
	if err != nil {
		return cut("the reply breaks off: %w", transport.UnreachableError{Err: err})
	}
	if err := c.addJSON(s, raw); err != nil {
		return err
	}
	if s.answered {
		c.whole.Store(true)
	}
	if !s.answered && !s.tools && s.broken == nil && s.refusal == "" && s.reasoning.Len() == 0 {
		return noAnswer("no choices[0].message.content in the reply: %s", c.excerpt(raw))
	}
	return nil
}

// readEvents reads a stream of server-sent events, of which data alone counts.
func (c *Client) readEvents(s *said, in *bufio.Reader, wait *patience, asked int) error {
	var data []byte
	for {
		line, err := in.ReadBytes('\n')
		line = bytes.TrimRight(line, "\r\n")
		if value, ok := bytes.CutPrefix(line, []byte("data:")); ok {
			data = append(append(data, value...), '\n')
		}
		if len(line) == 0 || err != nil {
			event := bytes.TrimSpace(data)
			data = data[:0]
			if string(event) == "[DONE]" {
				return nil
			}
			before, ended := s.pieces, s.finish != ""
			if len(event) > 0 {
				if err := c.addJSON(s, event); err != nil && !ended { // else all but the count was there
					return err
				}
			}
			switch {
			case ended:
			case s.finish != "":
				wait.last()
			case s.pieces > before:
				wait.more()
			}
			if s.broken != nil || endless(s.pieces, asked) {
				return nil
			}
		}
		if err == io.EOF || err != nil && s.finish != "" {
			return nil
		}
		if err != nil {
			return cut("the reply breaks off: %w", transport.UnreachableError{Err: err})
		}
	}
}

// addJSON adds a piece as the server wrote it.
func (c *Client) addJSON(s *said, raw []byte) error {
	if !plainjson.Within(raw, mostValues) {
		return noAnswer("a reply of more than %d values of JSON", mostValues)
	}
	var p piece
	if json.Unmarshal(raw, &p) != nil {
		return noAnswer("no JSON of a reply: %s", c.excerpt(raw))
	}
	s.add(p)
	return nil
}

// endless reports whether more came than can be of the tokens asked for.
func endless(pieces, asked int) bool { return asked > 0 && pieces > asked+asked/8+16 }

// failure is why what came is no answer.
type failure struct {
	kind string
	err  error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// cut is an answer that breaks off, which may come whole another time.
func cut(format string, args ...any) error {
	return &transport.BusyError{Err: &failure{"cut", fmt.Errorf(format, args...)}}
}

// noAnswer is something else than an answer, instead of which one may come another time.
func noAnswer(format string, args ...any) error {
	return &transport.BusyError{Err: &failure{"no answer", fmt.Errorf(format, args...)}}
}

// ollamaContext is the size that Ollama's contexts have unless it is told another one: what
// does not fit is cut off in silence.
const (
	ollamaContext = 4096
	ollamaHint    = "where it is Ollama, OLLAMA_CONTEXT_LENGTH sets how many it takes"
)

// end is why a reply that has come ended, or an error where it is none.
func (c *Client) end(s *said, r Request) (stop string, err error) {
	asked, tokens := r.MaxTokens, s.completion
	if tokens == 0 && s.pieces > 1 {
		tokens = s.pieces
	}
	full := asked > 0 && (tokens >= asked-1 || endless(s.pieces, asked)) // some servers say stop at the limit
	empty := s.text.Len() == 0 && s.reasoning.Len() == 0
	finish := strings.ToLower(s.finish)
	switch {
	case s.broken != nil:
		var told struct {
			Code json.Number `json:"code"`
		}
		if json.Unmarshal(s.broken, &told) == nil && (told.Code == "400" || told.Code == "413") {
			kind := "refused"
			if tooLong.Match(s.broken) {
				kind = "context"
			}
			return "", &failure{kind, fmt.Errorf("status %s: %s", told.Code, c.excerpt(s.broken))}
		}
		return "", cut("an error in the midst of the reply: %s", c.excerpt(s.broken))
	case withheld[finish] || strings.HasPrefix(finish, "content_filter"):
		return "", &failure{"content filter", errors.New("the server withholds the answer")}
	case s.refusal != "" && empty:
		return "", &failure{"refused", fmt.Errorf("by the model: %s", c.excerpt([]byte(s.refusal)))}
	case s.tools && empty:
		return "", &failure{"no answer", errors.New("the model calls a tool instead")}
	case full && s.finish == "":
		return StopLength, nil // what comes after the limit is not waited for
	case s.finish == "":
		return "", cut("the reply ended without a finish_reason")
	}
	if least := leastTokens(r); s.prompt > 0 && s.prompt < least {
		return "", &failure{"cut", fmt.Errorf("the server read %d tokens of a prompt of %d or more; %s", s.prompt, least, ollamaHint)}
	}
	if s.total == ollamaContext && s.prompt+s.completion == s.total && !full {
		return "", &failure{"cut", fmt.Errorf("the server's context of %d tokens is full; %s", s.total, ollamaHint)}
	}
	switch finish {
	case "stop", "eos", "eos_token", "stop_sequence", "end_turn", "completed":
		if full {
			return StopLength, nil
		}
		return StopEOS, nil
	case "length", "max_tokens":
		if n := s.mostTokens(); n > 0 && n+asked/50 < asked {
			return "", &failure{"cut", fmt.Errorf("the server stopped after at most %d of %d tokens", n, asked)}
		}
		return StopLength, nil
	}
	if passing[finish] {
		return "", cut("finish_reason %s", c.excerpt([]byte(s.finish)))
	}
	return "", &failure{"no answer", fmt.Errorf("finish_reason %s, want stop or length", c.excerpt([]byte(s.finish)))}
}

// passing are the ends by which servers say that they have broken an answer off, withheld those by which they keep it to
// themselves. What any other one means, asking again does not tell.
var (
	passing  = map[string]bool{"abort": true, "error": true, "cancelled": true, "network_error": true, "insufficient_system_resource": true}
	withheld = map[string]bool{"sensitive": true, "safety": true, "recitation": true}
)

// leastTokens is how many tokens a prompt has at least, 0 for a short one: no more than
// half of its words, and a quarter of its Chinese characters, as no tokenizer makes fewer.
func leastTokens(r Request) int {
	const short = 256
	words, chinese := 0, 0
	for _, m := range r.Messages {
		inside := false
		for _, c := range m.Content {
			letter := 'a' <= c|0x20 && c|0x20 <= 'z'
			if letter && !inside {
				words++
			}
			if inside = letter; 0x4E00 <= c && c <= 0x9FFF {
				chinese++
			}
		}
	}
	if least := words/2 + chinese/4; least >= short {
		return least
	}
	return 0
}

// seconds says a duration of whole seconds.
func seconds(d time.Duration) string {
	if d == time.Second {
		return "1 second"
	}
	return fmt.Sprintf("%d seconds", int(d.Seconds()))
}
