package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"lwtrain/chat"
	"lwtrain/configs"
	"lwtrain/data"
	"lwtrain/data/record"
	"lwtrain/internal/atomicfile"
	"lwtrain/internal/human"
	"lwtrain/internal/show"
	"lwtrain/internal/terminal"
	"lwtrain/model"
	"lwtrain/session"
	"lwtrain/train"
)

func newPackCmd() *cobra.Command {
	var asJSON, ids bool
	var write string
	cmd := &cobra.Command{
		Use:   "pack",
		Short: "Say what the packs are, how full, and who carries the loss",
		Long: `Packs the samples of a config as its first epoch does, and says how full the
packs are and what part of the loss each source and each range of answer
lengths carries with the weighting of the config. With --write it also writes
what every step of the whole run trains on: a line of JSON for each pack, with
the place and the weight of each document.`,
		Example: `  lwtrain pack -c my.yaml
  lwtrain pack -c my.yaml packing.weighting=longwriter --json
  lwtrain pack -c my.yaml --write packs.jsonl`,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, store, _, err := openSamples(cmd, args)
			if err != nil {
				return err
			}
			defer store.Close()
			e, err := train.NewEpochs(store, c.Packing, c.Train.PacksPerStep(), c.Seed)
			if err != nil {
				return err
			}
			b, err := train.NewBatches(e, c.Train)
			if err != nil {
				return err
			}
			p, err := b.Plan()
			if err != nil {
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
			if asJSON {
				return printPackJSON(cmd.OutOrStdout(), c, store, p)
			}
			return printPack(cmd.OutOrStdout(), c, p)
		},
	}
	addConfigFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.Flags().StringVar(&write, "write", "", "a .jsonl file to write the packs of all steps to")
	cmd.Flags().BoolVar(&ids, "ids", false, "with --write: token ids and targets of each document, too")
	return cmd
}

func printPackJSON(out io.Writer, c *configs.Config, store *data.Set, p *train.Plan) error {
	type share struct {
		Name         string  `json:"name"`
		Documents    int     `json:"documents"`
		Tokens       int64   `json:"tokens"`
		TargetTokens int64   `json:"target_tokens"`
		Loss         float64 `json:"loss"`
	}
	shares := map[string][]share{}
	for _, s := range p.Shares {
		shares[s.Kind] = append(shares[s.Kind], share{s.Name, s.Documents, s.Tokens, s.TargetTokens, s.Loss})
	}
	return json.NewEncoder(out).Encode(map[string]any{
		"packs": p.Packs, "capacity": p.Capacity, "fill": p.Fill(), "documents": p.Documents, "tokens": p.Tokens,
		"target_tokens": p.TargetTokens, "steps_per_epoch": p.StepsPerEpoch, "attention_balance": p.Attention, "steps": p.Schedule.Total,
		"strategy": c.Packing.Strategy, "weighting": c.Packing.Weighting,
		"dropped": store.Mix().Dropped, "lost_tokens": store.Mix().LostTokens, "held_out": len(store.HeldOut()), "loss_shares": shares,
	})
}

func printPack(out io.Writer, c *configs.Config, p *train.Plan) error {
	fmt.Fprintf(out, "%s of %s tokens, %.2f %% full (%s): %s, %s tokens, %s targets\n%s an epoch; attention balance ratio %.4f\n\n",
		human.Count(p.Packs, "pack"), human.Grouped(p.Capacity), 100*p.Fill(), c.Packing.Strategy, human.Count(p.Documents, "sample"),
		human.Grouped(p.Tokens), human.Grouped(p.TargetTokens), human.Count(p.StepsPerEpoch, "step"), p.Attention)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "weighting %s\tsamples\ttokens\ttargets\tof the targets\tof the loss\t\n", c.Packing.Weighting)
	for _, s := range p.Shares {
		name := s.Name
		if s.Kind == "words" {
			name += " words"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%.1f %%\t%.1f %%\t\n",
			terminal.Printable(name), human.Grouped(s.Documents), human.Grouped(s.Tokens),
			human.Grouped(s.TargetTokens), 100*float64(s.TargetTokens)/float64(p.TargetTokens), 100*s.Loss)
	}
	return w.Flush()
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
