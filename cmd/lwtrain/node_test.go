package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"lwtrain/train"
)

// machineOf is lwtrain node as a launcher starts it on machine n of two, in a folder.
func machineOf(t *testing.T, dir string, port, n int, args ...string) (*exec.Cmd, *strings.Builder) {
	t.Helper()
	cmd := exec.Command("lwtrain", append([]string{"node", "sft", "-c", "run.yaml", "engine.processes=1", "threads=1"}, args...)...)
	var said strings.Builder
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &said, &said
	cmd.Env = append(os.Environ(), "PET_NNODES=2", fmt.Sprint("PET_NODE_RANK=", n), "PET_MASTER_ADDR=127.0.0.1",
		fmt.Sprint("PET_MASTER_PORT=", port))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	return cmd, &said
}

// freePort is a port that nobody listens to.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// TestTorchOnTwoMachines does a run as two machines of a launcher would, asks the second one to stop in the midst, goes on, and
// wants the numbers of two processes on one machine.
func TestTorchOnTwoMachines(t *testing.T) {
	withTorch(t)
	want := sftWork.lines(t, "train.precision=float32", "engine.kind=torch", "engine.processes=2")
	dir := sftWork.fresh(t)
	together := func(stop bool) {
		t.Helper()
		port := freePort(t)
		second, joined := machineOf(t, dir, port, 1, "train.precision=float32")
		first, conducted := machineOf(t, dir, port, 0, "train.precision=float32")
		if stop {
			waitFor(t, filepath.Join(dir, "run", "metrics.jsonl"))
			second.Process.Signal(syscall.SIGTERM)
		}
		errs := []error{first.Wait(), second.Wait()}
		switch code := first.ProcessState.ExitCode(); {
		case stop && code != exitInterrupted && code != 0: // or it was done before
			t.Fatalf("the first machine ended with %v, want that it stops:\n%s", errs[0], conducted)
		case !stop && errs[0] != nil:
			t.Fatalf("the first machine ended with %v:\n%s", errs[0], conducted)
		case errs[1] != nil:
			t.Fatalf("the second machine ended with %v:\n%s", errs[1], joined)
		}
	}
	together(true)
	together(false)
	got, err := train.ReproducibleMetrics(filepath.Join(dir, "run", "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("on two machines\n%v\nwant as by two processes\n%v", got, want)
	}
}

// waitFor waits until there is something in a file.
func waitFor(t *testing.T, path string) {
	t.Helper()
	for range 2400 {
		if info, err := os.Stat(path); err == nil && info.Size() > 0 {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("nothing in %s", path)
}
