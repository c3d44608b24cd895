package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"lwtrain/eval"
	"lwtrain/internal/atomicfile"
	"lwtrain/internal/fault"
	"lwtrain/internal/human"
	"lwtrain/internal/llm"
	"lwtrain/internal/machine"
	"lwtrain/internal/rundir"
	"lwtrain/model"
	"lwtrain/report"
)

// Eval is an evaluation of a model, in a folder.
type Eval struct {
	Tasks []eval.Asked
	Model *Model // that answers; nil: a server does

	session *Session
	job     eval.Job
	id      rundir.Identity
	needs   AnswerNeeds
	server  *llm.Client // nil: the model answers
	weights *model.Model
	folder  *rundir.Folder
}

// Eval opens the tasks of the config and, where no server answers them, the model, without its
// weights.
func (s *Session) Eval(ctx context.Context) (*Eval, error) {
	c := s.Config
	e := &Eval{session: s, id: rundir.Identity{Contents: map[string]string{}, Settings: c.Settings("eval")}}
	seen := map[string]bool{}
	for _, name := range c.Eval.Tasks {
		t, err := s.Task(ctx, name)
		if err == nil && seen[t.Name] {
			err = fault.Usage(fmt.Errorf("eval.tasks has two tasks named %s, want each once", t.Name))
		}
		if err != nil {
			return nil, err
		}
		seen[t.Name] = true
		t.Task = t.As(c.Eval.Compat)
		e.Tasks = append(e.Tasks, t)
	}
	e.job = eval.Job{Options: c.Eval, Seed: c.Seed, Dir: c.Output.Dir, Tasks: e.Tasks}
	if server := c.Eval.Server; server.URL != "" {
		e.server = s.asks("eval.server", server)
		e.job.Name = server.Who()
		e.job.Model = e.job.Name
		return e, nil
	}
	var err error
	if e.Model, err = s.whole(ctx); err != nil {
		return nil, err
	}
	if s.DryRun && !e.Model.HasWeights() {
		return e, e.plan()
	}
	if e.id.Contents["model"], err = e.Model.Fingerprint(); err != nil {
		return nil, err
	}
	e.id.Contents["tokenizer and template"] = e.Model.Template.Fingerprint()
	e.Model.warnFresh()
	e.job.Name = e.Model.Describe()
	e.job.Model = fmt.Sprintf("%s %s %s", e.id.Contents["model"], e.id.Contents["tokenizer and template"], c.Eval.Precision)
	return e, e.plan()
}

// AnswerNeeds is the memory of a model that answers: bytes of weights, and of the keys and values of
// Batch answers at a time that are as long as they may be.
type AnswerNeeds struct {
	Weights, Cache int64
	Batch          int // 0: a server answers
	Most           int // that are wanted at a time; of these Batch fit
}

// plan finds what answers need, and refuses prompts that the model cannot be asked.
func (e *Eval) plan() (err error) {
	asked := e.job.Requests()
	e.needs, err = e.Model.needsToAsk(asked, e.job.Precision, min(e.job.Batch, max(1, len(asked))), "eval",
		"lower eval.max_new_tokens, or let a server with more of it answer: "+e.serve())
	e.job.Batch = e.needs.Batch
	return err
}

// needsToAsk is the memory of answers to requests, batch at a time, or fewer where fewer fit. It refuses prompts that the model
// cannot be asked, and says where answers may go beyond the positions that it has seen; key is the section of max_new_tokens.
func (m *Model) needsToAsk(asked []llm.Request, precision string, batch int, key, hint string) (AnswerNeeds, error) {
	texts, err := (&llm.Decoder{Tokenizer: m.Tokenizer, Template: m.Template}).Texts(asked)
	if err != nil {
		return AnswerNeeds{}, err
	}
	longest := 0
	for _, t := range texts {
		longest = max(longest, len(t.Prompt)+t.MaxNewTokens)
	}
	if most := m.Config.MaxTokens; most > 0 && longest > most {
		m.session.events.warn("answers may reach %d tokens with their prompts (%s.max_new_tokens), and the model has seen positions "+
			"up to %d: the rest is new to it", longest, key, most)
	}
	return m.needsToAnswer(precision, longest, batch, hint)
}

// needsToAnswer is the memory of answers of at most longest tokens with their prompts, batch at a time, or fewer
// where fewer fit. Where not one does, hint says what helps.
func (m *Model) needsToAnswer(precision string, longest, batch int, hint string) (AnswerNeeds, error) {
	here := m.HasWeights() // those of a model on the hub may come later, and are taken for the smaller kind
	half := precision == "bf16" || precision == "auto" && !here
	if precision == "auto" && m.dir != "" && here {
		var err error
		if half, err = model.IsBF16(m.dir); err != nil {
			return AnswerNeeds{}, err
		}
	}
	size := int64(4)
	if half {
		size = 2
	}
	c := m.Config
	one := max(1, int64(longest)*int64(c.Layers*c.KVHeads*c.HeadDim*2)*size) // nothing is asked, or no layer keeps any
	n := AnswerNeeds{Weights: c.Parameters() * size, Batch: batch, Most: batch}
	if free := machine.ReadMemory().Available(); free > 0 {
		fit := (free - n.Weights) * 9 / 10 / one
		if fit < 1 {
			return n, fault.Usage(fault.Hint(fmt.Errorf("an answer of %d tokens and the weights take %s, and %s are free",
				longest, human.Bytes(n.Weights+one), human.Bytes(free)), hint))
		}
		n.Batch = min(n.Batch, int(fit))
	}
	n.Cache = one * int64(n.Batch)
	return n, nil
}

// serve says how a server answers for the model.
func (e *Eval) serve() string {
	return fmt.Sprintf("`vllm serve %s --served-model-name mine --max-model-len %d`, and eval.server.url=http://ITS-ADDRESS:8000/v1 "+
		"eval.server.model=mine", e.session.Config.Model.Path, e.job.MaxNewTokens+8192)
}

// Needs is the memory that answers take.
func (e *Eval) Needs() AnswerNeeds { return e.needs }

// warnKey says that a server is asked without a key, unless it is on this machine.
func (s *Session) warnKey(key string, server llm.Server) {
	if server.URL != "" && !server.Local() && server.KeyEnv != "" && os.Getenv(server.KeyEnv) == "" {
		s.events.warn("%s: %s is not set: it is asked without a key", key, server.KeyEnv)
	}
}

// asks is who asks the server of a key of an evaluation's config.
func (s *Session) asks(key string, server llm.Server) *llm.Client {
	s.warnKey(key, server)
	client := llm.NewClient(server)
	client.Waiting = s.events.Pausing
	return client
}

// Check refuses an output folder that holds another evaluation, or foreign files, and reports
// whether it holds this one.
func (e *Eval) Check() (known bool, err error) {
	dir := e.job.Dir
	if isThere(filepath.Join(dir, rundir.Checkpoints)) {
		return false, fault.Usage(fault.Hint(fmt.Errorf("output.dir is %s, the folder of a training run, want another one", dir),
			"such as output.dir="+filepath.Join("evals", filepath.Base(dir))+"; what was trained there is asked with model.path="+dir))
	}
	var there rundir.Identity
	known, err = rundir.ReadJSON(filepath.Join(dir, rundir.File), &there)
	switch {
	case err != nil:
		return known, err
	case known:
		if e.Model != nil && e.id.Contents["model"] == "" { // in a dry run, of one that is on the hub
			there.Contents = nil
		}
		return known, rundir.Same(dir, there, e.id)
	}
	names := []string{rundir.Config} // calls.jsonl may be there from a calibration
	for _, t := range e.Tasks {
		names = append(names, t.Name)
	}
	return known, rundir.RefuseForeign(dir, names...)
}

// Enter gets the folder ready, and opens what was asked before. Close is to be called at the end.
func (e *Eval) Enter() (err error) {
	if e.folder, err = rundir.Enter(e.job.Dir); err != nil {
		return err
	}
	if _, err := e.Check(); err != nil {
		return err
	}
	for _, t := range e.Tasks {
		dir := filepath.Join(e.job.Dir, t.Name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fault.Usage(err)
		}
		if err := atomicfile.Clean(dir, eval.GenerationsFile, eval.ScoresFile, eval.JudgementsFile, eval.SummaryFile); err != nil {
			return err
		}
	}
	about := rundir.Asking{Identity: e.id}
	about.Total, about.About = e.job.Replies()
	if err := rundir.WriteJSON(filepath.Join(e.job.Dir, rundir.File), about); err != nil {
		return err
	}
	if err := atomicfile.WriteBytes(filepath.Join(e.job.Dir, rundir.Config), e.session.Config.Resolved()); err != nil {
		return err
	}
	e.job.Calls, err = llm.OpenCalls(filepath.Join(e.job.Dir, eval.CallsFile))
	return err
}

// Limit leaves the first n prompts of each task.
func (e *Eval) Limit(n int) {
	for i := range e.Tasks {
		t := &e.Tasks[i]
		t.Items = t.Items[:min(n, len(t.Items))]
	}
}

// StopLoops ends answers of a model of our own that are caught in a loop.
func (e *Eval) StopLoops() { e.job.StopLoops = true }

// Answers is how many answers are wanted, and how many of them are there.
func (e *Eval) Answers() (wanted, known int, err error) { return e.job.Answers() }

// Kept is [Eval.Answers] of a folder that is left as it is; known is below 0 where the weights are not here by which answers are known.
func (e *Eval) Kept() (wanted, known int, err error) {
	job := e.job
	if job.Model == "" {
		return 0, -1, nil
	}
	if job.Calls, err = llm.ReadCalls(filepath.Join(job.Dir, eval.CallsFile)); err != nil {
		return 0, 0, err
	}
	return job.Answers()
}

// Generate asks for the answers that lack, token by token told to token, and each reply to done.
func (e *Eval) Generate(ctx context.Context, token func(), done func(llm.Reply)) error {
	wanted, known, err := e.job.Answers()
	if err != nil {
		return err
	}
	var from llm.Answerer
	if m := e.Model; m == nil {
		from = e.server
	} else if known < wanted {
		if e.weights, err = m.LoadToAnswer(e.job.Precision); err != nil {
			return err
		}
		from = &llm.Decoder{
			Model: e.weights, Tokenizer: m.Tokenizer, Template: m.Template, Batch: e.job.Batch, Apart: true,
			Token: func(int, int32) { token() },
		}
	}
	if err := e.job.Generate(ctx, from, done); err != nil {
		return err
	}
	return e.folder.Check()
}

// Read has the model read the answers of eval.read, unless that was done before; nil: there are none, or a
// server answers. done, which may be nil, is told how many of them are read.
func (e *Eval) Read(ctx context.Context, done func(n, of int)) (*eval.Survival, error) {
	if e.job.Options.Read == "" || e.Model == nil {
		return nil, nil
	}
	documents, err := e.session.documents(ctx, e.Model)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(e.job.Dir, eval.ReadingFile)
	var known struct {
		Of string `json:"of"`
		eval.Survival
	}
	of := rundir.HashOf(documents)
	if there, err := rundir.ReadJSON(path, &known); err != nil || there && known.Of == of {
		return &known.Survival, err
	}
	if e.weights == nil {
		if e.weights, err = e.Model.LoadToAnswer(e.job.Precision); err != nil {
			return nil, err
		}
	}
	known.Of = of
	known.Survival, err = e.Model.ReadDocuments(ctx, e.weights, documents, func(n int) {
		if done != nil {
			done(n, len(documents))
		}
	})
	if err != nil {
		return nil, err
	}
	return &known.Survival, rundir.WriteJSON(path, known)
}

// Score measures the answers of all tasks and writes what came of them.
func (e *Eval) Score() ([]eval.Scored, error) {
	var all []eval.Scored
	for _, t := range e.Tasks {
		s, err := e.job.Score(t)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// Report writes the page of each task, and returns where they are.
func (e *Eval) Report(all []eval.Scored, read *eval.Survival) (pages []string, err error) {
	for _, x := range all {
		dir := filepath.Join(e.job.Dir, x.Task.Name)
		if err := WriteEval(dir, filepath.Base(e.job.Dir), x, read); err != nil {
			return nil, err
		}
		pages = append(pages, filepath.Join(dir, ReportFile))
	}
	return pages, nil
}

// WriteEval writes the page of a task's answers into a folder; read, which may be nil, is what the
// model said of answers that it read.
func WriteEval(dir, name string, x eval.Scored, read *eval.Survival) error {
	return atomicfile.Write(filepath.Join(dir, ReportFile), func(w io.Writer) error { return report.WriteEval(w, name, x, read) })
}

// Close closes the folder and frees the weights.
func (e *Eval) Close() error {
	if e.weights != nil {
		e.weights.Free()
	}
	var err error
	if e.job.Calls != nil {
		err = e.job.Calls.Close()
	}
	if e.folder != nil {
		err = errors.Join(err, e.folder.Close())
	}
	return err
}
