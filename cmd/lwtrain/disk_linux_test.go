package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lwtrain/internal/smalldisk"
)

// TestADiskWithoutRoomIsSaidBeforeTheFirstStep begins runs on a disk that is smaller than
// their checkpoints. Nothing is written.
func TestADiskWithoutRoomIsSaidBeforeTheFirstStep(t *testing.T) {
	disk := smalldisk.Mount(t, "2m")
	dir := sftWork.fresh(t)
	t.Chdir(dir)
	lacks := "2.0 MiB are free in " + disk + ", and 4 more checkpoints of"
	output := "output.dir=" + filepath.Join(disk, "run")
	for _, c := range []struct {
		name string
		args []string
		exit int
		said string
	}{
		{"a run", []string{"sft"}, exitUsage, lacks},
		{"a dry run", []string{"sft", "--dry-run"}, exitUsage, lacks},
		{"the doctor", []string{"doctor"}, exitDone, "4 checkpoints take 3.6 MiB, and 2.0 MiB are free in"},
		{"a run that keeps fewer, dry", []string{"sft", "--dry-run", "train.save_steps=0"}, exitDone,
			"a checkpoint takes 918 KiB; 2.0 MiB are free"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out, said strings.Builder
			args := append(c.args, "-c", "run.yaml", output)
			if exit := run(t.Context(), args, nil, &out, &said); exit != c.exit || !strings.Contains(out.String()+said.String(), c.said) {
				t.Errorf("exit status %d, want %d and %q in\n%s%s", exit, c.exit, c.said, &out, &said)
			}
			if left, err := os.ReadDir(disk); len(left) > 0 || err != nil {
				t.Errorf("left %v, %v", left, err)
			}
		})
	}
}
