package session

import (
	"context"
	"path/filepath"
	"runtime"

	"lwtrain/engine"
	"lwtrain/engine/torch"
	"lwtrain/model"
)

func (s *Session) usesTorch() bool { return s.Config.Engine.Kind == engine.Torch }

// torch finds the Python of the config, once.
func (s *Session) torch() (*torch.Installation, error) {
	var err error
	if s.python == nil {
		s.python, err = torch.Find(context.Background(), s.Config.Engine.Python)
	}
	return s.python, err
}

// torchOptions are those of the config, for training against a reference, which may be nil.
func (s *Session) torchOptions(reference *Model) torch.Options {
	c := s.Config
	o := torch.Options{
		Processes: c.Engine.Processes, Shard: c.Engine.Shard, Deterministic: c.Engine.Deterministic, Threads: runtime.GOMAXPROCS(0),
		Capacity: c.Packing.Capacity, Precision: c.Train.Precision, GradientCheckpointing: c.Train.GradientCheckpointing,
		MemoryLimit: int64(c.Train.MemoryLimit), Freeze: c.Train.Freeze,
		AdamW: torch.AdamW{
			Beta1: c.Train.AdamBeta1, Beta2: c.Train.AdamBeta2, Epsilon: c.Train.AdamEpsilon, Decay: c.Train.WeightDecay,
		},
	}
	if reference != nil {
		o.Reference = &reference.Config
	}
	return o
}

// torchEngine is [Session.engine] for PyTorch, which reads weights from a folder: fresh ones are written into a temporary one.
func (s *Session) torchEngine(m, reference *Model, dir string) (engine.Engine, error) {
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
	o := s.torchOptions(reference)
	o.Dir = dir
	e, err := torch.New(m.Config, weights, in, o)
	if err != nil {
		return nil, err
	}
	return e, nil
}
