package native

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lwtrain/checkpoints"
	"lwtrain/internal/graph"
	"lwtrain/internal/kernels"
	"lwtrain/model"
)

// optimizerFile holds the optimiser's state in a checkpoint, under the names of the
// weights it belongs to.
const optimizerFile = "state/optimizer.safetensors"

// Save implements [engine.Engine].
func (e *Engine) Save(dir string) error {
	e.begin()
	save := func(dir string) error { return e.model.Save(dir, "float32") }
	if e.model.Adapted() {
		save = e.model.SaveAdapter
	}
	if err := save(dir); err != nil {
		return err
	}
	path := filepath.Join(dir, optimizerFile)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return checkpoints.WriteSafetensors(path, "F32", e.moments(), nil)
}

// Load implements [engine.Engine].
func (e *Engine) Load(dir string) error {
	if _, err := e.Model(); err != nil { // of the weights that are replaced
		return err
	}
	e.begin()
	open := checkpoints.OpenWeights
	if e.model.Adapted() {
		open = model.OpenAdapter
	}
	weights, err := open(dir)
	if err != nil {
		return err
	}
	defer weights.Close()
	if err := read(weights, e.model.Tensors(saved(e.model.Adapted()))); err != nil {
		return err
	}
	moments, err := checkpoints.OpenSafetensors(filepath.Join(dir, optimizerFile))
	if err != nil {
		return err
	}
	defer moments.Close()
	if err := read(moments, e.moments()); err != nil {
		return err
	}
	e.model.RefreshHalf()
	return nil
}

// saved are the weights that a checkpoint holds: of a model with adapters, these alone.
func saved(adapted bool) func(p *graph.Param) []float32 {
	return func(p *graph.Param) []float32 {
		if adapted && p.Frozen {
			return nil
		}
		return p.Data
	}
}

// moments are the optimiser's values, named as the weights they belong to: those of
// all first moments, then those of all second ones.
func (e *Engine) moments() []checkpoints.Tensor {
	var out []checkpoints.Tensor
	for prefix, values := range e.optimizer.state() {
		tensors := e.model.Tensors(func(p *graph.Param) []float32 { return values[p] })
		for _, t := range tensors {
			t.Name = prefix + "." + t.Name
			out = append(out, t)
		}
	}
	return out
}

// read fills tensors from a file of the same names and shapes, which a program may have
// written that went wrong: its hashes hold all the same.
func read(from *checkpoints.Weights, tensors []checkpoints.Tensor) error {
	for _, x := range tensors {
		info, ok := from.Info(x.Name)
		if !ok {
			return fmt.Errorf("no tensor %s, want one of shape %v", x.Name, x.Shape)
		}
		if !slices.Equal(info.Shape, x.Shape) {
			return fmt.Errorf("tensor %s has shape %v, want %v", x.Name, info.Shape, x.Shape)
		}
		if err := from.Read(x.Name, x.Data); err != nil {
			return err
		}
		if !kernels.AllFinite(x.Data) {
			return fmt.Errorf("tensor %s holds a NaN or infinity", x.Name)
		}
		isNegative := func(v float32) bool { return v < 0 }
		if strings.HasPrefix(x.Name, squares) && slices.ContainsFunc(x.Data, isNegative) {
			return fmt.Errorf("tensor %s holds a value below 0, want means of squares", x.Name)
		}
	}
	return nil
}
