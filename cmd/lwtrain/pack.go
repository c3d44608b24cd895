package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"lwtrain/chat"
	"lwtrain/configs"
	"lwtrain/data"
	"lwtrain/data/record"
	"lwtrain/internal/atomicfile"
	"lwtrain/internal/fault"
	"lwtrain/internal/show"
	"lwtrain/internal/terminal"
	"lwtrain/model"
	"lwtrain/report"
	"lwtrain/session"
	"lwtrain/train"
)

func newPackCmd() *cobra.Command {
	var asJSON, ids bool
	var write, page string
	cmd := &cobra.Command{
		Use:   "pack",
		Short: "Draw the packs, and say who carries the loss under which packer",
		Long: `Packs the samples of a config as its first epoch does, and draws the packs of
the first steps: a letter for each source, and the attention that a pack takes,
as part of that of one document that fills it. Then it says what part of the
loss each source and each range of answer lengths carries with the weighting of
the config, and sets all packers and weightings side by side: with some of them
a packer that fills better is another objective.

--html writes a page with all of it. With --write it also writes what every
step of the whole run trains on: a line of JSON for each pack, with the place
and the weight of each document.`,
		Example: `  lwtrain pack -c my.yaml
  lwtrain pack -c my.yaml --html packs.html
  lwtrain pack -c my.yaml packing.weighting=longwriter --json
  lwtrain pack -c my.yaml --write packs.jsonl
  lwtrain pack show 17 -c my.yaml`,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, store, _, err := openSamples(cmd, args)
			if err != nil {
				return err
			}
			defer store.Close()
			b, err := batchesOf(c, store)
			if err != nil {
				return err
			}
			v := show.Packs{Config: c, Set: store, Drawn: b.Draw()}
			if v.Plan, err = b.Plan(); err != nil {
				return err
			}
			if v.Comparison, err = b.Compare(); err != nil {
				return err
			}
			if write != "" {
				err := atomicfile.Write(write, func(w io.Writer) error {
					return b.Write(w, ids)
				})
				if err != nil {
					return err
				}
			}
			if page != "" {
				name, _ := configName(cmd) // it was there: it was loaded
				err := atomicfile.Write(page, func(w io.Writer) error {
					return report.WritePacks(w, v.Page(name))
				})
				if err != nil {
					return err
				}
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(v.JSON())
			}
			return v.Print(cmd.OutOrStdout())
		},
	}
	addConfigFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.Flags().StringVar(&page, "html", "", "a file to write a page with plots to")
	cmd.Flags().StringVar(&write, "write", "", "a .jsonl file to write the packs of all steps to")
	cmd.Flags().BoolVar(&ids, "ids", false, "with --write: token ids and targets of each document, too")
	cmd.AddCommand(newPackShowCmd())
	return cmd
}

func newPackShowCmd() *cobra.Command {
	var ids, asJSON bool
	cmd := &cobra.Command{
		Use:   "show N -c CONFIG [key=value ...]",
		Short: "Print a pack token by token: targets, weights, positions",
		Long: `Prints pack N of the first epoch, counted from 1 in the order of training, as an
engine gets it: each document with its place, and its text with the targets
marked, in green on a terminal, else, and with NO_COLOR, in ⟦brackets⟧. Weights
are those of the tokens' cross-entropies in the loss of the step. Control
characters are shown by name.`,
		Example: `  lwtrain pack show 1 -c my.yaml
  lwtrain pack show 17 -c my.yaml --ids
  lwtrain pack show 17 -c my.yaml --json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			number, err := strconv.Atoi(args[0])
			if err != nil {
				return fault.Usage(fmt.Errorf("pack %q, want its number in the first epoch, from 1", args[0]))
			}
			c, store, template, err := openSamples(cmd, args[1:])
			if err != nil {
				return err
			}
			defer store.Close()
			b, err := batchesOf(c, store)
			if err != nil {
				return err
			}
			laid, err := b.Laid(number)
			if err != nil {
				return err
			}
			v, out := show.Laid{LaidPack: laid, Template: template}, cmd.OutOrStdout()
			if asJSON {
				return json.NewEncoder(out).Encode(v.JSON())
			}
			return v.Print(out, ids, terminal.IsTerminal(out) && os.Getenv("NO_COLOR") == "")
		},
	}
	addConfigFlags(cmd)
	settings := cmd.Args
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return errors.New("no pack is given, want its number in the first epoch, from 1")
		}
		return settings(cmd, args[1:])
	}
	cmd.Flags().BoolVar(&ids, "ids", false, "a line for each token: place, position, id, weight, text")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// batchesOf are the packs of a config's run.
func batchesOf(c *configs.Config, store *data.Set) (*train.Batches, error) {
	e, err := train.NewEpochs(store, c.Packing, c.Train.PacksPerStep(), c.Seed)
	if err != nil {
		return nil, err
	}
	return train.NewBatches(e, c.Train)
}

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
