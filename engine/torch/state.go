package torch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"lwtrain/checkpoints"
	"lwtrain/internal/atomicfile"
	"lwtrain/internal/fault"
	"lwtrain/model"
)

// optimizerFile holds the optimiser's state in a checkpoint, as docs/formats/checkpoint.md says.
const optimizerFile = "state/optimizer.safetensors"

// kinds are the prefixes of what a checkpoint holds of each tensor.
var kinds = []string{"", "exp_avg.", "exp_avg_sq."}

// piece is rows of a tensor of a file, as a worker is told of them: file, tensor, first row, rows.
type piece [4]any

// place writes the config.json of a folder's model as transformers has it, and says where in the folder's files the rows of
// its tensors lie.
func (e *Engine) place(twin model.Twin, dir, name string) (tensors map[string][]piece, config string, err error) {
	config, err = filepath.Abs(filepath.Join(e.work, name))
	if err == nil {
		err = os.MkdirAll(config, 0o755)
	}
	if err == nil {
		err = atomicfile.WriteBytes(filepath.Join(config, "config.json"), twin.Config)
	}
	if err != nil {
		return nil, "", err
	}
	tensors = map[string][]piece{}
	if dir == "" {
		return tensors, config, nil
	}
	weights, err := checkpoints.OpenWeights(dir)
	if err != nil {
		return nil, "", err
	}
	defer weights.Close()
	return tensors, config, locate(twin, weights, "", tensors)
}

// locate adds where the rows of a twin's tensors lie, under names with a prefix, once the shapes of the files' tensors are seen
// to be right.
func locate(twin model.Twin, weights *checkpoints.Weights, prefix string, tensors map[string][]piece) error {
	for _, f := range twin.Files {
		if f.Frozen && prefix != "" { // it has no moments
			continue
		}
		info, ok := weights.Info(prefix + f.Name)
		if !ok {
			return fmt.Errorf("no tensor %s, want one of shape %v", prefix+f.Name, f.Shape)
		}
		if !slices.Equal(info.Shape, f.Shape) {
			return fmt.Errorf("tensor %s has shape %v, want %v", prefix+f.Name, info.Shape, f.Shape)
		}
		if scales := weights.ScaleOf(f.Name); scales != "" && prefix == "" {
			return fault.Hint(fmt.Errorf("tensor %s is read by scales (%s), want plain values for this engine", f.Name, scales),
				"`lwtrain export MODEL DIR` makes a folder of them")
		}
	}
	for _, t := range twin.Tensors {
		if t.Frozen && prefix != "" {
			continue
		}
		for _, p := range t.Pieces {
			path, err := filepath.Abs(weights.Path(prefix + p.Name))
			if err != nil {
				return err
			}
			tensors[prefix+t.Name] = append(tensors[prefix+t.Name], piece{path, prefix + p.Name, p.First, p.Rows})
		}
	}
	return nil
}

// Load implements [engine.Engine]: each rank reads its rows.
func (e *Engine) Load(dir string) error {
	if _, err := e.Model(); err != nil { // of the weights that are replaced
		return err
	}
	weights, err := checkpoints.OpenWeights(dir)
	if err != nil {
		return err
	}
	defer weights.Close()
	moments, err := checkpoints.OpenSafetensors(filepath.Join(dir, optimizerFile))
	if err != nil {
		return err
	}
	defer moments.Close()
	tensors := map[string][]piece{}
	for _, prefix := range kinds {
		from := moments
		if prefix == "" {
			from = weights
		}
		if err := locate(e.twin, from, prefix, tensors); err != nil {
			return err
		}
	}
	if err := e.start(); err != nil {
		return err
	}
	_, err = e.ask(map[string]any{"op": "load", "tensors": tensors})
	return err
}

// Save implements [engine.Engine]: each rank writes its rows. The rest makes the files of the common layout of them, without
// the workers.
func (e *Engine) Save(dir string) (rest func() error, err error) {
	if err := e.start(); err != nil {
		return nil, err
	}
	parts, err := filepath.Abs(filepath.Join(dir, "parts"))
	if err == nil {
		err = errors.Join(os.MkdirAll(parts, 0o755), os.MkdirAll(filepath.Dir(filepath.Join(dir, optimizerFile)), 0o755))
	}
	if err == nil {
		_, err = e.ask(map[string]any{"op": "save", "dir": parts})
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(parts))
	}
	return func() error { return errors.Join(e.merge(dir, parts), os.RemoveAll(parts)) }, nil
}

// merge makes the files of a checkpoint out of the ranks' parts.
func (e *Engine) merge(dir, parts string) error {
	files := make([]*checkpoints.Weights, e.plan.shards)
	for i := range files {
		f, err := checkpoints.OpenSafetensors(filepath.Join(parts, fmt.Sprintf("part-%05d.safetensors", i)))
		if err != nil {
			return err
		}
		defer f.Close()
		files[i] = f
	}
	shapes := map[string][]int{}
	for _, t := range e.twin.Tensors {
		shapes[t.Name] = t.Shape
	}
	var all [3][]checkpoints.Stream
	for k, prefix := range kinds {
		whole := map[string]func(offset int, dst []float32) error{}
		for _, t := range e.twin.Tensors {
			if t.Frozen && prefix != "" { // it has no moments
				continue
			}
			read, err := joined(files, prefix+t.Name, t.Shape)
			if err != nil {
				return err
			}
			whole[t.Name] = read
		}
		for _, f := range e.twin.Files {
			if f.Frozen && prefix != "" {
				continue
			}
			all[k] = append(all[k], checkpoints.Stream{Name: prefix + f.Name, Shape: f.Shape, Read: pieced(f, shapes, whole)})
		}
	}
	if e.model != "" {
		weights, err := checkpoints.OpenWeights(e.model)
		if err != nil {
			return err
		}
		defer weights.Close()
		all[0] = append(all[0], e.config.Carried(weights)...)
	}
	if err := e.config.WriteFolder(dir, "float32", all[0], nil); err != nil {
		return err
	}
	return checkpoints.StreamSafetensors(filepath.Join(dir, optimizerFile), "F32", append(all[1], all[2]...), nil)
}

// joined reads a tensor whose rows lie in several files, one below the other; those without a row have no such tensor.
func joined(files []*checkpoints.Weights, name string, shape []int) (func(offset int, dst []float32) error, error) {
	width := product(shape[1:])
	ends := make([]int, len(files)) // in values
	at := 0
	for i, f := range files {
		if info, there := f.Info(name); there {
			if len(info.Shape) != len(shape) || !slices.Equal(info.Shape[1:], shape[1:]) {
				return nil, fmt.Errorf("rank %d saved %s with shape %v, want rows of %v", i, name, info.Shape, shape)
			}
			at += info.Shape[0] * width
		}
		ends[i] = at
	}
	if at != product(shape) {
		return nil, fmt.Errorf("the ranks saved %d values of %s, want %d", at, name, product(shape))
	}
	return func(offset int, dst []float32) error {
		begin := 0
		for i, end := range ends {
			if n := min(end-offset, len(dst)); n > 0 {
				if err := files[i].ReadAt(name, offset-begin, dst[:n]); err != nil {
					return err
				}
				offset, dst = offset+n, dst[n:]
			}
			begin = end
		}
		return nil
	}, nil
}

// pieced reads a tensor that is made of rows of others.
func pieced(t model.Laid, shapes map[string][]int, whole map[string]func(int, []float32) error) func(offset int, dst []float32) error {
	return func(offset int, dst []float32) error {
		begin := 0
		for _, p := range t.Pieces {
			width := product(shapes[p.Name][1:])
			end := begin + p.Rows*width
			if n := min(end-offset, len(dst)); n > 0 {
				if err := whole[p.Name](p.First*width+offset-begin, dst[:n]); err != nil {
					return err
				}
				offset, dst = offset+n, dst[n:]
			}
			begin = end
		}
		return nil
	}
}
