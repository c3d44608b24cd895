package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"lwtrain/chat"
	"lwtrain/data/record"
	"lwtrain/internal/show"
	"lwtrain/model"
	"lwtrain/session"
)

func newTokenizeCmd() *cobra.Command {
	var dir, template string
	today := model.Default().TemplateDate
	var chat, plain bool
	cmd := &cobra.Command{
		Use:   "tokenize -m DIR [--chat]",
		Short: "Turn lines of text into token ids, as training sees them",
		Long: `Reads lines from standard input and prints one JSON value for each.

Without --chat a line is text, and the value is the array of its ids, with the
special tokens that the tokenizer puts around a text (Llama's BOS); a line that
has \n in it can not be told from two lines: such text goes through --chat.

With --chat a line is a record {"messages": [...]}, and the value is
{"ids": [...], "target": [0, 1, ...]}: target is 1 for the tokens that carry
loss, which are the assistant's and the token that ends its turn. "unread" has
the keys of the record that nothing reads, if there are any. A template that
prints the date (strftime_now) is told that --date is today, as training tells
it model.template_date.`,
		Example: `  echo "Hello world" | lwtrain tokenize -m runs/models/smollm2-135m-instruct
  head -1 data.jsonl | lwtrain tokenize -m DIR --chat`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := useThreads(cmd); err != nil {
				return err
			}
			tok, err := session.LoadTokenizer(cmd.Context(), dir, show.Session(cmd.ErrOrStderr()))
			if err != nil {
				return err
			}
			encode := func(line []byte, at string) (any, error) {
				if plain {
					return orEmpty(tok.EncodeText(string(line))), nil
				}
				return orEmpty(tok.Encode(string(line))), nil
			}
			if chat {
				c, err := session.TrainingTemplate(tok, template, today)
				if err != nil {
					return err
				}
				for _, w := range c.Warnings() {
					show.Warn(cmd.ErrOrStderr(), "%s", w)
				}
				encode = func(line []byte, at string) (any, error) { return encodeRecord(c, line, at) }
			}
			return eachLine(cmd.InOrStdin(), cmd.OutOrStdout(), encode)
		},
	}
	addThreads(cmd)
	fl := cmd.Flags()
	fl.StringVarP(&dir, "model", "m", "", "model folder, or any folder with a tokenizer.json")
	fl.BoolVar(&chat, "chat", false, "lines are records with messages")
	fl.BoolVar(&plain, "no-special-tokens", false, "do not add the special tokens that the tokenizer puts around a text")
	fl.StringVar(&template, "template", "auto", "chat template: auto (the model's own), a shipped name, or a .jinja file")
	fl.TextVar(&today, "date", today, "the day that the template is told is today")
	cmd.MarkFlagRequired("model")
	return cmd
}

// encodeRecord is a conversation's ids and target mask, as the data store has
// them.
func encodeRecord(c *chat.Template, line []byte, at string) (any, error) {
	r, unread, err := record.Render(c, line)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", at, err)
	}
	return struct {
		IDs    []int32  `json:"ids"`
		Target []int    `json:"target"`
		Unread []string `json:"unread,omitempty"`
	}{orEmpty(r.IDs), r.Mask(), unread}, nil
}

// maxLineBytes bounds a line of standard input.
const maxLineBytes = 64 << 20

// eachLine answers every line of in with a line of JSON on out.
func eachLine(in io.Reader, out io.Writer, answer func(line []byte, at string) (any, error)) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLineBytes)
	w := bufio.NewWriter(out)
	defer w.Flush()
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for n := 1; lines.Scan(); n++ {
		v, err := answer(lines.Bytes(), fmt.Sprintf("standard input:%d", n))
		if err != nil {
			return err
		}
		if err := enc.Encode(v); err != nil {
			return err
		}
	}
	return lines.Err()
}
