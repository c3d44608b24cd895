package train

import (
	"maps"
	"slices"

	"lwtrain/data"
	"lwtrain/data/store"
	"lwtrain/dpo"
	"lwtrain/internal/graph"
	"lwtrain/model"
	"lwtrain/packing"
)

// capacityStep is what capacities of packs are multiples of. A pack that is not
// full then computes little padding, and few graphs are made.
const capacityStep = 128

// mostPrograms bounds the graphs that are kept: each takes 1 to 2 MiB for a model of
// 30 layers, and 10 ms to make again.
const mostPrograms = 64

// programs runs packs of any size up to a capacity, through graphs that are made
// when they are wanted and work in the same memory.
type programs struct {
	model     *model.Model
	capacity  int // of the largest pack
	precision graph.Precision
	recompute int   // of the largest pack, and the most of a smaller one
	limit     int64 // bytes that the largest pack takes
	memory    *graph.Memory
	interrupt func() error

	made map[int]*program
	pack packing.Pack // laid last
}

// program is a graph with what runs it.
type program struct {
	graph       *graph.Graph
	train, eval *graph.Program
}

// programs returns those of a run's own model.
func (m *Memory) programs(of *model.Model, interrupt func() error) *programs {
	m.train.Interrupt, m.eval.Interrupt = interrupt, interrupt
	return &programs{
		model: of, capacity: m.capacity, precision: m.Precision, recompute: m.Recompute, limit: m.Activations,
		memory: m.shared, interrupt: interrupt,
		made: map[int]*program{m.capacity: {m.graph, m.train, m.eval}},
	}
}

// of returns the program for packs of that many tokens.
func (p *programs) of(tokens int) (*program, error) {
	capacity := min(p.capacity, (tokens+capacityStep-1)/capacityStep*capacityStep)
	if made := p.made[capacity]; made != nil {
		return made, nil
	}
	made := &program{graph: p.model.Graph(capacity, p.precision, p.memory)}
	var err error
	if made.eval, err = made.graph.Compile(graph.Options{}); err != nil {
		return nil, err
	}
	made.eval.Interrupt = p.interrupt
	if len(p.made) >= mostPrograms {
		maps.DeleteFunc(p.made, func(n int, _ *program) bool { return n != p.capacity })
	}
	p.made[capacity] = made
	return made, nil
}

// backward compiles the backward pass, on first use: a smaller pack computes less
// again than the largest one, in the same memory.
func (p *programs) backward(made *program) (*graph.Program, error) {
	if made.train != nil {
		return made.train, nil
	}
	var err error
	leastRecompute(p.recompute, func(steps int) bool {
		made.train, err = made.graph.Compile(graph.Options{Train: true, Recompute: steps})
		return err != nil || made.train.Bytes() <= p.limit
	})
	if err != nil {
		return nil, err
	}
	made.train.Interrupt = p.interrupt
	return made.train, nil
}

// reply is what a model is asked about: the answer of a sample behind a prompt,
// which is its own, or for KTO's estimate that of another sample.
type reply struct{ prompt, answer int }

// own are samples as they are.
func own(samples []int) []reply {
	out := make([]reply, len(samples))
	for i, id := range samples {
		out[i] = reply{id, id}
	}
	return out
}

// tokens is the length of a reply.
func (r reply) tokens(store *data.Set) int {
	return store.Tokens(r.answer) - store.Prompt(r.answer) + store.Prompt(r.prompt)
}

// document reads a reply.
func (r reply) document(store *data.Set) (packing.Doc, error) {
	s, err := store.Sample(r.answer)
	if err != nil || r.prompt == r.answer {
		return packing.Doc{IDs: s.IDs, Target: s.Target, Factor: 1}, err
	}
	q, err := store.Sample(r.prompt)
	if err != nil {
		return packing.Doc{}, err
	}
	begin, end := store.Prompt(r.answer), store.Prompt(r.prompt)
	doc := packing.Doc{IDs: slices.Concat(q.IDs[:end], s.IDs[begin:]), Factor: 1}
	for _, t := range s.Target {
		doc.Target = append(doc.Target, [2]int32{t[0] + int32(end-begin), t[1] + int32(end-begin)})
	}
	return doc, nil
}

// lay lays replies into a program of their size, with weight 1 on every target.
func (p *programs) lay(store *data.Set, replies []reply) (*program, error) {
	tokens := 0
	docs := make([]packing.Doc, len(replies))
	for i, r := range replies {
		var err error
		if docs[i], err = r.document(store); err != nil {
			return nil, err
		}
		tokens += len(docs[i].IDs)
	}
	made, err := p.of(tokens)
	if err != nil {
		return nil, err
	}
	if err := packing.Lay(&p.pack, made.graph.Capacity, docs, "token"); err != nil {
		return nil, err
	}
	in := made.graph.Inputs()
	copy(in.IDs, p.pack.IDs)
	copy(in.Targets, p.pack.Targets)
	copy(in.Starts, p.pack.Starts)
	copy(in.Weights, p.pack.Weights)
	return made, nil
}

// score returns what the model says of replies, packed together. shared is how many
// of an answer's targets its prefix takes. done, which may be nil, is told the tokens
// of each pack.
func (p *programs) score(set *data.Set, replies []reply, shared func(sample int) int, done func(tokens int)) ([]store.LogProbs, error) {
	lengths := make([]int, len(replies))
	for i, r := range replies {
		lengths[i] = r.tokens(set)
	}
	plan, err := packing.Plan("best_fit_decreasing", p.capacity, lengths)
	if err != nil {
		return nil, err
	}
	out := make([]store.LogProbs, len(replies))
	for _, pack := range plan {
		made, err := p.lay(set, pick(replies, pack))
		if err != nil {
			return nil, err
		}
		if err := made.eval.RunAll(); err != nil {
			return nil, err
		}
		at := 0
		for _, i := range pack {
			end := at + lengths[i]
			out[i].LogP, out[i].Prefix, _ = dpo.Score(made.graph.NLL()[at:end], p.pack.Targets[at:end], shared(replies[i].answer))
			at = end
		}
		if done != nil {
			done(at)
		}
	}
	return out, nil
}

// free gives the memory back, which is that of all graphs.
func (p *programs) free() { p.memory.Free() }
