package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"lwtrain/chat"
	"lwtrain/configs"
	"lwtrain/data"
	"lwtrain/internal/atomicfile"
	"lwtrain/report"
	"lwtrain/session"
	"lwtrain/train"
)

func newStatsCmd() *cobra.Command {
	var asJSON bool
	var page, other string
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "Say what is in the data: lengths, tokens, targets, what is dropped",
		Long: `Counts what is in each source of a config and in the mix of all: samples, turns
and words of the answers (LongWriter's count: Chinese characters and English
words), tokens and target tokens, who carries how much of the loss under each
weighting, lengths, languages, duplicates, suspicious answers, the lengths that
prompts ask for, and what is dropped for which reason.

--html writes a page that can be sent to others: one file, which opens without
a network. --diff compares with what --json printed for other data, such as
the data.json of a run's folder.`,
		Example: `  lwtrain stats -c my.yaml
  lwtrain stats -c my.yaml --html data.html
  lwtrain stats -c my.yaml --json > before.json
  lwtrain stats -c my.yaml --diff before.json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var old *data.Stats
			if other != "" {
				var err error
				if old, err = data.ReadStats(other); err != nil {
					return err
				}
			}
			c, store, _, err := openSamples(cmd, args)
			if err != nil {
				return err
			}
			defer store.Close()
			s, err := session.Stats(c, store)
			if err != nil {
				return err
			}
			if page != "" {
				name, _ := configName(cmd) // it was there: it was loaded
				err := atomicfile.Write(page, func(w io.Writer) error {
					return report.WriteStats(w, report.StatsPage{Name: name, Stats: s, Other: old, OtherName: other})
				})
				if err != nil {
					return err
				}
			}
			switch out := cmd.OutOrStdout(); {
			case asJSON:
				return json.NewEncoder(out).Encode(s)
			case old != nil:
				return printDiff(out, s, old, other)
			default:
				return printStats(out, s)
			}
		},
	}
	addConfigFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.Flags().StringVar(&page, "html", "", "a file to write a page with plots to")
	cmd.Flags().StringVar(&other, "diff", "", "a file that --json wrote, to compare with")
	return cmd
}

// openSamples loads a config and opens the data of it.
func openSamples(cmd *cobra.Command, args []string) (*configs.Config, *data.Set, *chat.Template, error) {
	s, err := openSession(cmd, args, false)
	if err != nil {
		return nil, nil, nil, err
	}
	defer s.Close()
	store, chat, err := s.Samples(cmd.Context())
	return s.Config, store, chat, err
}

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
		Example: "  lwtrain pack -c my.yaml\n  lwtrain pack -c my.yaml packing.weighting=longwriter --json\n  lwtrain pack -c my.yaml --write packs.jsonl",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, store, _, err := openSamples(cmd, args)
			if err != nil {
				return err
			}
			defer store.Close()
			e, err := train.NewEpochs(store, c.Packing, c.Seed)
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
		"target_tokens": p.TargetTokens, "steps_per_epoch": p.StepsPerEpoch, "steps": p.Schedule.Total,
		"strategy": c.Packing.Strategy, "weighting": c.Packing.Weighting,
		"dropped": store.Mix().Dropped, "lost_tokens": store.Mix().LostTokens, "held_out": len(store.HeldOut()), "loss_shares": shares,
	})
}

func printPack(out io.Writer, c *configs.Config, p *train.Plan) error {
	fmt.Fprintf(out, "%s of %s tokens, %.2f %% full (%s): %s, %s tokens, %s targets\n%s an epoch\n\n",
		count(p.Packs, "pack"), grouped(int64(p.Capacity)), 100*p.Fill(), c.Packing.Strategy, count(p.Documents, "sample"),
		grouped(p.Tokens), grouped(p.TargetTokens), count(p.StepsPerEpoch, "step"))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "weighting %s\tsamples\ttokens\ttargets\tof the targets\tof the loss\t\n", c.Packing.Weighting)
	for _, s := range p.Shares {
		name := s.Name
		if s.Kind == "words" {
			name += " words"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%.1f %%\t%.1f %%\t\n", printable(name), grouped(int64(s.Documents)), grouped(s.Tokens),
			grouped(s.TargetTokens), 100*float64(s.TargetTokens)/float64(p.TargetTokens), 100*s.Loss)
	}
	return w.Flush()
}
