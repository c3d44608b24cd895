package machine

import (
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"
)

// Watch is how busy the processors were when it began.
type Watch struct {
	at    jiffies
	began time.Time
}

// jiffies are hundredths of a second of processors.
type jiffies struct {
	busy, all, own float64
	known          bool
}

// NewWatch begins to watch.
func NewWatch() Watch { return Watch{readJiffies(os.DirFS("/"), ownTime()), time.Now()} }

// OtherWork is how much of the processors others took since then, from 0 to 1: other programs,
// but for those that run under nice and give way, and other guests of the same computer. ok is
// false where the system does not say, or too little time went by.
func (w Watch) OtherWork() (share float64, ok bool) {
	if time.Since(w.began) < 100*time.Millisecond {
		return 0, false
	}
	return w.at.others(readJiffies(os.DirFS("/"), ownTime()))
}

func (j jiffies) others(now jiffies) (share float64, ok bool) {
	all := now.all - j.all
	if !j.known || !now.known || all <= 0 {
		return 0, false
	}
	return min(1, max(0, (now.busy-j.busy-(now.own-j.own))/all)), true
}

// readJiffies reads the first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq
// and steal.
func readJiffies(root fs.FS, own time.Duration) jiffies {
	j := jiffies{own: own.Seconds() * 100}
	line, _, _ := strings.Cut(text(root, "proc/stat"), "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return j
	}
	for i, f := range fields[1:9] {
		n, err := strconv.ParseFloat(f, 64)
		if err != nil {
			return j
		}
		j.all += n
		if i != 1 && i != 3 && i != 4 {
			j.busy += n
		}
	}
	j.known = true
	return j
}
