// Package engine says what a run asks of what computes it. Training is cut at the
// packs: data, packing, weighting, losses, schedule, metrics and resuming are package
// train's and exist once; an [Engine] holds the weights and the optimiser's state,
// and runs packs forward and backward. engine/native is ours.
//
// The types stand apart from package train so that an engine does not import the loop
// that drives it.
package engine

import (
	"context"
	"errors"
	"iter"

	"lwtrain/packing"
)

// Engine holds the weights and the optimiser's state of a run and computes packs of
// at most its capacity, and scores those of held-out samples, which may be longer; what is longer than planned for is an
// error. A call asks ctx.Err between two
// operations and ends with what it returns; what has been added to the gradients is then
// undefined until [Engine.Drop]. It is not safe for concurrent use.
type Engine interface {
	Scorer

	// Learn runs packs of optimiser step number step, counted from 1, forward and backward and
	// adds to the gradients of that step. weigh may be nil.
	Learn(ctx context.Context, step int, packs []packing.Pack, weigh Weigh) ([]Learned, error)

	// Gradients hands over what the step has added up so far, tensor by tensor under its
	// name in the model's files. Frozen tensors are left out. values are only read, and
	// only during the call.
	Gradients(each func(name string, values []float32)) error

	// Update takes optimiser step number step, counted from 1, at a learning rate. The
	// gradients are divided by divisor and scaled down to the global norm maxNorm (0:
	// never), and begin again at 0. norm is the one before that scaling. If it is not
	// finite, nothing changes.
	Update(step int, rate, divisor, maxNorm float64) (norm float64, err error)

	// Drop forgets the gradients of the step.
	Drop()

	// Save writes weights, in Hugging Face's layout, and the optimiser's state into dir,
	// an empty folder. It returns once the next update may come. Where the files are not all there then, rest, else nil, makes
	// them, beside other calls, from another goroutine if need be. Who called it marks the folder as whole.
	Save(dir string) (rest func() error, err error)

	// Load takes weights and optimiser's state from a folder that Save filled.
	Load(dir string) error

	// Reference opens the model of a folder beside the one in training, to score packs
	// with. It takes memory from the first [Scorer.Score] on; Close gives it back.
	Reference(dir string) (Scorer, error)

	// Answer lets the model go on with prompts. emit, which may be nil, is called with
	// each new token.
	Answer(ctx context.Context, prompts []Prompt, emit func()) ([]Answer, error)

	// Needs is what the run takes, and on what it is computed.
	Needs() Needs

	// Peak is the most memory that the engine has been seen to take, in bytes.
	Peak() int64
}

// Scorer is a model that says how probable it finds texts.
type Scorer interface {
	// Score runs packs forward and tells the losses of one after the other: -ln p of
	// each position's target, 0 where its weight is 0, [positions of the pack]. nll is
	// valid during the call. An error that comes with a pack ends it.
	Score(ctx context.Context, packs iter.Seq2[packing.Pack, error], how ScoreOptions, done func(pack int, nll []float64) error) error

	// Model says which model this is: the SHA-256 of its config and the weights that it
	// had when it was opened, in hexadecimal.
	Model() (string, error)

	// Close gives all memory back.
	Close() error
}

// ScoreOptions say how packs are run forward.
type ScoreOptions struct {
	// Step is the optimiser step, counted from 1, that learns from the same texts: a text has the
	// dropout that it has in [Engine.Learn] then. 0: no dropout.
	Step int
	Base bool // the model without its adapters
}

// ErrNoBase is what scoring without adapters ends with where an adapter's file has modules as a whole.
var ErrNoBase = errors.New("the adapter has modules in the place of the base's (modules_to_save), which are not kept, " +
	"want dpo.reference: initial, or a folder")

// Weigh sets the weights of a pack's positions once their losses are known, between
// its forward and its backward pass: for a loss that is no sum over tokens, the
// derivative with regard to each token's loss. It is called for one pack after the
// other, in any order, with -ln p of each position's target; positions whose weight
// was 0 stay so.
type Weigh func(pack int, nll []float64, weights []float32)

// Learned is what [Engine.Learn] tells of a pack.
type Learned struct {
	Loss float64   // sum over the positions of weight times -ln p, in nats
	NLL  []float64 // -ln p of each position's target, 0 where it has no weight
}

// Prompt is a text to go on with.
type Prompt struct {
	IDs          []int32
	MaxNewTokens int
	Stop         []int32 // ids that end the answer
	Temperature  float64
	TopP         float64
	Seed         uint64
}

// Answer is what came of a [Prompt].
type Answer struct {
	IDs  []int32 // new tokens, without the one that ended it
	Stop string  // "eos": a stop id came; "length": MaxNewTokens are there
}

// The precisions of an engine.
const (
	Float32  = "float32"
	BFloat16 = "bf16"
)

// Needs is the memory that a run takes, by part, in bytes, how it was decided, and what
// computes it.
type Needs struct {
	Weights     int64 // float32 master weights, bf16 ones that stay as they are, and ones of 24 bits
	Frozen      int64 // of them, what stays as it is
	Half        int64 // their bf16 copies
	Gradients   int64
	Optimizer   int64
	Activations int64 // and all else that a pass works in
	HeldOut     int64 // of Activations, what a held-out sample longer than the capacity is measured in; 0: there is none
	Reference   int64 // beside the weights while a reference of its own is asked, before all else is there
	Limit       int64 // what the plan tries to keep below
	Checkpoint  int64 // on the disk
	Parts       int64 // there, beside a checkpoint that is made of them

	Adapters   bool     // are what is trained: checkpoints hold them alone
	Dropout    bool     // changes what a step computes
	Precision  string   // of the inputs of matrix products: Float32 or BFloat16
	Recomputed string   // in words: what is computed again in the backward pass
	Repeats    float64  // the share of the forward pass's products that are
	Notes      []string // what else there is to say of the memory
	// By says by what log-probabilities are computed that are kept for other runs; "": by the
	// embedded engine.
	By string
	// Machine says what computes, and in which precision: what the bytes of a run depend
	// on besides its config and its data.
	Machine string
}

// Total is the most that is taken at a time: by training, or by the reference before it.
func (n Needs) Total() int64 {
	return n.Weights + max(n.Half+n.Gradients+n.Optimizer+n.Activations, n.Reference)
}
