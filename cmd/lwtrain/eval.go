package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"lwtrain/eval/tasks"
)

func newEvalCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "eval",
		Short: "Measure how long and how well a model writes",
	}
	cmd.AddCommand(newEvalLsCmd())
	return cmd
}

func newEvalLsCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "ls",
		Short: "List the tasks",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			out := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, t := range tasks.All() {
				fmt.Fprintf(out, "%s\t%s\n\t%s\n\twords: %s\n", t.Name, t.About, t.Source, t.Counted)
			}
			return out.Flush()
		},
	}
}
