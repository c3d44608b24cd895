package torch

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"lwtrain/internal/fault"
	"lwtrain/internal/rundir"
)

// launcherLog is what torch.distributed.run writes; the workers' logs are rank-N.log.
const launcherLog = "launcher.log"

// Kinds of what a worker leaves behind when it fails.
const (
	kindError  = "error"
	kindMemory = "memory"
	kindPeer   = "peer"   // it follows from another rank's end
	kindClosed = "closed" // the conductor went away, or the socket to it was cut
	kindKilled = "killed" // by a signal: the launcher says so
)

// failure is error-N.json of a worker.
type failure struct {
	Rank  int    `json:"rank"`
	Kind  string `json:"kind"`
	Doing string `json:"doing"`
	Error string `json:"error"`
}

// LostError says that a process was killed, or lost another one: started anew, a run may go on.
type LostError struct{ error }

// Unwrap gives the error without that.
func (e LostError) Unwrap() error { return e.error }

// died explains the end of a worker, of which err is all that the socket tells.
func (p *process) died(err error) error {
	if !ended(err) {
		return err
	}
	select {
	case <-p.ended:
	case <-time.After(explainTime): // the launcher has noticed long before
	}
	return explain(p.log, err)
}

// traced is in what Python writes of where an error was thrown.
const traced = "  File \""

// explain makes an error of what the workers left in their folder: the first cause, the rank,
// the last lines of its log, and a way out.
func explain(log string, err error) error {
	f, found := cause(log)
	if !found {
		text, hint := lastLines(readLog(filepath.Join(log, launcherLog)), 6), "the logs are in "+log
		if strings.Contains(text, traced) {
			text = lastLines(text, 1)
		}
		if strings.Contains(text, "EADDRINUSE") {
			hint = "something else listens there, such as a job before this one: end it, or have the launcher name another port " +
				"(PET_MASTER_PORT); " + hint
		}
		return LostError{fault.Hint(fmt.Errorf("the workers ended (%w); the launcher says:\n%s", err, cmp.Or(text, "nothing")), hint)}
	}
	what, whole := f.Error, readLog(filepath.Join(log, fmt.Sprintf("rank-%d.log", f.Rank)))
	lines, waited := lastLines(whole, 6), watchdog.FindString(whole)
	if f.Kind == kindKilled && waited != "" { // what follows in the log is where that was thrown
		what, lines = what+": "+waited, ""
	}
	if strings.Contains(lines, traced) && strings.HasSuffix(strings.TrimSpace(whole), strings.TrimSpace(f.Error)) {
		lines = "" // where that was thrown; it says no more
	}
	if lines != "" {
		lines = "; the end of its log:\n" + lines
	}
	doing := ""
	if f.Doing != "" {
		doing = " at " + f.Doing
	}
	out := fmt.Errorf("rank %d failed%s: %s%s", f.Rank, doing, what, lines)
	hint := "its whole log is " + filepath.Join(log, fmt.Sprintf("rank-%d.log", f.Rank))
	switch {
	case f.Kind == kindMemory:
		hint = "its memory is full: lower packing.capacity (or data.held_out_max_length, if held-out texts are longer), " +
			"set train.gradient_checkpointing: true, or share the weights among more processes"
	case f.Kind == kindKilled && waited != "":
		hint = "a GPU waited in vain for another: NCCL_DEBUG=INFO says more; the run goes on from its last checkpoint with the same " +
			"command; " + hint
	case f.Kind == kindKilled && strings.Contains(what, "-9"):
		hint = "the system kills what takes too much memory (dmesg says so); the run goes on from its last checkpoint with the same command"
	case strings.Contains(what, "No space left on device"):
		hint = "make room, or give output.dir a folder on another disk"
	case f.Kind == kindPeer && strings.Contains(what, "NCCL"):
		hint = "the GPUs lost each other: NCCL_DEBUG=INFO says more; " + hint
	}
	out = fault.Hint(out, hint)
	if f.Kind == kindKilled || f.Kind == kindPeer || f.Kind == kindClosed {
		return LostError{out}
	}
	return out
}

// cause finds what failed first: what follows from another rank's end comes last.
func cause(log string) (failure, bool) {
	var all []failure
	names, _ := fs.Glob(os.DirFS(log), "error-*.json")
	for _, name := range names {
		var f failure
		if there, err := rundir.ReadJSON(filepath.Join(log, name), &f); there && err == nil {
			all = append(all, f)
		}
	}
	said := readLog(filepath.Join(log, launcherLog))
	ends := killed(said, false)
	if len(all)+len(ends) == 0 { // somebody else than the launcher ended one
		ends = killed(said, true)
	}
	for _, f := range ends {
		if !slices.ContainsFunc(all, func(other failure) bool { return other.Rank == f.Rank }) {
			all = append(all, f)
		}
	}
	order := []string{kindMemory, kindError, kindKilled, kindClosed, kindPeer}
	slices.SortStableFunc(all, func(a, b failure) int {
		return cmp.Compare(slices.Index(order, a.Kind), slices.Index(order, b.Kind))
	})
	if len(all) == 0 {
		return failure{}, false
	}
	return all[0], true
}

// watchdog is how NCCL's says that it ends a rank, which is then killed by itself (SIGABRT).
var watchdog = regexp.MustCompile(`Watchdog caught collective operation timeout: [^\n]{0,300}`)

var exitLine = regexp.MustCompile(`(?s)rank\s*:\s*(\d+)[^\n]*\n\s*exitcode\s*:\s*(-?\d+)`)

// killed reads from the launcher's log which ranks ended by a signal, or by themselves without a word. Those that the launcher
// ended itself (SIGTERM) are none, unless asked.
func killed(log string, asked bool) (out []failure) {
	for _, m := range exitLine.FindAllStringSubmatch(log, -1) {
		rank, _ := strconv.Atoi(m[1])
		if m[2] == strconv.Itoa(-15) && !asked {
			continue
		}
		f := failure{Rank: rank, Kind: kindError, Error: "it ended with exit status " + m[2]}
		if strings.HasPrefix(m[2], "-") {
			f.Kind, f.Error = kindKilled, "it was killed (signal "+m[2]+")"
		}
		out = append(out, f)
	}
	return out
}

// mostLog bounds how much of a log is read, from its end.
const mostLog = 64 << 10

func readLog(path string) string {
	f, err := rundir.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return ""
	}
	b := make([]byte, min(info.Size(), mostLog))
	n, err := f.ReadAt(b, info.Size()-int64(len(b)))
	if err != nil && !errors.Is(err, os.ErrNotExist) && n == 0 {
		return ""
	}
	return string(b[:n])
}
