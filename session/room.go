package session

import (
	"fmt"
	"path/filepath"

	"lwtrain/checkpoints"
	"lwtrain/engine"
	"lwtrain/internal/fault"
	"lwtrain/internal/human"
	"lwtrain/internal/machine"
	"lwtrain/internal/rundir"
	"lwtrain/train"
)

// Room is what the checkpoints of a run take on a disk.
type Room struct {
	Dir        string // the run's folder, or what there is of the way to it
	Checkpoint int64  // bytes of one
	Parts      int64  // bytes that one takes beside while it is written
	Most       int    // of them at a time, the one that is being written among them
	New        int    // of these, not there yet
	Free       int64  // bytes, with what goes before the first one comes; below 0: not known
}

// Room says what the checkpoints of the run take, and what is free for them.
func (r *Run) Room(p *train.Plan, m engine.Needs) Room {
	c := r.session.Config
	all, _ := checkpoints.List(filepath.Join(c.Output.Dir, rundir.Checkpoints)) // a folder that cannot be read is refused by the run
	at := 0
	if len(all) > 0 {
		at = all[len(all)-1].Step
	}
	best := c.Train.EvalSteps > 0 && len(r.Data.HeldOut()) > 0
	return readRoom(c.Output.Dir, c.Train, m, best, c.Train.Saves(at, p.Schedule.Total), len(all))
}

// Room says what the checkpoints of a run with many steps take.
func (s *Session) Room(m engine.Needs) Room {
	o := s.Config.Train
	n := 1
	if o.SaveSteps > 0 {
		n = 1 << 20
	}
	return readRoom(s.Config.Output.Dir, o, m, o.EvalSteps > 0, n, 0)
}

// readRoom takes the checkpoints that are there, and that are still to come. best: one is
// kept for its held-out loss.
func readRoom(dir string, o train.Options, m engine.Needs, best bool, coming, there int) Room {
	r := Room{Dir: machine.Existing(dir), Checkpoint: m.Checkpoint, Parts: m.Parts, Free: -1}
	keep := there
	r.Most = there + coming
	if o.SaveTotalLimit > 0 {
		limit := o.SaveTotalLimit
		if best {
			limit++
		}
		keep, r.Most = min(keep, limit), min(r.Most, limit+1) // a new one is complete before an old one goes
	}
	r.New = min(coming, r.Most-keep)
	if d, err := machine.ReadDisk(r.Dir); err == nil && d.Total > 0 {
		r.Free = d.Free + int64(there-keep)*r.Checkpoint
	}
	return r
}

// Check refuses a run whose checkpoints there is no room for.
func (r Room) Check() error {
	want := int64(r.New) * r.Checkpoint
	if r.Free < 0 || r.New == 0 || want+r.Parts <= r.Free {
		return nil
	}
	what := "a checkpoint takes " + human.Bytes(r.Checkpoint)
	if r.New > 1 {
		what = fmt.Sprintf("%d more checkpoints of %s at a time take %s", r.New, human.Bytes(r.Checkpoint), human.Bytes(want))
	}
	if r.Parts > 0 {
		what += fmt.Sprintf(", and %s more while one is made of the processes' parts", human.Bytes(r.Parts))
	}
	hint := "make room, or " + rundir.OtherDisk
	if r.Most > 2 {
		hint = "make room, lower train.save_total_limit, or " + rundir.OtherDisk
	}
	return fault.Usage(fault.Hint(fmt.Errorf("%s are free in %s, and %s", human.Bytes(r.Free), r.Dir, what), hint))
}
