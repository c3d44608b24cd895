package train

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"lwtrain/checkpoints"
	"lwtrain/internal/fault"
	"lwtrain/internal/smalldisk"
)

func TestAFullDiskStopsARunThatGoesOnOnceThereIsRoom(t *testing.T) {
	set, chat := fixture(t, 1)
	disk := smalldisk.Mount(t, "1m")
	whole := job(t, set, chat, filepath.Join(t.TempDir(), "run"))
	whole.Options.SaveSteps = 2
	run(t, whole)

	j := whole
	j.Model, j.Dir = tiny(t), filepath.Join(disk, "run")
	r, err := j.sft(context.Background(), t)
	if !errors.Is(err, syscall.ENOSPC) || fault.IsUsage(err) || !strings.Contains(fault.HintOf(err), "make room") {
		t.Fatalf("got %v, hint %q", err, fault.HintOf(err))
	}
	if r.Steps < 4 || r.Steps > 10 {
		t.Fatalf("full at step %d", r.Steps)
	}
	found, err := checkpoints.Latest(filepath.Join(j.Dir, "checkpoints"), 0)
	if err != nil || len(found.Broken) != 0 || found.Path != r.Checkpoint {
		t.Errorf("found %+v, %v, want %s", found, err, r.Checkpoint)
	}
	for name := range tree(t, j.Dir) {
		if strings.Contains(name, "tmp-") {
			t.Errorf("left %s", name)
		}
	}
	smalldisk.Remount(t, disk, 0, "size=32m")
	j.Model = tiny(t)
	if again := run(t, j); again.Resumed != found.Step {
		t.Errorf("went on from step %d, want %d", again.Resumed, found.Step)
	}
	wantSameRun(t, whole.Dir, j.Dir)
}

func TestARunDoesNotBeginOnADiskWithoutRoom(t *testing.T) {
	set, chat := fixture(t, 1)
	disk := smalldisk.Mount(t, "64k")
	fill := filepath.Join(disk, "fill")
	if err := os.WriteFile(fill, make([]byte, 1<<20), 0o644); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	j := job(t, set, chat, filepath.Join(disk, "run"))
	_, err := j.sft(context.Background(), t)
	if !errors.Is(err, syscall.ENOSPC) || fault.HintOf(err) == "" {
		t.Errorf("got %v", err)
	}
	if left := tree(t, disk); len(left) != 1 {
		t.Errorf("left %v", maps.Keys(left))
	}
}

func TestAFolderThatCannotBeWrittenToIsRefused(t *testing.T) {
	set, chat := fixture(t, 1)
	disk := smalldisk.Mount(t, "16m")
	started := job(t, set, chat, filepath.Join(disk, "started"))
	ctx, cancel := context.WithCancel(context.Background())
	started.Events.Step = func(StepMetrics) { cancel() }
	if _, err := started.sft(ctx, t); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	before := tree(t, disk)
	smalldisk.Remount(t, disk, syscall.MS_RDONLY, "")
	for _, name := range []string{"new", "started"} {
		j := job(t, set, chat, filepath.Join(disk, name))
		_, err := j.sft(context.Background(), t)
		said := errors.Is(err, syscall.EROFS) && fault.IsUsage(err) && strings.Contains(err.Error(), j.Dir)
		if !said || !strings.Contains(fault.HintOf(err), "give another one") {
			t.Errorf("%s: got %v, hint %q", name, err, fault.HintOf(err))
		}
	}
	if !maps.Equal(tree(t, disk), before) {
		t.Error("something changed")
	}
}
