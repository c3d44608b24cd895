package session

import (
	"os"
	"runtime/debug"
	"runtime/metrics"
)

// garbage is about how much memory may wait for the collector while a store is built.
// Records are much garbage beside little that stays, and to collect it at the usual
// rate takes a tenth of the time.
const garbage = 160 << 20

// large is how much more memory than at the start a long record may take before the
// collector runs again and again: the percentage is that of the records before it.
const large = 512 << 20

// collectLess sets the collector's percentage by how much stays, now and whenever adjust
// is called, unless the environment says GOGC or GOMEMLIMIT.
func collectLess() (adjust, restore func()) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return func() {}, func() {}
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	total := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(total)
	start := int64(total[0].Value.Uint64() - total[1].Value.Uint64())
	now, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(start+large)
	before := now
	adjust = func() {
		metrics.Read(live)
		debug.SetMemoryLimit(start + max(large, 2*int64(live[0].Value.Uint64())))
		want := int(min(max(100*garbage/max(live[0].Value.Uint64(), 1), 50), 400))
		if want > now+now/8 || want < now-now/8 {
			now = want
			debug.SetGCPercent(now)
		}
	}
	adjust()
	return adjust, func() {
		// Of millions of records much stays, and is twice as much where they are packed. It has no pointers: to collect costs little.
		metrics.Read(live)
		debug.SetGCPercent(min(before, max(int(100*garbage/max(2*live[0].Value.Uint64(), 1)), 20)))
		debug.SetMemoryLimit(limit)
	}
}
