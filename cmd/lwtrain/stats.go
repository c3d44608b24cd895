package main

import (
	"encoding/json"
	"io"

	"github.com/spf13/cobra"

	"lwtrain/data"
	"lwtrain/internal/atomicfile"
	"lwtrain/internal/show"
	"lwtrain/report"
	"lwtrain/session"
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
				return show.StatsDiff(out, s, old, other)
			default:
				return show.Stats(out, s)
			}
		},
	}
	addConfigFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.Flags().StringVar(&page, "html", "", "a file to write a page with plots to")
	cmd.Flags().StringVar(&other, "diff", "", "a file that --json wrote, to compare with")
	return cmd
}
