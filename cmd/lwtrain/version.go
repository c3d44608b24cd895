package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"lwtrain/session"
)

func newVersionCmd() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Say which lwtrain this is", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "lwtrain %s\n", session.Version())
			return err
		},
	}
}
