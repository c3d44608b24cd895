package session

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lwtrain/engine"
	"lwtrain/internal/fault"
	"lwtrain/internal/smalldisk"
	"lwtrain/train"
)

func TestRoomCountsTheCheckpointsThatAreOnTheDiskAtATime(t *testing.T) {
	for _, c := range []struct {
		name               string
		every, limit       int
		best               bool
		step, total, there int
		most, new          int
	}{
		{"one at the end", 0, 3, true, 0, 100, 0, 1, 1},
		{"fewer than the limit", 50, 3, true, 0, 100, 0, 2, 2},
		{"the last step is saved as well", 30, 0, false, 0, 100, 0, 4, 4},
		{"a new one comes before an old one goes", 10, 3, false, 0, 100, 0, 4, 4},
		{"the best one is kept besides", 10, 3, true, 0, 100, 0, 5, 5},
		{"all are kept", 10, 0, true, 0, 100, 0, 10, 10},
		{"a run that goes on has most of them", 10, 3, false, 50, 100, 3, 4, 1},
		{"a run that goes on keeps fewer now", 10, 1, false, 50, 100, 4, 2, 1},
		{"an interruption left another one", 10, 0, false, 55, 100, 6, 11, 5},
		{"a finished run", 10, 3, false, 100, 100, 3, 3, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := train.Options{SaveSteps: c.every, SaveTotalLimit: c.limit}
			r := readRoom(t.TempDir(), o, engine.Needs{Checkpoint: 3}, c.best, o.Saves(c.step, c.total), c.there)
			if r.Most != c.most || r.New != c.new || r.Checkpoint != 3 {
				t.Errorf("%+v, want %d at a time, %d of them new", r, c.most, c.new)
			}
		})
	}
}

func TestARunIsRefusedThatTheDiskHasNoRoomFor(t *testing.T) {
	disk := smalldisk.Mount(t, "8m")
	if err := os.WriteFile(filepath.Join(disk, "fill"), make([]byte, 2<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	free := "6.0 MiB are free in " + disk
	for _, c := range []struct {
		name     string
		megabyte int64
		parts    int64
		limit    int
		want     string
		hint     string
	}{
		{"there is room", 1, 0, 3, "", ""},
		{"not for all of them", 2, 0, 3, free + ", and 4 more checkpoints of 2.0 MiB at a time take 8.0 MiB", "save_total_limit"},
		{"for fewer there is", 2, 0, 1, "", ""},
		{"not for one", 7, 0, 1, free + ", and 2 more checkpoints of 7.0 MiB", "make room"},
		{"not for the parts of one", 2, 3, 1,
			free + ", and 2 more checkpoints of 2.0 MiB at a time take 4.0 MiB, and 3.0 MiB more while", ""},
		{"for the parts of one there is", 2, 2, 1, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, m := train.Options{SaveSteps: 1, SaveTotalLimit: c.limit}, engine.Needs{Checkpoint: c.megabyte << 20, Parts: c.parts << 20}
			err := readRoom(filepath.Join(disk, "runs", "one"), o, m, false, 9, 0).Check()
			switch {
			case c.want == "":
				if err != nil {
					t.Error(err)
				}
			case err == nil || !fault.IsUsage(err):
				t.Errorf("got %v, want it refused", err)
			case !strings.HasPrefix(err.Error(), c.want) || !strings.Contains(fault.HintOf(err), c.hint):
				t.Errorf("got %v, hint %q, want %q", err, fault.HintOf(err), c.want)
			}
		})
	}
}
