package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"lwtrain/configs"
	"lwtrain/data"
	"lwtrain/internal/atomicfile"
	"lwtrain/internal/human"
	"lwtrain/internal/terminal"
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
