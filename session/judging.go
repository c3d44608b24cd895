package session

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"lwtrain/configs"
	"lwtrain/eval"
	"lwtrain/examples"
	"lwtrain/internal/fault"
	"lwtrain/internal/llm"
	"lwtrain/internal/rundir"
	"lwtrain/judge"
)

// WantJudge refuses a config that names no judge.
func WantJudge(c *configs.Config) error {
	if c.Eval.Judge.URL != "" {
		return nil
	}
	return fault.Usage(errors.New("eval.judge.url: missing, want the address of the server that has the judge"))
}

// Judge has the answers rated where the config names a judge, and writes what came of it. Without ask only
// ratings that were made before count; the error is eval.ErrNotAsked where some lack. done, which may be nil, is
// told of each answer.
func (e *Eval) Judge(ctx context.Context, all []eval.Scored, ask bool, done func()) error {
	o := e.job.Options.Judge
	if o.URL == "" {
		return nil
	}
	var from llm.Answerer = eval.KeptOnly{}
	if ask {
		from = e.session.asks("eval.judge", o.Server)
	}
	var calibration *judge.Calibration // nil: there is none
	if _, err := rundir.ReadJSON(filepath.Join(e.job.Dir, eval.CalibrationFile), &calibration); err != nil {
		return fault.Usage(fault.Hint(err, "`lwtrain eval calibrate` writes it anew"))
	}
	for i := range all {
		if err := e.job.JudgeAll(ctx, &all[i], from, done); err != nil {
			return err
		}
		if c := calibration; c != nil && c.Judge == o.Model && string(c.Mode) == o.Mode {
			all[i].Summary.Judge.Calibration = c
		}
		if err := all[i].Write(filepath.Join(e.job.Dir, all[i].Task.Name)); err != nil {
			return err
		}
	}
	return nil
}

// Judging opens the folder of an evaluation for its judge alone, which need not hold one yet.
func (s *Session) Judging() (*Eval, error) {
	c := s.Config
	e := &Eval{session: s, job: eval.Job{Options: c.Eval, Seed: c.Seed, Dir: c.Output.Dir}}
	err := WantJudge(c)
	if err == nil {
		e.folder, err = rundir.Enter(c.Output.Dir)
	}
	if err == nil {
		e.job.Calls, err = llm.OpenCalls(filepath.Join(c.Output.Dir, eval.CallsFile))
	}
	if err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// Calibrate has the judge rate texts that ship with lwtrain, whole and damaged, and keeps what it can tell
// apart.
func (e *Eval) Calibrate(ctx context.Context, texts int) (judge.Calibration, error) {
	o := e.job.Options.Judge
	if judge.Mode(o.Mode) == judge.Checklist {
		return judge.Calibration{}, fault.Usage(errors.New(
			"eval.judge.mode is checklist, and the texts of a calibration have none, want strict, paper or pair"))
	}
	whole, err := wholeTexts(texts)
	if err != nil {
		return judge.Calibration{}, err
	}
	c, err := judge.Calibrate(ctx, e.job.Calls.Keep(e.session.asks("eval.judge", o.Server), o.Who()), o.Rater(), whole)
	if err != nil {
		return c, err
	}
	return c, rundir.WriteJSON(filepath.Join(e.job.Dir, eval.CalibrationFile), c)
}

// wholeTexts are texts that ship with lwtrain, n at most.
func wholeTexts(n int) (out []judge.Case, err error) {
	const name = "length-cap/documents.jsonl"
	raw, err := examples.FS.ReadFile(name)
	if err != nil {
		return nil, err
	}
	for line := range bytes.Lines(raw) {
		var row struct{ Messages []llm.Message }
		if json.Unmarshal(line, &row) != nil {
			return nil, fmt.Errorf("%s: a line that is no JSON", name)
		}
		if len(out) < n {
			prompt, text := row.Messages[0].Content, row.Messages[1].Content
			out = append(out, judge.Case{ID: fmt.Sprint(len(out)), Prompt: prompt, Text: text})
		}
	}
	return out, nil
}
