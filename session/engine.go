package session

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"time"

	"lwtrain/engine"
	"lwtrain/engine/native"
	"lwtrain/engine/torch"
	"lwtrain/hub"
	"lwtrain/internal/fault"
	"lwtrain/internal/rundir"
	"lwtrain/model"
	"lwtrain/train"
)

// engineOptions say how the embedded engine computes packs of a capacity, as a config's
// train section has it.
func engineOptions(o train.Options, capacity int) native.Options {
	return native.Options{
		Capacity: capacity, Precision: o.Precision, GradientCheckpointing: o.GradientCheckpointing, MemoryLimit: int64(o.MemoryLimit),
		AdamW: native.AdamW{Beta1: o.AdamBeta1, Beta2: o.AdamBeta2, Epsilon: o.AdamEpsilon, Decay: o.WeightDecay},
		Bits8: o.Optim == train.AdamW8Bit,
	}
}

// Needs says what training m takes, as the config has it; reference may be nil. heldOut are the tokens of the longest held-out
// sample, where that is more than a pack has.
func (s *Session) Needs(m, reference *Model, heldOut int) (engine.Needs, error) {
	outline, err := m.Outline()
	if err != nil {
		return engine.Needs{}, err
	}
	if s.usesTorch() {
		in, err := s.torch()
		if err != nil {
			return engine.Needs{}, err
		}
		return torch.Needs(outline, in, s.torchOptions(reference, heldOut))
	}
	return native.Needs(outline, s.engineOptions(reference, heldOut))
}

// training says what of m the config trains.
func (m *Model) training() model.Training {
	c := m.session.Config
	return model.Training{
		Freeze: c.Train.Freeze, LoRA: c.LoRA, Bits24: c.Train.Optim == train.AdamW8Bit, Base: m.base(), Seed: c.Seed,
	}
}

// base is what adapters of m say of it.
func (m *Model) base() model.Base {
	if m.onHub != "" {
		if ref, err := hub.Parse(hub.Model, m.onHub); err == nil {
			return model.Base{Name: ref.Repo, Revision: ref.Revision}
		}
	}
	if m.dir == "" {
		return model.Base{}
	}
	path, err := filepath.Abs(m.dir)
	if err != nil {
		path = m.dir
	}
	return model.Base{Name: path}
}

// Outline is the model as the config trains it, without memory.
func (m *Model) Outline() (*model.Model, error) {
	outline, err := m.stretched(model.Outline(m.Config, m.dir, m.training()))
	return outline, fault.Usage(err)
}

// loadToTrain reads or makes the weights of m as the config trains it.
func (m *Model) loadToTrain() (*model.Model, error) {
	t := m.training()
	if m.dir == "" {
		return model.NewToTrain(m.Config, m.seed, t)
	}
	return m.stretched(load(m.dir, func(dir string) (*model.Model, error) { return model.LoadToTrain(dir, t) }, Events{}))
}

// engineOptions are those of the config, for training against a reference, which may be nil.
func (s *Session) engineOptions(reference *Model, heldOut int) native.Options {
	o := engineOptions(s.Config.Train, s.Config.Packing.Capacity)
	o.HeldOut = heldOut
	if reference != nil {
		o.Reference = &reference.Config
	}
	return o
}

// engine gets m ready to train against a reference, which may be nil, by the config's engine. dir is a folder of the run for
// what an engine has to write beside it; "": a temporary one. Close gives everything back.
func (s *Session) engine(m, reference *Model, heldOut int, dir string) (engine.Engine, error) {
	if s.usesTorch() {
		return s.torchEngine(m, reference, heldOut, dir)
	}
	weights, err := m.loadToTrain()
	if err != nil {
		return nil, err
	}
	e, err := native.New(weights, s.engineOptions(reference, heldOut))
	if err != nil {
		return nil, err
	}
	return e, nil
}

// benchEngine is the embedded engine over random weights, with adapters or without.
func benchEngine(outline *model.Model, lora model.LoRA, job train.BenchJob) (*native.Engine, error) {
	o := engineOptions(job.Options, job.Capacity)
	needs, err := native.Needs(outline, o)
	if err != nil {
		return nil, err
	}
	o.MemoryLimit = needs.Limit // what was free before the weights were made
	m, err := model.NewToTrain(outline.Config, 1, model.Training{LoRA: lora, Bits24: o.Bits8, Seed: 1})
	if err != nil {
		return nil, err
	}
	return native.New(m, o)
}

// Bench trains a model of random weights by an engine, and says how fast that is: see [train.Bench].
func Bench(ctx context.Context, c model.Config, how engine.Options, lora model.LoRA, job train.BenchJob) (train.BenchResult, error) {
	job.Vocab = c.Vocab
	outline, err := model.Outline(c, "", model.Training{LoRA: lora, Bits24: job.Options.Optim == train.AdamW8Bit, Seed: 1})
	if err != nil {
		return train.BenchResult{}, fault.Usage(err)
	}
	job.FLOPs = func(tokens int) float64 { return native.FLOPs(c, tokens) }
	if lora.On() {
		job.FLOPs = func(tokens int) float64 { return native.LoRAFLOPs(c, outline.TrainedParameters(), tokens) }
	}
	if optim := job.Options.Optim; how.Kind == engine.Torch && optim != train.AdamW {
		return train.BenchResult{}, fault.Usage(fmt.Errorf("%s is the native engine's, want --optim adamw with --engine torch", optim))
	}
	if how.Kind == engine.Torch {
		in, err := torch.Find(ctx, how.Python)
		if err != nil {
			return train.BenchResult{}, err
		}
		e, err := torch.New(outline, "", in, torchOptions(how, job.Options, job.Capacity))
		if err != nil {
			return train.BenchResult{}, err
		}
		job.Engine, job.PeakGFLOPs, job.Profile = e, e.PeakGFLOPs, func(map[string]time.Duration) {}
		job.Packs = max(job.Packs, e.Ranks())
	} else {
		e, err := benchEngine(outline, lora, job)
		if err != nil {
			return train.BenchResult{}, err
		}
		job.Engine, job.PeakGFLOPs, job.Profile = e, e.PeakGFLOPs, e.Profile
	}
	defer job.Engine.Close()
	r, err := train.Bench(ctx, job)
	r.Parameters = c.Parameters()
	if e, ok := job.Engine.(*torch.Engine); ok {
		r.Attention = e.Attention()
	}
	return r, err
}

func (s *Session) usesTorch() bool { return s.Config.Engine.Kind == engine.Torch }

// torch finds the Python of the config, once.
func (s *Session) torch() (*torch.Installation, error) {
	var err error
	if s.python == nil {
		s.python, err = torch.Find(context.Background(), s.Config.Engine.Python)
	}
	return s.python, err
}

// torchOptions say how PyTorch computes packs of a capacity, as a config's engine and train sections have it.
func torchOptions(how engine.Options, o train.Options, capacity int) torch.Options {
	return torch.Options{
		Processes: how.Processes, Shard: how.Shard, Deterministic: how.Deterministic, Compile: how.Compile, Threads: runtime.GOMAXPROCS(0),
		Capacity: capacity, Precision: o.Precision, GradientCheckpointing: o.GradientCheckpointing,
		MemoryLimit: int64(o.MemoryLimit),
		AdamW:       torch.AdamW{Beta1: o.AdamBeta1, Beta2: o.AdamBeta2, Epsilon: o.AdamEpsilon, Decay: o.WeightDecay},
	}
}

// torchOptions are those of the config, for training against a reference, which may be nil.
func (s *Session) torchOptions(reference *Model, heldOut int) torch.Options {
	o := torchOptions(s.Config.Engine, s.Config.Train, s.Config.Packing.Capacity)
	o.Cluster, o.HeldOut = s.Cluster, heldOut
	if reference != nil {
		o.Reference = &reference.Config
	}
	return o
}

// torchEngine is [Session.engine] for PyTorch, which reads weights from a folder: fresh ones are written into a temporary one.
func (s *Session) torchEngine(m, reference *Model, heldOut int, dir string) (engine.Engine, error) {
	in, err := s.torch()
	if err != nil {
		return nil, err
	}
	weights := m.dir
	if weights == "" {
		temp, err := s.TempDir()
		if err != nil {
			return nil, err
		}
		weights = filepath.Join(temp, "model")
		fresh := model.New(m.Config, m.seed)
		err = fresh.Save(weights, "float32")
		fresh.Free()
		if err != nil {
			return nil, err
		}
	}
	outline, err := m.Outline()
	if err != nil {
		return nil, err
	}
	o := s.torchOptions(reference, heldOut)
	o.Dir, o.Fresh = dir, m.dir == ""
	e, err := torch.New(outline, weights, in, o)
	if err != nil {
		return nil, err
	}
	return e, nil
}

// Join has this machine, which is not the first one of the cluster, compute for the run of the config until it ends.
func (s *Session) Join(ctx context.Context) error {
	in, err := s.torch()
	if err != nil {
		return err
	}
	how := s.Config.Engine
	return torch.Join(ctx, in, filepath.Join(s.Config.Output.Dir, rundir.Engine), torch.Options{
		Cluster: s.Cluster, Processes: how.Processes, Deterministic: how.Deterministic, Threads: runtime.GOMAXPROCS(0),
	})
}
