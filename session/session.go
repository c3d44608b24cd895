// Package session opens what a config names: the model, the data and the run. It is
// what every command needs before its own work, and has no flags and no terminal, so
// that an application trains as the commands do:
//
//	c, err := configs.Load("my.yaml", nil, os.LookupEnv)
//	...
//	s := session.Open(c, session.Events{}, false)
//	defer s.Close()
//	run, err := s.Run(ctx, session.SFT)
//	...
//	defer run.Close()
//	result, err := run.Do(ctx, train.Events{})
//
// Errors of what was asked for are those of package fault. What a session tells on its
// way goes to [Events].
package session

import (
	"context"
	"os"
	"runtime"

	"lwtrain/configs"
	"lwtrain/data/read"
	"lwtrain/engine/torch"
	"lwtrain/eval"
	"lwtrain/internal/fault"
	"lwtrain/internal/kernels"
	"lwtrain/internal/machine"
)

// Session is a config at work.
type Session struct {
	// Config has, once something of it was fetched, the commits that it lies at.
	Config *configs.Config
	// DryRun says that nothing is written but into temporary folders, which Close
	// removes, and that no weights are fetched.
	DryRun bool
	// Cluster is the machines that engine.kind: torch computes with; this one is the first.
	Cluster torch.Cluster

	events Events
	watch  machine.Watch          // of what else the processors do
	hub    *Hub                   // nil: nothing was asked of it yet
	shared bool                   // it is another session's, which closes it
	files  map[string][]read.File // of what lies on the hub, by path
	python *torch.Installation    // of engine.kind: torch; nil: it was not looked for yet
	temp   []string               // folders that Close removes
}

// Open begins a session. It sets the threads of this process to those of the config.
func Open(c *configs.Config, e Events, dryRun bool) *Session {
	UseThreads(c.Threads)
	return &Session{Config: c, DryRun: dryRun, events: e, watch: machine.NewWatch(), files: map[string][]read.File{}}
}

// Beside begins a session of another config that finds what this one has fetched, and ends before it.
func (s *Session) Beside(c *configs.Config, e Events) *Session {
	beside := Open(c, e, s.DryRun)
	beside.hub, beside.shared = s.hub, true
	return beside
}

var usualThreads = runtime.GOMAXPROCS(0)

// UseThreads sets how many processor threads this process computes with; 0: all cores.
func UseThreads(n int) {
	if n > 0 {
		runtime.GOMAXPROCS(min(n, runtime.NumCPU()))
	} else {
		runtime.GOMAXPROCS(usualThreads) // a session before may have set another number
	}
	kernels.SetThreads(n)
}

// Close removes what a dry run wrote.
func (s *Session) Close() {
	for _, dir := range s.temp {
		os.RemoveAll(dir)
	}
	if s.hub != nil && !s.shared {
		s.hub.close()
	}
}

// openHub returns what fetches from the hub.
func (s *Session) openHub() (*Hub, error) {
	if s.hub == nil {
		h, err := OpenHub(s.events)
		if err != nil {
			return nil, err
		}
		h.dryRun = s.DryRun
		s.hub = h
	}
	return s.hub, nil
}

// TempDir makes a folder that Close removes.
func (s *Session) TempDir() (string, error) {
	dir, err := os.MkdirTemp("", "lwtrain-")
	if err == nil {
		s.temp = append(s.temp, dir)
	}
	return dir, fault.Temp(err)
}

// Task opens a task of evaluations. What does not ship is fetched, but by a dry run.
func (s *Session) Task(ctx context.Context, name string) (eval.Asked, error) {
	return eval.Open(ctx, name, s.events.Fetcher(s.DryRun))
}
