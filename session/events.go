package session

import (
	"fmt"
	"time"

	"lwtrain/eval/tasks"
)

// Events tell a caller what happens, so that it can show it. Any of them may be nil.
// They are called from one goroutine at a time.
type Events struct {
	Warning    func(text string)                    // what does not stop the work
	Discarded  func(ref string, bytes int64)        // a dry run fetched so much of the hub and does not keep it
	Fetching   func(repo string, done, total int64) // bytes of a repository of the hub
	Sending    func(repo string, done, total int64) // bytes to a repository of the hub
	Waiting    func(file string)                    // for another program that fetches it
	Pausing    func(err error, pause time.Duration) // before the hub, or a server, is asked again: why and for how long
	Chosen     func(run, checkpoint string)         // a run's folder was given for a model: its newest whole checkpoint is taken
	Importing  func(done, total int64)              // bytes of a GGUF file
	Exporting  func(done, total int64)              // bytes of weights
	Tokenising func(done, total int64)              // bytes of the sources
	Measuring  func()                               // how fast a run will be, which takes some seconds
	Ended      func(err error)                      // the fetch, import or tokenising that was told of last; nil: it is done
}

func (e Events) warn(format string, args ...any) {
	if e.Warning != nil {
		e.Warning(fmt.Sprintf(format, args...))
	}
}

func (e Events) ended(err error) {
	if e.Ended != nil {
		e.Ended(err)
	}
}

func (e Events) exporting(done, total int64) {
	if e.Exporting != nil {
		e.Exporting(done, total)
	}
}

func (e Events) importing(done, total int64) {
	if e.Importing != nil {
		e.Importing(done, total)
	}
}

// Fetcher gets tasks of evaluations, and tells of it.
func (e Events) Fetcher(dryRun bool) tasks.Fetcher {
	return tasks.Fetcher{DryRun: dryRun, Fetching: e.Fetching, Pausing: e.Pausing, Ended: e.Ended}
}
