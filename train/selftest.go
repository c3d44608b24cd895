package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync/atomic"

	"lwtrain/checkpoints"
	"lwtrain/data/store"
	"lwtrain/dpo"
	"lwtrain/engine"
	"lwtrain/internal/fault"
	"lwtrain/packing"
)

// ResumeTest is what [SelftestResume] found.
type ResumeTest struct {
	Steps   int // of both runs
	Resumed int // the step that the second one went on from
	Lines   int // of its metrics
	Files   []FileTest
	Metrics bool // the lines are the same, but for speed and memory
}

// FileTest is a file of the last checkpoint.
type FileTest struct {
	Name string
	Size int64
	Same bool // the same bytes in both runs
}

// OK reports whether nothing differs.
func (r ResumeTest) OK() bool {
	return r.Metrics && len(r.Files) > 0 && !slices.ContainsFunc(r.Files, func(f FileTest) bool { return !f.Same })
}

// SelftestResume makes two runs of job by method ([SFT] or [DPO]), of at least 2
// steps: one without a break, and one that is interrupted in the middle of a step and goes on from
// its checkpoint. It compares what they leave. job.Engine is not used: open gives
// each part of a run an engine of its own, as a new process would. The held-out loss
// is not measured and no prompt is answered.
//
// It works in a temporary folder beside job.Dir, which is gone when it returns,
// and takes the space of two checkpoints there.
func SelftestResume(ctx context.Context, job Job, method func(context.Context, Job) (Result, error), steps int,
	open func() (engine.Engine, error)) (r ResumeTest, err error) {
	if steps < 2 {
		return r, fault.Usage(fmt.Errorf("%d steps, want at least 2, so that there is one to be interrupted", steps))
	}
	parent := filepath.Dir(filepath.Clean(job.Dir))
	for _, err := os.Stat(parent); errors.Is(err, os.ErrNotExist); _, err = os.Stat(parent) {
		parent = filepath.Dir(parent)
	}
	temp, err := os.MkdirTemp(parent, ".selftest-")
	if err != nil {
		return r, fault.Usage(fault.Disk(err))
	}
	defer os.RemoveAll(temp)

	job.Dir = filepath.Join(temp, "run")
	job.Options.MaxSteps, job.Options.EvalSteps, job.Options.SaveSteps, job.Options.SaveTotalLimit = steps, 0, 0, 1
	job.Asked.Prompts = 0
	part := func(ctx context.Context, job Job) (Result, error) {
		if job.Engine, err = open(); err != nil {
			return Result{}, err
		}
		defer job.Engine.Close()
		return method(ctx, job)
	}
	read := func(result Result) ([]checkpoints.File, []map[string]any, error) {
		files, err := checkpoints.Files(result.Checkpoint)
		if err != nil {
			return nil, nil, err
		}
		lines, err := ReproducibleMetrics(result.MetricsFile)
		return files, lines, err
	}

	whole, err := part(ctx, job)
	if err != nil {
		return r, err
	}
	want, wantLines, err := read(whole)
	if err != nil {
		return r, err
	}
	if err := os.RemoveAll(job.Dir); err != nil {
		return r, err
	}
	stopping, stopped := halfway(ctx, job, steps/2)
	if _, err := part(stopping, stopped); !errors.Is(err, ErrInterrupted) || ctx.Err() != nil {
		return r, fmt.Errorf("the interrupted run: %w", errors.Join(err, ctx.Err()))
	}
	resumed, err := part(ctx, job)
	if err != nil {
		return r, fmt.Errorf("the resumed run: %w", err)
	}
	got, lines, err := read(resumed)
	if err != nil {
		return r, err
	}
	r = ResumeTest{Steps: steps, Resumed: resumed.Resumed, Lines: len(lines), Metrics: reflect.DeepEqual(lines, wantLines)}
	for _, f := range want {
		r.Files = append(r.Files, FileTest{f.Name, f.Size, slices.Contains(got, f)})
	}
	if len(got) != len(want) {
		return r, fmt.Errorf("the resumed run's checkpoint has %d files, want %d", len(got), len(want))
	}
	return r, nil
}

// halfway returns a context for job that is cancelled in the middle of the step
// after step, however long a step takes: an engine asks before each of its operations,
// and a step asks as often as the one before.
func halfway(ctx context.Context, job Job, step int) (context.Context, Job) {
	h := &halfwayContext{Context: ctx}
	told := job.Events.Step
	var before int64
	job.Events.Step = func(m StepMetrics) {
		asked := h.asked.Load()
		if m.Step == step {
			h.limit.Store(asked + (asked-before)/2)
		}
		before = asked
		if told != nil {
			told(m)
		}
	}
	return h, job
}

type halfwayContext struct {
	context.Context
	asked, limit atomic.Int64 // no limit: 0
}

// Done is nil, as nothing is told of: who wants to know must ask Err.
func (h *halfwayContext) Done() <-chan struct{} { return nil }

func (h *halfwayContext) Err() error {
	if n, limit := h.asked.Add(1), h.limit.Load(); limit > 0 && n > limit {
		return context.Canceled
	}
	return h.Context.Err()
}

// Twice is what the same texts gave when they were computed in two ways.
type Twice struct {
	Precision  string     // of the engine: float32 or bf16
	Loss, Norm [2]float64 // of the gradient
	Gradient   float64    // Euclidean distance of the two gradients over the first one's norm
}

// Tolerance is the most that loss and gradient norm may differ, relatively, and
// the most that the gradients may be apart. Sums are taken in another order;
// with bf16, values then fall to the other side of a rounding (2^-9 each) here
// and there, which leaves the single gradients about a hundredth of their norm
// apart, and hardly shows in sums over all of them.
func (t Twice) Tolerance() (sums, gradient float64) {
	if t.Precision == engine.Float32 {
		return 1e-5, 1e-5
	}
	return 1e-3, 5e-2
}

// Differences are those of the loss and the gradient norm, relative to the
// first one.
func (t Twice) Differences() (loss, norm float64) {
	of := func(x [2]float64) float64 { return math.Abs(x[0]-x[1]) / math.Abs(x[0]) }
	return of(t.Loss), of(t.Norm)
}

// OK reports whether nothing differs by more than the tolerance.
func (t Twice) OK() bool {
	loss, norm := t.Differences()
	sums, gradient := t.Tolerance()
	return loss <= sums && norm <= sums && t.Gradient <= gradient
}

// compare computes a step in two ways, each of which gives its loss and adds its gradients, which are divided by divisor.
func compare(e engine.Engine, first, second func() (loss, divisor float64, err error)) (t Twice, err error) {
	t.Precision = e.Needs().Precision
	e.Drop()
	var divisor float64
	if t.Loss[0], divisor, err = first(); err != nil {
		return t, err
	}
	gradient := map[string][]float32{}
	if err := e.Gradients(func(name string, values []float32) { gradient[name] = slices.Clone(values) }); err != nil {
		return t, err
	}
	e.Drop()
	if t.Loss[1], _, err = second(); err != nil {
		return t, err
	}
	var squares [2]float64
	var distance float64
	err = e.Gradients(func(name string, values []float32) {
		first := gradient[name]
		for k, v := range values {
			a, b := float64(first[k]), float64(v)
			squares[0], squares[1], distance = squares[0]+a*a, squares[1]+b*b, distance+(a-b)*(a-b)
		}
	})
	t.Norm = [2]float64{math.Sqrt(squares[0]) / divisor, math.Sqrt(squares[1]) / divisor}
	t.Gradient = math.Sqrt(distance) / divisor / t.Norm[0]
	return t, err
}

// PackingTest is what [SelftestPacking] found: packed, and alone.
type PackingTest struct {
	Twice
	Packs, Documents, Tokens int
}

// SelftestPacking takes the first packs of a run that hold more than one
// document, at most most of them, and compares loss and gradient with those of
// the same documents, each in a pack of its own. The loss weights are those
// that the documents have together. It writes nothing, and takes the memory of the
// gradients once more.
func SelftestPacking(ctx context.Context, job Job, most int) (PackingTest, error) {
	m, err := newSFT(job)
	if err != nil {
		return PackingTest{}, err
	}
	if err := announce(job, m.batches); err != nil {
		return PackingTest{}, err
	}
	var packs [][]int
	for i, at := range m.batches.first.packs {
		if len(at) > 1 && len(packs) < most {
			packs = append(packs, m.batches.first.pack(i))
		}
	}
	if len(packs) == 0 {
		return PackingTest{}, fault.Usage(fault.Hint(errors.New("every pack holds one document: there is nothing to compare"),
			"a larger packing.capacity packs more of them together"))
	}
	r := PackingTest{Packs: len(packs)}
	var together sums
	r.Twice, err = compare(job.Engine, func() (_, _ float64, err error) {
		together, err = m.learnPacks(ctx, 1, packs)
		return together.loss / together.divisor, together.divisor, err
	}, func() (_, _ float64, err error) {
		alone := sums{step: 1}
		for _, samples := range packs {
			if err := m.learnAlone(ctx, &alone, samples); err != nil {
				return 0, 0, err
			}
		}
		return alone.loss / together.divisor, together.divisor, nil
	})
	r.Tokens, r.Documents = together.tokens, len(together.samples)
	return r, err
}

// PromptTest is what [SelftestPrompts] found: prompts computed once, and for each answer.
type PromptTest struct {
	Twice
	Pairs  int
	Tokens [2]int
}

// SelftestPrompts takes the first pairs of a run whose prompts are computed once, at most most of them, and compares loss and
// gradient with those of the same pairs with a prompt for each answer. The reference is the model itself. It writes
// nothing, and takes the memory of the gradients once more.
func SelftestPrompts(ctx context.Context, job Job, most int) (PromptTest, error) {
	p, err := newPreferences(job)
	if err != nil {
		return PromptTest{}, err
	}
	if job.Events.Planned != nil {
		job.Events.Planned(p.Plan(), job.Engine.Needs())
	}
	var batch []int
	for i, pair := range p.set.Pairs() {
		if once, _ := p.once(pair); once > 0 && len(batch) < most {
			batch = append(batch, i)
		}
	}
	if len(batch) == 0 {
		err := errors.New("no pair's prompt is computed once: there is nothing to compare")
		return PromptTest{}, fault.Usage(fault.Hint(err, "dpo.share_prompts: true does it wherever it can be done"))
	}
	r, sharing := PromptTest{Pairs: len(batch)}, p.sharing
	way := func(i int, how Sharing) func() (_, _ float64, err error) {
		return func() (_, _ float64, err error) {
			p.sharing = how
			s, err := p.learnPairs(ctx, batch, 1)
			r.Tokens[i] = s.tokens
			return s.loss, s.divisor, err
		}
	}
	if p.hasReference() {
		p.sharing = Sharing{}
		units := p.scored(pick(p.all, batch))
		scores, err := p.score(ctx, units, engine.ScoreOptions{Base: p.losses.Reference == dpo.Base})
		if err != nil {
			return r, err
		}
		p.reference = map[reply]store.LogProbs{}
		for i, u := range repliesOf(units) {
			p.reference[u] = scores[i]
		}
	}
	r.Twice, err = compare(job.Engine, way(0, sharing), way(1, Sharing{}))
	return r, err
}

// announce says what a run would do and take.
func announce(job Job, b *Batches) error {
	plan, err := b.Plan()
	if err == nil && job.Events.Planned != nil {
		job.Events.Planned(plan, job.Engine.Needs())
	}
	return err
}

// learnAlone runs the documents of a pack one by one, with the loss weights that they
// have in it.
func (s *sft) learnAlone(ctx context.Context, sums *sums, samples []int) error {
	together, err := s.lay(samples)
	if err != nil {
		return err
	}
	weights := together.Weights
	packs := make([]packing.Pack, len(samples))
	for i, id := range samples {
		if packs[i], err = s.lay([]int{id}); err != nil {
			return err
		}
		n := copy(packs[i].Weights[:packs[i].Tokens], weights)
		weights = weights[n:]
	}
	return sums.learnWeighted(ctx, s.engine, packs, s.batches.packing.Weigh())
}
