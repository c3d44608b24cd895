package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"lwtrain/chat"
	"lwtrain/configs"
	"lwtrain/data"
	"lwtrain/internal/fault"
	"lwtrain/internal/show"
	"lwtrain/internal/terminal"
)

func newDataCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "data",
		Short: "Look at single samples: their tokens, and which are targets",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newDataShowCmd())
	return cmd
}

func newDataShowCmd() *cobra.Command {
	var sample int
	var source, origin string
	var ids, asJSON bool
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print a sample with its tokens marked by what is trained on",
		Long: `Prints a sample as training sees it: the tokens of each message and how many of
them are targets, then the text with its special tokens. On a terminal targets
have a green ground, in two shades that tell tokens apart; elsewhere, and with
NO_COLOR, they stand in ⟦brackets⟧, and lines that have some begin with >.
Special tokens that come from a message's own text are counted, and red. A
template that prints the date is told that model.template_date is today.

Samples are counted from 1, through all sources or those of --source. --origin
names any record by its file and line, used or not, and says why it is not.`,
		Example: `  lwtrain data show -c my.yaml
  lwtrain data show -c my.yaml --source general --sample 3 --ids
  lwtrain data show -c my.yaml --origin long.jsonl:17`,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, store, template, err := openSamples(cmd, args)
			if err != nil {
				return err
			}
			defer store.Close()
			v := show.Record{Config: c, Set: store}
			if v.Look, v.Shown, err = pickRecord(c, template, store, sample, source, origin); err != nil {
				return err
			}
			switch out := cmd.OutOrStdout(); {
			case asJSON:
				return json.NewEncoder(out).Encode(v.JSON())
			default:
				return v.Print(out, ids, terminal.IsTerminal(out) && os.Getenv("NO_COLOR") == "")
			}
		},
	}
	addConfigFlags(cmd)
	fl := cmd.Flags()
	fl.IntVar(&sample, "sample", 1, "which sample, from 1")
	fl.StringVar(&source, "source", "", "count the samples of this source alone")
	fl.StringVar(&origin, "origin", "", "a record by its file and line: long.jsonl:17")
	fl.BoolVar(&ids, "ids", false, "a line for each token: place, id, target, message, text")
	fl.BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.MarkFlagsMutuallyExclusive("origin", "sample")
	cmd.MarkFlagsMutuallyExclusive("origin", "source")
	return cmd
}

// pickRecord finds the record that was asked for, and the piece of it that is
// the sample; nil: all of it.
func pickRecord(
	c *configs.Config, template *chat.Template, store *data.Set, sample int, source, origin string,
) (*data.Look, *data.Piece, error) {
	sources := store.Sources()
	if origin != "" {
		at := strings.LastIndexByte(origin, ':')
		number, err := strconv.Atoi(origin[at+1:])
		if at < 0 || err != nil || number < 1 {
			return nil, nil, fault.Usage(fmt.Errorf("--origin is %q, want a file and a line of it: long.jsonl:17", origin))
		}
		path := origin[:at]
		var known []string
		for i, s := range sources {
			n, ok := store.Number(i, path, number)
			if ok || s.Path == path || s.Name == path {
				look, err := store.Look(c.Data, template, i, n)
				return look, nil, fault.Usage(err)
			}
			known = append(known, s.Path)
		}
		return nil, nil, fault.Usage(fmt.Errorf("--origin: %s is no file of this config, want one of: %s", path, strings.Join(known, ", ")))
	}
	of := -1
	if source != "" {
		var known []string
		for i, s := range sources {
			known = append(known, s.Name)
			if s.Name == source {
				of = i
			}
		}
		if of < 0 {
			return nil, nil, fault.Usage(fmt.Errorf("--source is %q, want one of: %s", source, strings.Join(known, ", ")))
		}
	}
	all := store.Records(of)
	if len(all) == 0 {
		return nil, nil, fault.Usage(fault.Hint(errors.New("there is no sample to show"),
			"`lwtrain stats` says what is dropped; --origin shows any record"))
	}
	if sample < 1 || sample > len(all) {
		return nil, nil, fault.Usage(fault.Hint(fmt.Errorf("--sample is %d, want 1 to %d", sample, len(all)),
			"`lwtrain stats` says what is dropped; --origin shows any record"))
	}
	i, number := store.Place(all[sample-1])
	look, err := store.Look(c.Data, template, i, number)
	if err != nil {
		return nil, nil, err
	}
	for k := range look.Samples {
		if look.Samples[k].Sample == all[sample-1] {
			return look, &look.Samples[k], nil
		}
	}
	return nil, nil, fmt.Errorf("%s: read again, line %d is another record than before", sources[i].Path, number)
}
