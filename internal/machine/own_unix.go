//go:build unix

package machine

import (
	"time"

	"golang.org/x/sys/unix"
)

// ownTime is how long this program has computed, on all its threads.
func ownTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
