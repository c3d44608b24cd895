package checkpoints

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"lwtrain/internal/fault"
	"lwtrain/internal/smalldisk"
)

func TestAFullDiskLeavesTheCheckpointsBefore(t *testing.T) {
	root := smalldisk.Mount(t, "64k")
	var step int
	for step = 1; step <= 20; step++ {
		_, err := saveNow(disk{}, root, step, content("x"))
		if err == nil {
			continue
		}
		if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(fault.HintOf(err), "make room") {
			t.Fatal(err)
		}
		break
	}
	if step < 3 || step > 20 {
		t.Fatalf("full at step %d", step)
	}
	found := latest(t, root)
	if found.Step != step-1 || found.Broken != nil || len(names(t, root)) != step-1 {
		t.Errorf("full at step %d: found %+v in %v", step, found, names(t, root))
	}
	if err := Prune(root, 1, -1); err != nil {
		t.Fatal(err)
	}
	if path := save(t, root, step); whole(path) != nil {
		t.Error("no room after pruning")
	}
}

func TestAReadOnlyDiskSaysSo(t *testing.T) {
	root := smalldisk.Mount(t, "1m")
	path := save(t, root, 1)
	smalldisk.Remount(t, root, syscall.MS_RDONLY, "")
	called := false
	_, err := saveNow(disk{}, root, 2, func(string) error { called = true; return nil })
	if !errors.Is(err, syscall.EROFS) || !strings.Contains(fault.HintOf(err), "cannot be written to") || called {
		t.Errorf("%v, hint %q", err, fault.HintOf(err))
	}
	if found := latest(t, root); found.Path != path {
		t.Errorf("found %+v", found)
	}
	if err := Prune(root, 1, -1); err != nil {
		t.Errorf("with nothing to prune: %v", err)
	}
}

// TestChildThatSaves is the process that TestKilledAtRandomMoments kills.
func TestChildThatSaves(t *testing.T) {
	root := os.Getenv("LWTRAIN_TEST_SAVE_INTO")
	if root == "" {
		t.Skip("only run by TestKilledAtRandomMoments")
	}
	start, _ := strconv.Atoi(os.Getenv("LWTRAIN_TEST_SAVE_FROM"))
	for step := start; ; step++ {
		if _, err := saveNow(disk{}, root, step, content(fmt.Sprint("step ", step))); err != nil {
			t.Fatal(err)
		}
		fmt.Println("saved", step)
		if err := Prune(root, 2, -1); err != nil {
			t.Fatal(err)
		}
	}
}

func TestKilledAtRandomMoments(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	last, leftovers := 0, 0
	const seed = 1
	random := rand.New(rand.NewPCG(seed, 0))
	for round := range 25 {
		child := exec.Command(os.Args[0], "-test.run=^TestChildThatSaves$")
		child.Env = append(os.Environ(), "LWTRAIN_TEST_SAVE_INTO="+root, fmt.Sprint("LWTRAIN_TEST_SAVE_FROM=", last+1))
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		acknowledged := last
		lines := bufio.NewScanner(out)
		if lines.Scan() { // it is at work: kill it from now on
			time.AfterFunc(time.Duration(random.IntN(30_000))*time.Microsecond, func() { child.Process.Kill() })
		}
		for ok := true; ok; ok = lines.Scan() {
			if n, err := strconv.Atoi(strings.TrimPrefix(lines.Text(), "saved ")); err == nil {
				acknowledged = n
			}
		}
		if err := child.Wait(); err == nil || child.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("round %d: the child ended by itself: %v", round, err)
		}
		found := latest(t, root)
		if found.Step < acknowledged || found.Step > acknowledged+1 {
			t.Fatalf("round %d: found step %d, but step %d was saved", round, found.Step, acknowledged)
		}
		for _, b := range found.Broken {
			if !strings.HasPrefix(filepath.Base(b.Path), tempPrefix) {
				t.Fatalf("round %d: %s is broken: %v", round, b.Path, b.Reason)
			}
			leftovers++
		}
		last = found.Step
	}
	save(t, root, last+1)
	for _, name := range names(t, root) {
		if strings.HasPrefix(name, ".") {
			t.Errorf("%s is still there", name)
		}
	}
	t.Logf("%d steps, %d interrupted saves", last, leftovers)
	if last < 25 || leftovers == 0 {
		t.Errorf("%d steps, %d interrupted saves: the kills did not hit", last, leftovers)
	}
}
