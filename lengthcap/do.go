package lengthcap

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"lwtrain/eval"
	"lwtrain/experiment"
	"lwtrain/internal/atomicfile"
	"lwtrain/internal/llm"
	"lwtrain/internal/rundir"
	"lwtrain/model"
	"lwtrain/report"
	"lwtrain/session"
	"lwtrain/train"
)

// Do trains, reads and asks each model, and writes what came of them. One that was interrupted
// goes on with what is there.
func (x *Experiment) Do(ctx context.Context) (experiment.Result, error) {
	task, err := x.session.Task(ctx, x.prompts())
	if err != nil {
		return experiment.Result{}, err
	}
	all := make([]experiment.Answers, len(x.Plan.Arms))
	for i, a := range x.Plan.Arms {
		if x.Events.Arm != nil {
			x.Events.Arm(i, len(all), a)
		}
		if all[i], err = x.do(ctx, a); err != nil {
			return experiment.Result{}, err
		}
		if err := x.folder.Check(); err != nil {
			return experiment.Result{}, err
		}
	}
	result := experiment.Conclude(x.session.Config.Experiment, x.Model.Describe(), task.Name, all)
	return result, errors.Join(
		rundir.WriteJSON(filepath.Join(x.dir, eval.SummaryFile), result),
		atomicfile.Write(filepath.Join(x.dir, PlotFile), func(w io.Writer) error { return report.PlotExperiment(w, result) }),
		atomicfile.Write(filepath.Join(x.dir, session.ReportFile), func(w io.Writer) error {
			return report.WriteExperiment(w, filepath.Base(x.dir), result)
		}))
}

// do does one model.
func (x *Experiment) do(ctx context.Context, a experiment.Arm) (out experiment.Answers, err error) {
	dir := x.session.Config.Model.Path
	if a.Cap > 0 {
		if dir, err = x.train(ctx, a); err != nil {
			return out, err
		}
	}
	survival, err := x.survival(ctx, a, dir)
	if err != nil {
		return out, err
	}
	scored, err := x.answers(ctx, a, dir)
	if err != nil {
		return out, err
	}
	out = experiment.Answers{Arm: a, Scores: scored.Scores, Summary: scored.Summary, Survival: survival}
	for _, g := range scored.Generations {
		if g.Stop == llm.StopLoop {
			out.Looped++
		}
	}
	return out, nil
}

// train trains a model, as lwtrain sft does, and returns its last checkpoint.
func (x *Experiment) train(ctx context.Context, a experiment.Arm) (string, error) {
	run, err := x.open(ctx, a)
	if err != nil {
		return "", err
	}
	defer run.Close()
	var events train.Events
	if x.Events.Training != nil {
		x.Events.Training(a, &events)
	}
	result, err := run.Do(ctx, events)
	if err != nil {
		return "", err
	}
	if !result.AlreadyThere {
		err = run.WriteReport()
	}
	return result.Checkpoint, err
}

// survival reads the held-out answers with a model, unless that was done before.
func (x *Experiment) survival(ctx context.Context, a experiment.Arm, dir string) (*eval.Survival, error) {
	path := filepath.Join(x.dir, a.Name, survivalFile)
	out := &eval.Survival{}
	if there, err := rundir.ReadJSON(path, out); err != nil || there {
		return out, err
	}
	m, err := x.load(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer m.Free()
	*out, err = x.Model.ReadDocuments(ctx, m, x.rendered, func(n int) {
		if x.Events.Read != nil {
			x.Events.Read(a, n, len(x.rendered))
		}
	})
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	return out, rundir.WriteJSON(path, out)
}

// load reads the weights of a model to read with.
func (x *Experiment) load(ctx context.Context, dir string) (*model.Model, error) {
	if dir == "" { // a fresh model, as it is
		return x.Model.Load()
	}
	return session.LoadToAnswer(ctx, dir, x.Plan.Precision, x.warnings)
}

// answers asks a model the prompts.
func (x *Experiment) answers(ctx context.Context, a experiment.Arm, dir string) (out eval.Scored, err error) {
	c := *x.session.Config
	o := c.Experiment
	if dir != "" {
		c.Model.Path, c.Model.Init = dir, nil
	}
	c.Output.Dir = filepath.Join(x.dir, a.Name, "answers")
	c.Eval = eval.Options{
		Tasks: []string{x.prompts()}, Samples: o.Samples, Temperature: o.Temperature, TopP: o.TopP, MaxNewTokens: x.Plan.MaxTokens,
		Batch: o.Batch, Precision: x.Plan.Precision, Server: c.Eval.Server, Judge: c.Eval.Judge,
	}
	c.Eval.Server.URL, c.Eval.Server.Model = "", ""
	s := session.Open(&c, session.Events{}, false)
	defer s.Close()
	run, err := s.Eval(ctx)
	if err != nil {
		return out, err
	}
	run.Limit(x.Plan.Prompts)
	run.StopLoops()
	defer func() { err = errors.Join(err, run.Close()) }()
	if err := run.Enter(); err != nil {
		return out, err
	}
	done, tokens := 0, 0
	err = run.Generate(ctx, func() {}, func(r llm.Reply) {
		if done, tokens = done+1, tokens+r.Tokens; x.Events.Answered != nil {
			x.Events.Answered(a, done, x.Plan.Prompts*o.Samples, tokens)
		}
	})
	if err != nil {
		return out, err
	}
	scored, err := run.Score()
	if err == nil {
		_, err = run.Report(scored, nil)
	}
	if err != nil {
		return out, err
	}
	return scored[0], nil
}
