package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"lwtrain/agentwrite"
	"lwtrain/data"
	"lwtrain/data/record"
	"lwtrain/internal/atomicfile"
	"lwtrain/internal/fault"
	"lwtrain/internal/llm"
	"lwtrain/internal/rundir"
	"lwtrain/model"
	"lwtrain/report"
)

// AgentWrite builds training data of the instructions of a config, in a folder.
type AgentWrite struct {
	Prompts []record.Prompt
	Dropped map[string]int // records that are no instructions, by reason
	Model   *Model         // that writes; nil: a server does

	session *Session
	job     agentwrite.Job
	outlook agentwrite.Outlook
	kept    agentwrite.Spent
	left    agentwrite.Outlook
	needs   AnswerNeeds
	folder  *rundir.Folder
	by      map[string]string // the settings that choose among instructions and answers
	about   agentWriting
}

// identity says that a folder is one of these: all that texts depend on is known by call.
var identity = rundir.Identity{Contents: map[string]string{}, Settings: map[string]string{"command": "agentwrite"}}

// agentWriting is run.json of its folder.
type agentWriting struct {
	rundir.Asking
	Begun string            `json:"begun"`           // day and time
	By    map[string]string `json:"chose,omitempty"` // by which settings the stages that were done chose
}

// AgentWrite opens the instructions of the config and, where no server writes, the model, without
// its weights. Of the stages, only one is done, or all where it is ""; of the instructions, the first ones up
// to limit, or all where it is 0.
func (s *Session) AgentWrite(ctx context.Context, only agentwrite.Stage, limit int) (*AgentWrite, error) {
	c := s.Config
	o := c.AgentWrite
	a := &AgentWrite{session: s}
	sources := c.Data.Sources
	if o.Prompts != "" {
		sources = []data.Source{{Name: "instructions", Path: o.Prompts, LossFactor: 1, Repeat: 1}}
	} else if err := s.Fetch(ctx); err != nil {
		return nil, err
	}
	if len(sources) == 0 {
		return nil, fault.Usage(errors.New("agentwrite.prompts: missing, want a file with instructions"))
	}
	var err error
	if a.Prompts, a.Dropped, err = s.prompts(ctx, sources, o.LengthColumn); err != nil {
		return nil, err
	}
	if limit > 0 {
		a.Prompts = a.Prompts[:min(limit, len(a.Prompts))]
	}
	if len(a.Prompts) == 0 {
		return nil, fault.Usage(errors.New("there are no instructions, want at least one (agentwrite.prompts)"))
	}
	a.by = c.Values("agentwrite.select")
	maps.Copy(a.by, c.Values("agentwrite.filter"))
	a.by["--limit"] = strconv.Itoa(limit)
	a.job = agentwrite.Job{Options: o, Seed: c.Seed, Prompts: a.Prompts, Only: only}
	a.outlook = a.job.Outlook()
	if o.Writer.URL != "" {
		s.warnKey("agentwrite.writer", o.Writer.Server)
		a.job.Name = o.Writer.Model + " at " + o.Writer.URL
		a.job.Model = o.Writer.Model // wherever it is
		return a, a.reckon(ctx)
	}
	if a.Model, err = s.whole(ctx); err != nil {
		return nil, err
	}
	a.Model.warnFresh()
	a.job.Name, a.job.Own = a.Model.Describe(), true
	if a.Model.HasWeights() { // or it is a dry run, which keeps nothing
		id, err := a.Model.Fingerprint()
		if err != nil {
			return nil, err
		}
		a.job.Model = fmt.Sprintf("%s %s %s", id, a.Model.Template.Fingerprint(), o.Precision)
	}
	decoder := &llm.Decoder{Tokenizer: a.Model.Tokenizer, Template: a.Model.Template}
	if most := a.Model.Config.MaxTokens; most > 0 {
		a.job.Room = func(r llm.Request) int {
			texts, err := decoder.Texts([]llm.Request{r})
			if err != nil {
				return r.MaxTokens // the decoder says what is wrong
			}
			return most - len(texts[0].Prompt)
		}
	}
	longest := a.longest()
	a.needs, err = a.Model.needsToAnswer(o.Precision, longest, min(o.Batch, len(a.Prompts)),
		"lower agentwrite.max_new_tokens, or let a server with more of it write (agentwrite.writer)")
	if a.job.Batch = a.needs.Batch; err != nil {
		return nil, err
	}
	return a, a.reckon(ctx)
}

// reckon finds out what is left to pay.
func (a *AgentWrite) reckon(ctx context.Context) (err error) {
	if a.job.Calls, err = llm.ReadCalls(filepath.Join(a.session.Config.Output.Dir, agentwrite.CallsFile)); err == nil {
		a.kept, a.left, err = a.job.Left(ctx)
	}
	a.job.Calls = nil
	return err
}

// longest is how many tokens a paragraph may reach with its prompt, about: the instruction and the
// text so far stand before it.
func (a *AgentWrite) longest() int {
	const perWord, beside, stated = 2, 4096, 10000 // tokens of a word, and of the prompt and the plan; words where none are stated
	words := 0
	for _, p := range a.Prompts {
		n := p.Required
		if n == 0 {
			n = stated
		}
		words = max(words, n)
	}
	longest := perWord*words + beside + a.job.MaxNewTokens
	if most := a.Model.Config.MaxTokens; most > 0 {
		longest = min(longest, most)
	}
	return longest
}

// Needs is the memory that a model of our own takes.
func (a *AgentWrite) Needs() AnswerNeeds { return a.needs }

// Outlook is what the job takes, about.
func (a *AgentWrite) Outlook() agentwrite.Outlook { return a.outlook }

// Left is what was spent on the replies that are there, and what the job takes beside them, about.
func (a *AgentWrite) Left() (kept agentwrite.Spent, left agentwrite.Outlook) { return a.kept, a.left }

// Check refuses an output folder that holds something else, and reports whether the job was begun there.
func (a *AgentWrite) Check() (known bool, err error) {
	dir := a.session.Config.Output.Dir
	known, err = rundir.ReadJSON(filepath.Join(dir, rundir.File), &a.about)
	switch {
	case err == nil && known:
		if err := rundir.Same(dir, a.about.Identity, identity); err != nil {
			return known, err
		}
		var before agentwrite.Manifest
		_, err := rundir.ReadJSON(filepath.Join(dir, agentwrite.ManifestFile), &before)
		for _, changed := range a.job.Anew(before) {
			a.session.events.warn("%s: what was written so is not found again, and is asked for anew; its replies stay in %s", changed,
				filepath.Join(dir, agentwrite.CallsFile))
		}
		if other := a.job.Another(a.about.By, a.by); len(other) > 0 {
			a.session.events.warn("%s: stages before were done with other settings (%s), and %s goes by those of now: give it the same "+
				"to keep to what they left", dir, strings.Join(other, "; "), a.job.Only)
		}
		a.about.Begun = cmp.Or(a.about.Begun, before.Begun) // where earlier versions had it
		return known, err
	case err != nil:
		return known, err
	}
	return known, rundir.RefuseForeign(dir, agentwrite.CallsFile, agentwrite.ItemsFile, agentwrite.DroppedFile, agentwrite.TrainFile,
		agentwrite.ManifestFile, rundir.Config)
}

// Enter gets the folder ready, and opens what was asked before. Close is to be called at the end.
func (a *AgentWrite) Enter() (err error) {
	c := a.session.Config
	dir := c.Output.Dir
	if a.folder, err = rundir.Enter(dir); err != nil {
		return err
	}
	if _, err := a.Check(); err != nil {
		return err
	}
	err = atomicfile.Clean(dir, agentwrite.ItemsFile, agentwrite.DroppedFile, agentwrite.TrainFile, agentwrite.ManifestFile, ReportFile)
	if err != nil {
		return err
	}
	a.about.Begun = cmp.Or(a.about.Begun, time.Now().UTC().Format(time.RFC3339))
	a.about.Identity = identity
	a.about.Total, a.about.About = a.kept.Calls+a.left.Calls, true
	if err := rundir.WriteJSON(filepath.Join(dir, rundir.File), a.about); err != nil {
		return err
	}
	if err := atomicfile.WriteBytes(filepath.Join(dir, rundir.Config), c.Resolved()); err != nil {
		return err
	}
	a.job.Calls, err = llm.OpenCalls(filepath.Join(dir, agentwrite.CallsFile))
	return err
}

// Do does the job, or its stage, and writes what came of it. With [agentwrite.ErrBudget] that is
// written, too.
func (a *AgentWrite) Do(ctx context.Context, progress func(agentwrite.Progress)) ([]*agentwrite.Item, error) {
	o := a.job.Options
	a.job.Progress = progress
	var from llm.Answerer
	if a.Model == nil {
		client := llm.NewClient(o.Writer.Server)
		client.Waiting = a.session.events.Pausing
		from = client
	} else {
		lazy := &loading{model: a.Model, precision: o.Precision, batch: a.job.Batch}
		defer lazy.free()
		from = lazy
	}
	items, err := a.job.Do(ctx, from)
	if err != nil && !errors.Is(err, agentwrite.ErrBudget) {
		return nil, err
	}
	if e := a.folder.Check(); e != nil {
		return nil, e
	}
	dir := a.session.Config.Output.Dir
	if e := a.job.Save(dir, agentwrite.Manifest{Program: Version(), Begun: a.about.Begun}); e != nil {
		return nil, e
	}
	a.about.By = a.job.Done(a.about.By, a.by)
	if e := rundir.WriteJSON(filepath.Join(dir, rundir.File), a.about); e != nil {
		return nil, e
	}
	e := atomicfile.Write(filepath.Join(dir, ReportFile), func(w io.Writer) error {
		return report.WriteAgentWrite(w, filepath.Base(dir), a.job.Name, items, a.job.Spent)
	})
	if e != nil {
		return nil, e
	}
	return items, err
}

// Spent is what the job has taken.
func (a *AgentWrite) Spent() agentwrite.Spent { return a.job.Spent }

// Close closes the folder.
func (a *AgentWrite) Close() error {
	var err error
	if a.job.Calls != nil {
		err = a.job.Calls.Close()
	}
	if a.folder != nil {
		err = errors.Join(err, a.folder.Close())
	}
	return err
}

// loading is a model of our own whose weights are read once it is asked.
type loading struct {
	model     *Model
	precision string
	batch     int
	weights   *model.Model
}

// Converse implements [llm.Answerer].
func (l *loading) Converse(ctx context.Context, requests []llm.Request, done func(int, llm.Reply) ([]llm.Request, error)) (err error) {
	if l.weights == nil {
		if l.weights, err = l.model.LoadToAnswer(l.precision); err != nil {
			return err
		}
	}
	d := &llm.Decoder{Model: l.weights, Tokenizer: l.model.Tokenizer, Template: l.model.Template, Batch: l.batch, Apart: true}
	return d.Converse(ctx, requests, done)
}

func (l *loading) free() {
	if l.weights != nil {
		l.weights.Free()
	}
}
