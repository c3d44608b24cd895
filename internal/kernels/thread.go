package kernels

import (
	"runtime"
	"sync"
)

// One goroutine, locked to its operating-system thread, makes the calls that
// matter: OpenMP keeps a team of workers for every thread that calls it, and a
// call from a new thread starts a new team (measured: a third of the speed of
// matrix products). Calls from elsewhere start one and end it.
var native struct {
	once  sync.Once
	calls chan call
}

type call struct {
	f    func()
	done chan any
}

// Run runs f on the native thread and waits for it. A panic in f goes on in the
// caller. f must not call Run.
func Run(f func()) {
	native.once.Do(func() {
		native.calls = make(chan call)
		go func() {
			runtime.LockOSThread()
			home()
			for c := range native.calls {
				c.done <- protect(c.f)
			}
		}()
	})
	done := make(chan any, 1)
	native.calls <- call{f, done}
	if r := <-done; r != nil {
		panic(r)
	}
}

func protect(f func()) (r any) {
	defer func() { r = recover() }()
	f()
	return nil
}
