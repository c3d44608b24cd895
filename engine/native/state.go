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
func (e *Engine) Save(dir string) (rest func() error, err error) {
	e.begin()
	save := func(dir string) error { return e.model.Save(dir, "float32") }
	if e.model.Adapted() {
		save = e.model.SaveAdapter
	}
	if err := save(dir); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, optimizerFile)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	var all []checkpoints.Stream
	for _, name := range moments {
		one := e.model.Streams(func(p *graph.Param) func([]float32, int) { return e.optimizer.moment(name, p) })
		for i := range one {
			one[i].Name = name + "." + one[i].Name
		}
		all = append(all, one...)
	}
	return nil, checkpoints.StreamSafetensors(path, "F32", all, nil)
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
	state, err := checkpoints.OpenSafetensors(filepath.Join(dir, optimizerFile))
	if err != nil {
		return err
	}
	defer state.Close()
	defer e.Drop()
	for _, p := range e.model.All() {
		if err := e.loadParam(p, weights, state); err != nil {
			return err
		}
	}
	e.model.RefreshHalf()
	return nil
}

// loadParam reads the weights of a parameter and its moments. What is not kept in float32 is read into the
// room of the gradient first.
func (e *Engine) loadParam(p *graph.Param, weights, state *checkpoints.Weights) error {
	switch {
	case p.Frozen && (p.Packed || e.model.Adapted()): // it is as its file has it
	case !p.Packed:
		if err := e.read(weights, "", p, p.Data); err != nil {
			return err
		}
	default:
		if err := e.read(weights, "", p, p.Grad); err != nil {
			return err
		}
		kernels.ToFloat24(p.Half, p.Low, p.Grad)
	}
	if p.Frozen {
		return nil
	}
	for _, name := range moments {
		if err := e.read(state, name+".", p, p.Grad); err != nil {
			return err
		}
		e.optimizer.setMoment(name, p, p.Grad)
	}
	return nil
}

// read fills values of a parameter from a file of the same names, with a prefix, and shapes, which a program may have
// written that went wrong: its hashes hold all the same.
func (e *Engine) read(from *checkpoints.Weights, prefix string, p *graph.Param, values []float32) error {
	of := func(q *graph.Param) []float32 {
		if q == p {
			return values
		}
		return nil
	}
	for _, x := range e.model.Tensors(of) {
		if x.Name = prefix + x.Name; prefix == "" {
			x.Name = e.model.SavedName(x.Name)
		}
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
