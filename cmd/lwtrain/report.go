package main

import (
	"cmp"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"lwtrain/internal/show"
	"lwtrain/session"
)

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
			path := cmp.Or(page, filepath.Join(args[0], session.ReportFile))
			if err := session.Report(args[0], path, show.Session(cmd.ErrOrStderr())); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), path)
			return nil
		},
	}
	cmd.Flags().StringVar(&page, "html", "", "the file to write; RUN_DIR/report.html where it is not said")
	return cmd
}
