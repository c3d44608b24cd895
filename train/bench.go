package train

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"lwtrain/internal/graph"
	"lwtrain/internal/kernels"
	"lwtrain/internal/rng"
	"lwtrain/model"
	"lwtrain/packing"
)

// BenchResult is how fast a training step is, and what it takes.
type BenchResult struct {
	TokensPerSecond    float64   `json:"tokens_per_second"`
	ModelFLOPsPerToken float64   `json:"model_flops_per_token"` // 6 x parameters that multiply, and attention; recomputing is not counted
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
	StepTimes  []int64 `json:"step_nanoseconds"`
}

// OpShare is the share of the steps' time that a kind of op took.
type OpShare struct {
	Name  string  `json:"name"`
	Share float64 `json:"share"`
}

// Bench trains a model of random weights for steps steps, of one pack each, on
// synthetic documents of documents[0] to documents[1] tokens, the last of a pack cut
// to the capacity. A step before them warms up and is not counted. progress, which may
// be nil, is called after every step.
func Bench(ctx context.Context, c model.Config, capacity, steps int, documents [2]int, opt Options, progress func(step int, tokensPerSecond float64)) (BenchResult, error) {
	memory, err := PlanMemory(model.Plan(c), capacity, opt)
	if err != nil {
		return BenchResult{}, err
	}
	r := BenchResult{Precision: memory.Precision.String(), Parameters: c.Parameters(), Capacity: capacity, Steps: steps, Planned: memory.Total(), Recomputed: memory.RecomputedText()}
	bf16 := memory.Precision == graph.BFloat16
	r.PeakGFLOPs = kernels.PeakGFLOPs(bf16)

	m := model.New(c, 1)
	defer m.Free()
	g := m.Graph(capacity, memory.Precision, nil)
	defer g.Free()
	program, err := g.Compile(graph.Options{Train: true, Recompute: memory.Recompute})
	if err != nil {
		return r, err
	}
	if bf16 {
		m.UseHalf()
	}
	m.UseGradients()
	optimizer := NewAdamW(m.Params, opt.AdamBeta1, opt.AdamBeta2, opt.AdamEpsilon, opt.WeightDecay)
	defer optimizer.Free()

	var flops float64
	var took time.Duration
	var pack packing.Pack
	for step := range steps + 1 {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		docs := benchDocuments(c.Vocab, capacity, documents, step)
		if err := packing.Lay(&pack, capacity, docs, "token"); err != nil {
			return r, err
		}
		in := g.Inputs()
		copy(in.IDs, pack.IDs)
		copy(in.Targets, pack.Targets)
		copy(in.Starts, pack.Starts)
		copy(in.Weights, pack.Weights)
		if step == 1 {
			program.Profile = map[string]time.Duration{}
		}
		began := time.Now()
		if err := program.RunAll(); err != nil {
			return r, err
		}
		passed := time.Now()
		kernels.Run(func() {
			norm := gradNorm(m.Params, 1/pack.Divisor)
			if err = notFinite(g.Loss(), norm); err == nil {
				optimizer.Step(step+1, opt.LearningRate, clip(norm, opt.MaxGradNorm)/pack.Divisor)
			}
		})
		if err != nil {
			return r, err
		}
		if step == 0 {
			continue
		}
		program.Profile["optimizer"] += time.Since(passed)
		r.StepTimes = append(r.StepTimes, time.Since(began).Nanoseconds())
		took += time.Since(began)
		flops += 6 * float64(c.ProductParameters()) * float64(capacity)
		for _, d := range docs {
			flops += 3 * c.AttentionFLOPs(len(d.IDs))
		}
		if progress != nil {
			progress(step, float64(capacity)/time.Since(began).Seconds())
		}
	}
	r.PeakRSS = peakRSS()
	r.PeakGFLOPs = max(r.PeakGFLOPs, kernels.PeakGFLOPs(bf16)) // the machine may have been busy before
	r.TokensPerSecond = float64(steps*capacity) / took.Seconds()
	r.ModelFLOPsPerToken = flops / float64(steps*capacity)
	r.MFU = flops / took.Seconds() / 1e9 / r.PeakGFLOPs
	for name, d := range program.Profile {
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
