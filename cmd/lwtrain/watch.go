package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"lwtrain/internal/atomicfile"
	"lwtrain/internal/fault"
	"lwtrain/internal/show"
	"lwtrain/internal/terminal"
	"lwtrain/report"
	"lwtrain/session"
	"lwtrain/watch"
)

func newWatchCmd() *cobra.Command {
	var once, asJSON bool
	var address string
	var every time.Duration
	cmd := &cobra.Command{
		Use:   "watch RUN_DIR",
		Short: "Follow a run from another terminal, or on a page",
		Long: `Shows how far the run in a folder is: steps, loss, held-out loss, speed, time
left, and whether it is running, finished, stopped or died; of sft and dpo, of
pairs, agentwrite and eval, and of a chain's folder. It reads what the run has
written, takes no lock and disturbs nothing; Ctrl-C leaves it. It ends when the
run does. Without a terminal it prints a line now and then.

--http serves a page that follows the run, /metrics for Prometheus and
/status.json; a port alone is one of this machine (127.0.0.1). docs/watching.md
says more.`,
		Example: `  lwtrain watch runs/mine
  lwtrain watch runs/mine --once --json
  lwtrain watch runs/mine --http 7860`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if every < 100*time.Millisecond {
				return fault.Usage(fmt.Errorf("--every %v, want at least 100ms", every))
			}
			w := watch.New(args[0])
			if address != "" {
				if once || asJSON {
					return fault.Usage(errors.New("--http with --once or --json, want one of them: the page has /status.json"))
				}
				return servePage(cmd, w, address)
			}
			f := follower{out: cmd.OutOrStdout(), watcher: w, json: asJSON}
			if once {
				_, err := f.look(true)
				return err
			}
			return f.follow(cmd.Context(), every)
		},
	}
	cmd.Flags().BoolVar(&once, "once", false, "show it once")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object, a line each time that something is new")
	cmd.Flags().StringVar(&address, "http", "", "serve a page at an address: 7860, 127.0.0.1:7860")
	cmd.Flags().DurationVar(&every, "every", 2*time.Second, "how often to look")
	return cmd
}

// servePage serves the page of a folder until the command is stopped.
func servePage(cmd *cobra.Command, w *watch.Watcher, address string) error {
	address, err := watch.Address(address)
	if err != nil {
		return fault.Usage(fmt.Errorf("--http %w", err))
	}
	if _, err := w.Look(); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fault.Usage(err)
	}
	at := listener.Addr().(*net.TCPAddr)
	fmt.Fprintf(cmd.OutOrStdout(), "http://%s/\n", at)
	server := &http.Server{
		Handler: watch.Handler(w, at.IP.IsLoopback()), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: time.Minute, MaxHeaderBytes: 1 << 14,
	}
	stop := context.AfterFunc(cmd.Context(), func() { server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// follower shows a folder again and again.
type follower struct {
	out     io.Writer
	watcher *watch.Watcher
	json    bool
	drawn   int       // lines of the terminal that the last look took
	said    string    // the last line, without a terminal
	at      time.Time // when it was said
	began   time.Time
}

// follow looks until nobody is at work any more, or the command is stopped, which is how it is left.
func (f *follower) follow(ctx context.Context, every time.Duration) error {
	f.began = time.Now()
	for {
		s, err := f.look(false)
		if err != nil {
			return err
		}
		if s.State != watch.Running && s.State != watch.Unknown {
			if !f.json && !terminal.IsTerminal(f.out) {
				_, err = f.look(true)
			}
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(every):
		}
	}
}

// look shows how things stand: on a terminal in place of the last look, else a line if it is
// new and due. whole shows all of it.
func (f *follower) look(whole bool) (*watch.Status, error) {
	s, err := f.watcher.Look()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	if f.json {
		if news := fmt.Sprint(s.State, s.Updated, s.Note); news != f.said { // the time left goes on by itself
			f.said = news
			err = json.NewEncoder(f.out).Encode(s)
		}
		return s, err
	}
	if !whole && !terminal.IsTerminal(f.out) {
		const least, most = 5 * time.Second, 5 * time.Minute
		due := now.Sub(f.at) >= min(max(least, now.Sub(f.began)/60), most)
		if line := show.WatchedLine(s); line != f.said && due {
			f.said, f.at = line, now
			_, err = fmt.Fprintln(f.out, line)
		}
		return s, err
	}
	var b bytes.Buffer
	show.Watched(&b, s, terminal.Columns(f.out), now)
	if f.drawn > 0 {
		fmt.Fprintf(f.out, "\x1b[%dA\x1b[J", f.drawn)
	}
	if !whole {
		f.drawn = bytes.Count(b.Bytes(), []byte("\n"))
	}
	_, err = f.out.Write(b.Bytes())
	return s, err
}

func newReportCmd() *cobra.Command {
	var page string
	var compare, asJSON bool
	cmd := &cobra.Command{
		Use:   "report RUN_DIR...",
		Short: "Write a page about a run, or compare several",
		Long: `Reads what a run has left in its folder (metrics.jsonl, config.yaml,
answers.json, data.json) and writes a page about it: one HTML file that opens
without a network. The run may still be going on. At its end a run writes the
page itself.

--compare sets several runs side by side: figures, and the settings that differ,
as tables or with --json as one object; with --html also as a page on which the
curves of all lie over each other.`,
		Example: `  lwtrain report runs/mine
  lwtrain report runs/mine --html mine.html
  lwtrain report --compare runs/first runs/second --html both.html`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if compare {
				return compareRuns(cmd.OutOrStdout(), args, page, asJSON)
			}
			if len(args) > 1 || asJSON {
				return fault.Usage(fault.Hint(errors.New("several runs, or --json, without --compare"), "--compare sets runs side by side"))
			}
			path := cmp.Or(page, filepath.Join(args[0], session.ReportFile))
			if err := session.Report(args[0], path, show.Session(cmd.ErrOrStderr())); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), path)
			return nil
		},
	}
	cmd.Flags().StringVar(&page, "html", "", "the file to write; RUN_DIR/report.html where it is not said")
	cmd.Flags().BoolVar(&compare, "compare", false, "set runs side by side")
	cmd.Flags().BoolVar(&asJSON, "json", false, "with --compare: print one JSON object")
	return cmd
}

// compareRuns prints runs side by side, and writes their page where one is asked for.
func compareRuns(out io.Writer, dirs []string, page string, asJSON bool) error {
	runs := make([]*report.Run, len(dirs))
	for i, dir := range dirs {
		var err error
		if runs[i], err = report.ReadRun(dir); err != nil {
			return err
		}
	}
	c, err := report.CompareRuns(runs)
	if err != nil {
		return err
	}
	if page != "" {
		if err := atomicfile.Write(page, func(w io.Writer) error { return report.WriteRuns(w, c) }); err != nil {
			return err
		}
	}
	if asJSON {
		return json.NewEncoder(out).Encode(c)
	}
	if err := show.Runs(out, c); err != nil || page == "" {
		return err
	}
	_, err = fmt.Fprintf(out, "\n%s\n", page)
	return err
}
