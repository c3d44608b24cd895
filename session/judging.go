package session

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"lwtrain/eval"
	"lwtrain/examples"
	"lwtrain/internal/fault"
	"lwtrain/internal/llm"
	"lwtrain/internal/rundir"
	"lwtrain/judge"
	"path/filepath"
)

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
		e.session.warnKey("eval.judge", o.Server)
		client := llm.NewClient(o.Server)
		client.Tolerant, client.Waiting = true, e.session.events.Pausing
		from = client
	}
	var calibration *judge.Calibration
	if there, err := rundir.ReadJSON(filepath.Join(e.job.Dir, eval.CalibrationFile), &calibration); err != nil || !there {
		calibration = nil
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
	var err error
	if e.folder, err = rundir.Enter(c.Output.Dir); err != nil {
		return nil, err
	}
	e.job.Calls, err = llm.OpenCalls(filepath.Join(c.Output.Dir, eval.CallsFile))
	return e, err
}

// Calibrate has the judge rate texts that ship with lwtrain, whole and damaged, and keeps what it can tell
// apart.
func (e *Eval) Calibrate(ctx context.Context, texts int) (judge.Calibration, error) {
	o := e.job.Options.Judge
	if o.URL == "" {
		return judge.Calibration{}, fault.Usage(errors.New("eval.judge.url: missing, want the address of the server that has the judge"))
	}
	whole, err := wholeTexts(texts)
	if err != nil {
		return judge.Calibration{}, err
	}
	e.session.warnKey("eval.judge", o.Server)
	client := llm.NewClient(o.Server)
	client.Tolerant, client.Waiting = true, e.session.events.Pausing
	who := judge.Judge{Name: o.Model, Mode: judge.Mode(o.Mode), Words: o.Words}
	c, err := judge.Calibrate(ctx, e.job.Calls.Keep(client, o.Model+" at "+o.URL), who, whole)
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
		if err := json.Unmarshal(line, &row); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if len(out) < n {
			prompt, text := row.Messages[0].Content, row.Messages[1].Content
			out = append(out, judge.Case{ID: fmt.Sprint(len(out)), Prompt: prompt, Text: text})
		}
	}
	return out, nil
}
