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

// collectLess sets the collector's percentage by how much stays, now and whenever adjust
// is called, unless the environment says GOGC.
func collectLess() (adjust, restore func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}, func() {}
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	now := debug.SetGCPercent(100)
	before := now
	adjust = func() {
		metrics.Read(live)
		want := int(min(max(100*garbage/max(live[0].Value.Uint64(), 1), 50), 400))
		if want > now+now/8 || want < now-now/8 {
			now = want
			debug.SetGCPercent(now)
		}
	}
	adjust()
	return adjust, func() { debug.SetGCPercent(before) }
}
