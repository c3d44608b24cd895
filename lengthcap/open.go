package lengthcap

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"lwtrain/eval"
	"lwtrain/internal/atomicfile"
	"lwtrain/internal/rundir"
	"lwtrain/session"
)

// Open opens the documents, the prompts and the model of the config, and makes the plan, or
// takes the one of the folder.
func Open(ctx context.Context, s *session.Session, e Events) (*Experiment, error) {
	x := &Experiment{session: s, dir: s.Config.Output.Dir, Events: e, warnings: e.Session}
	if s.Config.Model.Path != "" && !(s.DryRun && session.OnHub(s.Config.Model.Path)) { // a dry run does without its weights
		var err error
		if s.Config.Model.Path, err = session.ModelFolder(ctx, s.Config.Model.Path, x.warnings); err != nil {
			return nil, err
		}
	}
	set, err := x.samples(ctx)
	if err != nil {
		return nil, err
	}
	defer set.Close()
	documents, err := x.documents(set)
	if err != nil {
		return nil, err
	}
	task, err := x.session.Task(ctx, x.prompts())
	if err != nil {
		return nil, err
	}
	if s.DryRun {
		if x.dir, err = s.TempDir(); err != nil {
			return nil, err
		}
	} else if x.folder, err = rundir.Enter(x.dir); err != nil {
		return nil, err
	}
	id, err := x.identity(documents, task)
	if err == nil {
		err = x.check(id)
	}
	if err == nil && !x.Known {
		err = x.plan(ctx, documents, task)
	}
	if err == nil && !s.DryRun && !x.Known {
		err = errors.Join(
			rundir.WriteJSON(filepath.Join(x.dir, planFile), x.Plan),
			atomicfile.WriteBytes(filepath.Join(x.dir, rundir.Config), s.Config.Resolved()),
			rundir.WriteJSON(filepath.Join(x.dir, rundir.File), id))
	}
	if err != nil {
		return nil, errors.Join(err, x.Close())
	}
	return x, nil
}

// identity is what an experiment is known by; the runs of its models check theirs.
func (x *Experiment) identity(documents []document, task eval.Asked) (id rundir.Identity, err error) {
	id = rundir.Identity{Contents: map[string]string{}, Settings: x.session.Config.Settings("experiment")}
	if !x.session.DryRun || x.Model.HasWeights() {
		if id.Contents["model"], err = x.Model.Fingerprint(); err != nil {
			return id, err
		}
	}
	id.Contents["tokenizer and template"] = x.Model.Template.Fingerprint()
	id.Contents["prompts"] = rundir.HashOf(task.Items)
	id.Contents["documents"] = rundir.HashOf(documents)
	id.Contents["held out"] = rundir.HashOf(x.heldOut)
	return id, nil
}

// check refuses a folder of another experiment, and takes the plan of this one.
func (x *Experiment) check(id rundir.Identity) error {
	dir := x.session.Config.Output.Dir
	var there rundir.Identity
	known, err := rundir.ReadJSON(filepath.Join(dir, rundir.File), &there)
	if err != nil {
		return err
	}
	if !known {
		return rundir.RefuseForeign(dir, planFile, rundir.Config, session.ReportFile) // documents may be there from a plan that did not fit
	}
	if id.Contents["model"] == "" {
		delete(there.Contents, "model")
	}
	if err := rundir.Same(dir, there, id); err != nil {
		return err
	}
	x.Known = true
	if there, err := rundir.ReadJSON(filepath.Join(dir, planFile), &x.Plan); err != nil || !there {
		return errors.Join(err, fmt.Errorf("%s: the plan of the experiment is gone", filepath.Join(dir, planFile)))
	}
	return nil
}
