package main

import (
	"cmp"
	"context"
	"fmt"

	"lwtrain/engine"
	"lwtrain/internal/human"
	"lwtrain/internal/machine"
	"lwtrain/internal/show"
	"lwtrain/session"
)

// runNeeds is what the run of a config takes.
type runNeeds struct {
	Model       string `json:"model"`
	Parameters  int64  `json:"parameters"`
	Memory      int64  `json:"memory_bytes"`
	HeldOut     int64  `json:"held_out_bytes,omitempty"` // of it, what a held-out sample longer than a pack is measured in
	Free        int64  `json:"free_bytes"`
	Recomputed  string `json:"recomputed"`
	Checkpoint  int64  `json:"checkpoint_bytes"`
	Parts       int64  `json:"parts_bytes,omitempty"` // besides, while one is written
	Checkpoints int    `json:"checkpoints"`           // on the disk at a time; 0: one for every train.save_steps
	Time        string `json:"time"`                  // how long it takes, or why that is not known; none: it is done
	less        string // what would make it take less memory
}

// needsOfRun opens what the run of a session reads, and says what it takes.
func needsOfRun(ctx context.Context, s *session.Session) (*runNeeds, error) {
	free := machine.ReadMemory().Available() // before there are samples in it
	run, unplanned := s.RunOfData(ctx)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var b *session.Model
	var m engine.Needs
	var err error
	if unplanned == nil {
		defer run.Close()
		b = run.Model
		m, err = run.Needs()
	} else {
		b, m, err = needsWithoutData(ctx, s)
	}
	if err != nil {
		return nil, err
	}
	room := s.Room(m)
	r := &runNeeds{
		Model: b.Name, Parameters: b.Config.Parameters(), Memory: m.Total(), HeldOut: m.HeldOut, Recomputed: m.Recomputed,
		Checkpoint: room.Checkpoint, Parts: room.Parts, Checkpoints: room.Most, less: session.LessMemory(m),
	}
	if s.Config.Train.SaveSteps > 0 && s.Config.Train.SaveTotalLimit == 0 {
		r.Checkpoints = 0
	}
	if r.Free = free; m.By == engine.Torch {
		r.Free = m.Limit // of GPUs, where there are some
	}
	var time session.Outlook
	if unplanned == nil {
		time, unplanned = outlook(ctx, run, m)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if unplanned != nil {
		time.Unknown = unplanned.Error()
	}
	r.Time = show.TimeText(time)
	return r, nil
}

// needsWithoutData is what the run of a config takes whose data can not be read: without held-out samples that are longer than a pack.
func needsWithoutData(ctx context.Context, s *session.Session) (*session.Model, engine.Needs, error) {
	m, err := s.Model(ctx)
	if err != nil {
		return nil, engine.Needs{}, err
	}
	reference, err := s.Reference(ctx, m)
	if err != nil {
		return nil, engine.Needs{}, err
	}
	needs, err := s.Needs(m, reference, 0)
	return m, needs, err
}

// outlook is how long a run takes.
func outlook(ctx context.Context, run *session.Run, m engine.Needs) (session.Outlook, error) {
	plan, err := run.Plan()
	if err != nil {
		return session.Outlook{}, err
	}
	step, err := run.Check()
	if err != nil {
		return session.Outlook{}, err
	}
	return run.Outlook(ctx, plan, m, step)
}

// print says it in lines.
func (r *runNeeds) print(line func(label, format string, args ...any)) {
	line("run", "%s, %s parameters", r.Model, human.Scaled(r.Parameters))
	line("", "memory %s%s; %s", human.Bytes(r.Memory), human.OfFree(r.Free), r.Recomputed)
	if r.HeldOut > 0 {
		line("", "the longest held-out sample is measured in %s of them", human.Bytes(r.HeldOut))
	}
	keeps := fmt.Sprintf("%s on the disk at a time", human.Count(r.Checkpoints, "checkpoint"))
	if r.Checkpoints == 0 {
		keeps = "every one is kept"
	}
	line("", "a checkpoint takes %s; %s", human.Bytes(r.Checkpoint), keeps)
	if r.Parts > 0 {
		line("", "%s more while one is made of the processes' parts", human.Bytes(r.Parts))
	}
	line("time", "%s", cmp.Or(r.Time, "it is done"))
}
