package show

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"lwtrain/internal/human"
	"lwtrain/internal/llm"
	"lwtrain/internal/terminal"
	"lwtrain/session"
)

// Session shows on w what a session tells.
func Session(w io.Writer) session.Events {
	var bar *terminal.Progress
	show := func(label string, done, total int64, fields string) {
		if bar == nil {
			bar = terminal.NewProgress(w, label, 0)
		}
		bar.SetTotal(total)
		bar.Set(done, fields)
	}
	say := func(text string) {
		if bar == nil {
			bar = terminal.NewProgress(w, "fetching", 0)
		}
		bar.Println(text)
	}
	const kib, mib, mb = 1 << 10, 1 << 20, 1_000_000
	fetch := fetchSpeed{}
	return session.Events{
		Warning: func(text string) { Warn(w, "%s", text) },
		Discarded: func(ref string, bytes int64) {
			if bytes > 16*mib {
				fmt.Fprintf(w, "lwtrain: note: a dry run keeps nothing: the run fetches %s again (%s); `lwtrain pull` keeps it\n",
					ref, human.Bytes(bytes))
			}
		},
		Chosen: func(run, checkpoint string) {
			fmt.Fprintf(w, "lwtrain: note: %s is a run's folder: taking its newest checkpoint, %s\n",
				terminal.Printable(run), terminal.Printable(checkpoint))
		},
		Sending: func(repo string, done, total int64) {
			show("sending", (done+mb-1)/mb, (total+mb-1)/mb, "MB  "+repo)
		},
		Fetching: func(repo string, done, total int64) {
			show("fetching", (done+mb-1)/mb, (total+mb-1)/mb, fmt.Sprintf("MB  %.1f MB/s  %s", fetch.of(done)/mb, repo))
		},
		Waiting:    func(file string) { say("waiting for another program that fetches " + file) },
		Pausing:    Pauses(say),
		Importing:  func(done, total int64) { show("importing", done/mib, total/mib, "MiB") },
		Exporting:  func(done, total int64) { show("exporting", done/mib, total/mib, "MiB") },
		Tokenising: func(done, total int64) { show("tokenising", (done+kib-1)/kib, (total+kib-1)/kib, "KiB") },
		Measuring:  func() { fmt.Fprintln(w, "measuring how fast this machine trains such a model") },
		Ended: func(err error) {
			switch {
			case bar == nil:
			case err == nil:
				bar.Done()
			default:
				bar.Abandon()
			}
			bar, fetch = nil, fetchSpeed{}
		},
	}
}

// Pauses tells by say why and for how long a server is waited for. Of many requests that
// wait it tells of one every few seconds.
func Pauses(say func(text string)) func(err error, pause time.Duration) {
	const every = 5 * time.Second
	var one sync.Mutex
	var told time.Time
	return func(err error, pause time.Duration) {
		one.Lock()
		defer one.Unlock()
		if errors.Is(err, llm.ErrStopping) {
			say(fmt.Sprintf("lwtrain: stopping: replies that have begun to come are waited for, %.3g s at most, and kept", pause.Seconds()))
			return
		}
		if time.Since(told) < every {
			return
		}
		told = time.Now()
		say(fmt.Sprintf("%v: trying again in %.3g s", err, pause.Seconds()))
	}
}

// fetchSpeed is the speed of a fetch since it began.
type fetchSpeed struct {
	began time.Time
	first int64 // bytes that were there
}

// of is the bytes a second when done bytes are there.
func (f *fetchSpeed) of(done int64) float64 {
	if f.began.IsZero() {
		f.began, f.first = time.Now(), done
	}
	return float64(done-f.first) / max(time.Since(f.began).Seconds(), 0.001)
}
