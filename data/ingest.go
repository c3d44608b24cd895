package data

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"

	"lwtrain/examples"
	"lwtrain/internal/fault"
	"lwtrain/tokenizer"
)

// builtin is the start of the path of a source that ships with lwtrain.
const builtin = "builtin:"

// open opens a source and says how large it is.
func (s Source) open() (fs.File, int64, error) {
	var f fs.File
	var err error
	if name, ok := strings.CutPrefix(s.Path, builtin); ok {
		f, err = examples.FS.Open(name)
	} else {
		f, err = os.Open(s.Path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, fault.Usage(fault.Hint(fmt.Errorf("%s: no such file, want the conversations of source %s", s.Path, s.Name),
			"relative paths start at the folder that lwtrain runs in"))
	}
	if err != nil {
		return nil, 0, fault.Usage(err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: no regular file, want a .jsonl file", s.Path)
	}
	if err != nil {
		f.Close()
		return nil, 0, fault.Usage(err)
	}
	return f, info.Size(), nil
}

// bad is the error of a record that can't be used.
func (s Source) bad(line int, err error) error {
	return fault.Usage(fault.Hint(fmt.Errorf("%s:%d: %w", s.Path, line, err),
		"mend the record, or count and skip such records with data.on_bad_record: skip"))
}

// dropped counts the records that could not be used, for one reason.
type dropped struct {
	Reason string `json:"reason"`
	Count  int    `json:"count"`
	Line   int    `json:"first_line"`
	Detail string `json:"first_detail"`
}

// ingested is a source after tokenising.
type ingested struct {
	entries []entry
	dropped []dropped // in the order of their first lines
}

func (in *ingested) drop(number int, err error) {
	reason := "invalid"
	var record *badRecord
	var talk *tokenizer.ConversationError
	switch {
	case errors.As(err, &record):
		reason = record.reason
	case errors.As(err, &talk):
		reason = strings.ReplaceAll(string(talk.Reason), " ", "_")
	}
	for i := range in.dropped {
		if in.dropped[i].Reason == reason {
			in.dropped[i].Count++
			return
		}
	}
	in.dropped = append(in.dropped, dropped{reason, 1, number, err.Error()})
}

// chunkBytes is about how much text a worker takes at a time.
const chunkBytes = 1 << 18

// chunk is a piece of a source on its way through a worker. out is filled and
// done closed by the worker; results are taken in the order of the source.
type chunk struct {
	lines []line
	out   []tokenised // one for each line
	done  chan struct{}
	read  int64 // bytes of the source up to the chunk's end
}

type tokenised struct {
	records []record // one, or the two sides of a pair
	err     error
}

// ingest tokenises a source with one worker a processor, in bounded memory, and
// hands the records to add in the order of the file. With stopAtBad the first
// record that can't be used is an error; else they are counted by reason. A
// source whose SHA-256 is not sum was changed since that was taken: what was made
// of it would be kept under the wrong name.
func ingest(ctx context.Context, src Source, sum string, chat *tokenizer.Chat, pairs, stopAtBad bool, add func(record) error, progress func(done int64)) (in ingested, err error) {
	f, _, err := src.open()
	if err != nil {
		return in, err
	}
	defer f.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	workers := runtime.GOMAXPROCS(0)
	work := make(chan *chunk)
	ordered := make(chan *chunk, 2*workers)
	var readErr error
	read := sha256.New()
	go func() {
		defer close(ordered)
		defer close(work)
		readErr = eachChunk(newRecords(src.Path, io.TeeReader(f, read)), func(c *chunk) bool {
			for _, to := range []chan *chunk{ordered, work} {
				select {
				case to <- c:
				case <-ctx.Done():
					return false
				}
			}
			return true
		})
	}()
	for range workers {
		go func() {
			with := toolChats{plain: chat}
			for c := range work {
				for _, l := range c.lines {
					var t tokenised
					if pairs {
						t.records, t.err = with.tokenisePair(l)
					} else {
						var r record
						r, t.err = with.tokenise(l)
						t.records = []record{r}
					}
					c.out = append(c.out, t)
				}
				close(c.done)
			}
		}()
	}
	for c := range ordered {
		select {
		case <-c.done:
		case <-ctx.Done():
			return in, ctx.Err()
		}
		for i, t := range c.out {
			number := c.lines[i].number
			switch {
			case t.err != nil && stopAtBad:
				return in, src.bad(number, t.err)
			case t.err != nil:
				in.drop(number, t.err)
			default:
				for _, r := range t.records {
					in.entries = append(in.entries, r.entry())
					if err := add(r); err != nil {
						return in, err
					}
				}
			}
		}
		if progress != nil {
			progress(c.read)
		}
	}
	if ctx.Err() != nil {
		return in, ctx.Err()
	}
	if readErr == nil && hex.EncodeToString(read.Sum(nil)) != sum {
		readErr = fault.Hint(fmt.Errorf("%s: changed while it was read", src.Path), "start again when nothing writes to it")
	}
	return in, readErr
}

// eachChunk cuts a source into chunks until yield returns false.
func eachChunk(from records, yield func(*chunk) bool) error {
	for {
		c := &chunk{done: make(chan struct{})}
		var err error
		for size := 0; size < chunkBytes && err == nil; {
			var l line
			if l, err = from.next(); err == nil {
				c.lines = append(c.lines, l)
				size += len(l.text)
			}
		}
		c.read = from.bytes()
		if len(c.lines) > 0 && !yield(c) {
			return nil
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// Tokens is a conversation as training sees it.
type Tokens struct {
	IDs    []int32
	Target [][2]int32 // half-open ranges of ids that are targets
}

// Tokenise reads a line of a JSONL source and renders it as the store does.
func Tokenise(chat *tokenizer.Chat, text []byte) (Tokens, error) {
	r, err := (&toolChats{plain: chat}).tokenise(line{text: text})
	return Tokens{r.ids, r.target}, err
}

// toolChats is a chat template, and the same one told of the tools that the last
// record named: many records name the same, and telling a template of tools takes
// longer than rendering.
type toolChats struct {
	plain, with *tokenizer.Chat
	tools       string
}

func (t *toolChats) of(tools json.RawMessage) (*tokenizer.Chat, error) {
	if tools == nil {
		return t.plain, nil
	}
	if t.with == nil || t.tools != string(tools) {
		chat, err := t.plain.With(map[string]any{"tools": tools})
		if err != nil {
			return nil, bad("invalid_tools", "tools: %v", err)
		}
		t.with, t.tools = chat, string(tools)
	}
	return t.with, nil
}

func tooManyBytes() error {
	return bad("too_many_bytes", "a record of more than %d MiB", maxLine>>20)
}

// tokenise turns a line into ids and targets.
func (t *toolChats) tokenise(l line) (record, error) {
	if l.tooLong {
		return record{}, tooManyBytes()
	}
	c, err := parseRecord(l.text)
	if err != nil {
		return record{}, err
	}
	chat, err := t.of(c.tools)
	if err != nil {
		return record{}, err
	}
	return rendered(chat, c.messages, 0, l.number)
}

// rendered is a conversation after tokenising. Its targets are the answers from
// message first on.
func rendered(chat *tokenizer.Chat, messages []tokenizer.Message, first, number int) (record, error) {
	out, err := chat.RenderFrom(messages, first)
	if err != nil {
		return record{}, err
	}
	r := record{ids: out.IDs, line: int64(number), facts: examine(messages)}
	for _, span := range out.Target {
		r.target = append(r.target, [2]int32{span.Start, span.End})
	}
	for _, m := range messages[first:] {
		if m.Role == "assistant" {
			r.turns++
			r.words += int32(Words(m.Content))
		}
	}
	return r, nil
}
