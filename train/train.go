// Package train runs fine-tuning. [SFT] trains on conversations, [DPO] on
// preference pairs: each is a method that computes a step and an evaluation; the
// trainer has the loop, top to bottom, and all that they share: the [Schedule],
// the metrics file, saving and resuming. What computes is an [engine.Engine].
//
// A run is a function of its configuration, its data and its seed. It can be
// stopped at any moment and goes on from its last complete checkpoint with the
// same bytes as if it had never stopped, where the engine's are.
//
// The package knows nothing of YAML, flags or terminals: what happens is told
// through [Events]. It knows nothing of graphs, kernels or models either.
package train

import "context"

// SFT fine-tunes a model on job.Data: next-token cross-entropy on the target
// tokens, weighted as job.Epochs says. It resumes by itself from the newest
// complete checkpoint in job.Dir.
//
// When ctx is cancelled, SFT drops the step that it is in, saves a checkpoint
// of the last update unless there is one, and returns [ErrInterrupted].
func SFT(ctx context.Context, job Job) (Result, error) {
	m, err := newSFT(job)
	if err != nil {
		return Result{}, err
	}
	plan, err := m.batches.Plan()
	if err != nil {
		return Result{}, err
	}
	t, err := newTrainer(job, m, plan)
	if err != nil {
		return Result{}, err
	}
	return t.do(ctx)
}

// DPO trains a model on the pairs of job.Data, by the losses of job.DPO, or on its
// labelled answers, by KTO's. It resumes, saves and stops as [SFT] does.
//
// A step takes per_device_train_batch_size x gradient_accumulation_steps pairs (or
// labelled answers), as TRL's does, and its loss is their mean. What the reference
// says of the answers is computed once, before training, and kept in job.CacheDir.
func DPO(ctx context.Context, job Job) (Result, error) {
	m, err := newPreferences(job)
	if err != nil {
		return Result{}, err
	}
	t, err := newTrainer(job, m, m.Plan())
	if err != nil {
		return Result{}, err
	}
	return t.do(ctx)
}
