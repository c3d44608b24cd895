package main

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"lwtrain/configs"
	"lwtrain/data"
	"lwtrain/internal/atomicfile"
	"lwtrain/report"
)

// reportFile is the page of a run in its folder.
const reportFile = "report.html"

func newReportCmd() *cobra.Command {
	var page string
	cmd := &cobra.Command{
		Use:   "report RUN_DIR",
		Short: "Write a page about a run: its loss, settings and answers",
		Long: `Reads what a run has left in its folder (metrics.jsonl, config.yaml,
answers.json, data.json) and writes a page about it: one HTML file that opens
without a network. The run may still be going on. At its end a run writes the
page itself.`,
		Example: "  lwtrain report runs/mine\n  lwtrain report runs/mine --html mine.html",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := report.ReadRun(args[0])
			if err != nil {
				return err
			}
			path := orElse(page, filepath.Join(args[0], reportFile))
			if err := atomicfile.Write(path, func(w io.Writer) error { return report.WriteRun(w, r) }); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), path)
			return nil
		},
	}
	cmd.Flags().StringVar(&page, "html", "", "the file to write; RUN_DIR/report.html where it is not said")
	return cmd
}

// writeReport writes the statistics of a run's data and the page about it into
// the run's folder. A run that got this far is done: what fails here is a
// warning.
func writeReport(w io.Writer, c *configs.Config, store *data.Set) {
	err := func() error {
		s, err := countAll(c, store)
		if err != nil {
			return err
		}
		for i := range s.Sources { // where it was kept is of no run's concern
			s.Sources[i].Cache, s.Sources[i].Tokenised = "", ""
		}
		raw, err := json.Marshal(s)
		if err != nil {
			return err
		}
		if err := atomicfile.WriteBytes(filepath.Join(c.Output.Dir, report.DataFile), append(raw, '\n')); err != nil {
			return err
		}
		r, err := report.ReadRun(c.Output.Dir)
		if err != nil {
			return err
		}
		return atomicfile.Write(filepath.Join(c.Output.Dir, reportFile), func(w io.Writer) error { return report.WriteRun(w, r) })
	}()
	if err != nil {
		warn(w, "no report: %v", err)
	}
}
