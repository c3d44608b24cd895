package torch

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// echo hears rows of packs by the worker's own wire.py and says as many losses.
const echo = `
import os, socket, sys
sys.path.insert(0, sys.argv[1])
import torch.distributed as dist
dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
import wire
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[2])
w = wire.Wire(s)
try:
    while True:
        head, arrays = w.hear()
        w.send({"op": "done"}, nll=arrays["weights"])
except wire.Closed:
    pass
`

// manners asks the worker's own files how long ranks wait for each other, and when they collect garbage.
const manners = `
import datetime, gc, importlib.util, os, sys
sys.path.insert(0, sys.argv[1])
import torch
import torch.distributed as dist
dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1, timeout=datetime.timedelta(minutes=1))
import wire
for kind, minutes in (("cuda", 10), ("cpu", 30 * 24 * 60)):
    wire.bound(dist.group.WORLD, torch.device(kind))
    got = dist.group.WORLD._get_backend(torch.device("cpu")).options._timeout
    assert got == datetime.timedelta(minutes=minutes), (kind, got)

os.environ |= {"RANK": "0", "LOCAL_RANK": "0"}
spec = importlib.util.spec_from_file_location("worker", sys.argv[1] + "/__main__.py")
worker = importlib.util.module_from_spec(spec)
spec.loader.exec_module(worker)
ops, seen = iter(["learn", "update", "save", "quit"]), []
gc.callbacks.append(lambda phase, info: phase == "stop" and seen.append(info["generation"]))


class Wire:
    def hear(self):
        return {"op": next(ops)}, {}


w = worker.Worker(Wire(), None)
w.do_learn = w.do_update = w.do_save = lambda *_: [[] for _ in range(100000)]  # by itself Python collects at some of these
w.run()
assert seen == [1, 1, 2], seen
`

func TestHowLongRanksWaitAndWhenTheyCollectGarbage(t *testing.T) {
	in := installation(t)
	script, err := writeWorker(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if said, err := exec.Command(in.Path, "-c", manners, script).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
}

// BenchmarkAStepOfEightPacks is what a step of 8 packs of 32,768 tokens costs from Go to rank 0 and back, without a model. The best
// of all counts: what else the machine does is no part of it.
func BenchmarkAStepOfEightPacks(b *testing.B) {
	in := installation(b)
	dir := b.TempDir()
	script, err := writeWorker(dir)
	if err != nil {
		b.Fatal(err)
	}
	temp, err := os.MkdirTemp("", "lwtrain-")
	if err != nil {
		b.Fatal(err)
	}
	defer os.RemoveAll(temp)
	listener, err := net.Listen("unix", filepath.Join(temp, "socket"))
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(in.Path, "-c", echo, script, listener.Addr().String())
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	conn, err := listener.Accept()
	if err != nil {
		b.Fatal(err)
	}
	w := &wire{conn: conn}
	const n = 8 * 32768
	ids, targets, weights := make([]int32, n), make([]int32, n), make([]float32, n)
	for i := range n {
		ids[i], targets[i], weights[i] = int32(i), int32(-i), float32(i)/n
	}
	best := time.Hour
	for b.Loop() {
		began := time.Now()
		err := w.send(map[string]any{"op": "learn"}, array{name: "ids", ints: ids}, array{name: "targets", ints: targets},
			array{name: "weights", reals: weights})
		if err != nil {
			b.Fatal(err)
		}
		s, err := w.hear()
		if err != nil {
			b.Fatal(err)
		}
		back, err := w.reals(s, n)
		if err != nil || back[n-1] != weights[n-1] || back[7] != weights[7] {
			b.Fatalf("%v: %v, want %v", err, back[n-1], weights[n-1])
		}
		best = min(best, time.Since(began))
	}
	b.ReportMetric(float64(best.Microseconds())/1000, "ms/best")
	conn.Close()
	if err := cmd.Wait(); err != nil {
		b.Fatal(fmt.Errorf("the other end: %w", err))
	}
}
