package machine

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"
)

const meminfo = "MemTotal:       1048576 kB\nMemFree: 1 kB\nMemAvailable:    524288 kB\nSwapTotal:       1024 kB\nSwapFree:        512 kB\n"

func root(files map[string]string) fstest.MapFS {
	out := fstest.MapFS{}
	for name, text := range files {
		out[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return out
}

func TestMemoryIsWhatTheTightestGroupLeaves(t *testing.T) {
	const mib = 1 << 20
	for name, c := range map[string]struct {
		files            map[string]string
		limit, available int64
	}{
		"no control group": {map[string]string{"proc/meminfo": meminfo}, 0, 512 * mib},
		"nothing is known": {nil, 0, 1 << 50},
		"version 2, in a container": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/\n",
			"sys/fs/cgroup/memory.max": "268435456\n", "sys/fs/cgroup/memory.current": "104857600\n",
		}, 256 * mib, 156 * mib},
		"caches of files are given back": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/\n",
			"sys/fs/cgroup/memory.max": "268435456\n", "sys/fs/cgroup/memory.current": "104857600\n",
			"sys/fs/cgroup/memory.stat": "anon 5\ninactive_file 52428800\n",
		}, 256 * mib, 206 * mib},
		"version 2, the group above is tighter": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/user.slice/run.scope\n",
			"sys/fs/cgroup/user.slice/run.scope/memory.max": "268435456", "sys/fs/cgroup/user.slice/run.scope/memory.current": "0",
			"sys/fs/cgroup/user.slice/memory.max": "134217728", "sys/fs/cgroup/user.slice/memory.current": "33554432",
		}, 128 * mib, 96 * mib},
		"version 2 without a limit": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "max\n",
			"sys/fs/cgroup/a/memory.current": "7",
		}, 0, 512 * mib},
		"version 1": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "5:cpu,cpuacct:/\n4:memory:/job/7\n0::/\n",
			"sys/fs/cgroup/memory/job/7/memory.limit_in_bytes": "268435456", "sys/fs/cgroup/memory/job/7/memory.usage_in_bytes": "67108864",
			"sys/fs/cgroup/memory/job/7/memory.stat": "cache 1\ntotal_inactive_file 1048576\n",
		}, 256 * mib, 193 * mib},
		"version 1 without a limit": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "4:memory:/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
		}, 0, 512 * mib},
		"more used than allowed": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/\n",
			"sys/fs/cgroup/memory.max": "1048576", "sys/fs/cgroup/memory.current": "2097152",
		}, mib, 0},
	} {
		t.Run(name, func(t *testing.T) {
			m := readMemory(root(c.files))
			if m.Limit != c.limit || m.Available() != c.available {
				t.Errorf("limit %d, available %d, want %d and %d (%+v)", m.Limit, m.Available(), c.limit, c.available, m)
			}
		})
	}
}

func TestTheProcessorIsReadWithItsQuota(t *testing.T) {
	p := readProcessor(root(map[string]string{
		"proc/cpuinfo":          "processor\t: 0\nmodel name\t: A Processor\nsiblings\t: 8\ncpu cores\t: 4\n",
		"proc/self/cgroup":      "0::/\n",
		"sys/fs/cgroup/cpu.max": "150000 100000\n",
	}), 8)
	if p.Model != "A Processor" || !p.Hyper || p.Cores != 4 || p.Threads != 8 || p.Quota != 1.5 {
		t.Errorf("%+v", p)
	}
	p = readProcessor(root(map[string]string{
		"proc/self/cgroup":                     "3:cpu,cpuacct:/a\n",
		"sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu/a/cpu.cfs_period_us": "100000\n",
	}), 2)
	if p.Quota != 0 || p.Hyper || p.Cores != 2 {
		t.Errorf("without a quota: %+v", p)
	}
}

func TestTheDeepestFolderThatExistsIsFound(t *testing.T) {
	dir := t.TempDir()
	if got := Existing(filepath.Join(dir, "a", "b", "c")); got != dir {
		t.Errorf("%s, want %s", got, dir)
	}
	t.Chdir(dir)
	if got := Existing("runs/x"); got != "." {
		t.Errorf("%s, want .", got)
	}
	if err := os.Mkdir("runs", 0o755); err != nil {
		t.Fatal(err)
	}
	if got := Existing("runs/x"); got != "runs" {
		t.Errorf("%s, want runs", got)
	}
}

func TestOtherWorkIsWhatIsNeitherOursNorNice(t *testing.T) {
	before := readJiffies(root(map[string]string{"proc/stat": "cpu  100 50 20 900 30 1 2 4 0 0\ncpu0 1 1 1 1 1 1 1 1\n"}), time.Second)
	now := readJiffies(root(map[string]string{"proc/stat": "cpu  200 90 40 1000 40 1 2 14 0 0\n"}), 1500*time.Millisecond)
	// busy: 100 user, 20 system, 10 stolen, of which 50 are ours; all: these, 40 nice, 100 idle, 10 waiting
	if share, ok := before.others(now); !ok || math.Abs(share-80.0/280) > 1e-9 {
		t.Errorf("%v, %v, want %v", share, ok, 80.0/280)
	}
	for name, text := range map[string]string{"no such file": "", "of another form": "cpu 1 2 3\n", "no numbers": "cpu a b c d e f g h\n"} {
		if _, ok := before.others(readJiffies(root(map[string]string{"proc/stat": text}), 0)); ok {
			t.Errorf("%s: it is known", name)
		}
	}
	if _, ok := before.others(before); ok {
		t.Error("it is known after no time")
	}
}
