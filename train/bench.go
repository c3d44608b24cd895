package train

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"lwtrain/engine"
	"lwtrain/internal/rng"
	"lwtrain/packing"
)

// BenchJob is what [Bench] measures: steps on synthetic documents of
// Documents[0] to Documents[1] tokens, the last of a pack cut to the capacity.
type BenchJob struct {
	Engine    engine.Engine
	Options   Options
	Capacity  int
	Steps     int // a step before them warms up and is not counted
	Documents [2]int
	Vocab     int
	Packs     int    // in a step; 0: 1
	Save      string // a folder that is written into at the end, to measure that; "": none is

	// FLOPs is what a training step of the model computes for a document of that many
	// tokens, without what is computed again.
	FLOPs func(tokens int) float64
	// PeakGFLOPs measures what a matrix product in the same precision reaches.
	PeakGFLOPs func() float64
	// Profile makes the engine add the time of each kind of op to a table.
	Profile func(into map[string]time.Duration)
	// Progress may be nil.
	Progress func(step int, tokensPerSecond float64)
}

// BenchResult is how fast a training step is, and what it takes.
type BenchResult struct {
	TokensPerSecond    float64   `json:"tokens_per_second"`
	ModelFLOPsPerToken float64   `json:"model_flops_per_token"` // 6 x parameters that multiply, 4 x those that stay, attention; once
	PeakGFLOPs         float64   `json:"peak_gflops"`           // of a matrix product in the same precision and process
	MFU                float64   `json:"mfu"`                   // model FLOPs per second over the peak
	PeakRSS            int64     `json:"peak_rss_bytes"`
	Planned            int64     `json:"planned_bytes"`
	Ops                []OpShare `json:"ops"`

	Precision  string  `json:"precision"`
	Parameters int64   `json:"parameters"`
	Capacity   int     `json:"capacity"`
	Steps      int     `json:"steps"`
	Recomputed string  `json:"recomputed"`
	Machine    string  `json:"machine"`
	Attention  string  `json:"attention,omitempty"`    // of an engine that measured it
	FirstStep  int64   `json:"first_step_nanoseconds"` // not among the others: memory is taken in it, blocks are compiled
	StepTimes  []int64 `json:"step_nanoseconds"`
	SaveTime   int64   `json:"save_nanoseconds,omitempty"`  // of a checkpoint, for which training waits
	MergeTime  int64   `json:"merge_nanoseconds,omitempty"` // of what is done for it while training goes on
}

// OpShare is the share of the steps' time that a kind of op took.
type OpShare struct {
	Name  string  `json:"name"`
	Share float64 `json:"share"`
}

// Bench trains for some steps and says how fast they were.
func Bench(ctx context.Context, job BenchJob) (BenchResult, error) {
	needs := job.Engine.Needs()
	r := BenchResult{
		Precision: needs.Precision, Capacity: job.Capacity, Steps: job.Steps, Planned: needs.Total(), Recomputed: needs.Recomputed,
		Machine:    needs.Machine,
		PeakGFLOPs: job.PeakGFLOPs(),
	}
	var flops float64
	var took time.Duration
	profile := map[string]time.Duration{}
	for step := range job.Steps + 1 {
		var packs []packing.Pack
		var docs []packing.Doc
		for i := range max(1, job.Packs) {
			of := benchDocuments(job.Vocab, job.Capacity, job.Documents, step*max(1, job.Packs)+i)
			pack, err := packing.Lay(job.Capacity, of, packing.ByToken)
			if err != nil {
				return r, err
			}
			packs, docs = append(packs, pack), append(docs, of...)
		}
		if step == 1 {
			job.Profile(profile)
		}
		began := time.Now()
		s := sums{step: step + 1}
		if err := s.learnWeighted(ctx, job.Engine, packs, nil); err != nil {
			return r, err
		}
		if _, _, err := s.update(job.Engine, job.Options.LearningRate, job.Options.MaxGradNorm); err != nil {
			return r, err
		}
		passed := time.Since(began)
		if step == 0 {
			r.FirstStep = passed.Nanoseconds()
			continue
		}
		r.StepTimes = append(r.StepTimes, passed.Nanoseconds())
		took += passed
		for _, d := range docs {
			flops += job.FLOPs(len(d.IDs))
		}
		if job.Progress != nil {
			job.Progress(step, float64(len(packs)*job.Capacity)/passed.Seconds())
		}
	}
	job.Profile(nil)
	r.PeakRSS = job.Engine.Peak()
	r.PeakGFLOPs = max(r.PeakGFLOPs, job.PeakGFLOPs()) // the machine may have been busy before
	if job.Save != "" {
		began := time.Now()
		rest, err := job.Engine.Save(job.Save)
		r.SaveTime = time.Since(began).Nanoseconds()
		if err == nil && rest != nil {
			began = time.Now()
			err = rest()
			r.MergeTime = time.Since(began).Nanoseconds()
		}
		if err != nil {
			return r, err
		}
	}
	tokens := float64(job.Steps * job.Capacity * max(1, job.Packs))
	r.TokensPerSecond = tokens / took.Seconds()
	r.ModelFLOPsPerToken = flops / tokens
	r.MFU = flops / took.Seconds() / 1e9 / r.PeakGFLOPs
	for name, d := range profile {
		r.Ops = append(r.Ops, OpShare{name, d.Seconds() / took.Seconds()})
	}
	slices.SortFunc(r.Ops, func(a, b OpShare) int { return cmp.Or(cmp.Compare(b.Share, a.Share), cmp.Compare(a.Name, b.Name)) })
	return r, nil
}

// benchDocuments fills a pack with random documents, all of whose tokens are
// targets.
func benchDocuments(vocab, capacity int, lengths [2]int, step int) []packing.Doc {
	r := rng.New(1, fmt.Sprint("bench/", step))
	var docs []packing.Doc
	for left := capacity; left > 0; {
		n := min(left, lengths[0]+r.IntN(lengths[1]-lengths[0]+1))
		d := packing.Doc{IDs: make([]int32, n), Target: [][2]int32{{0, int32(n)}}, Factor: 1}
		for i := range d.IDs {
			d.IDs[i] = int32(r.IntN(vocab))
		}
		docs = append(docs, d)
		left -= n
	}
	return docs
}
