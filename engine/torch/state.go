package torch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"unicode/utf8"

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
	if text := config + dir; err == nil && !utf8.ValidString(text) {
		return nil, "", fault.Usage(fmt.Errorf("%q is not UTF-8, want paths that are: messages to the workers are", text))
	}
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
	base := func(f model.Laid) string {
		if f.Beside {
			return ""
		}
		return f.Name
	}
	return tensors, config, locate(twin, weights, "", base, tensors)
}

// startFolder is where the adapters lie in the folder of worker files that training begins with.
const startFolder = "adapter"

// placeAdapters writes the adapters that training begins with, and adds where they lie.
func (e *Engine) placeAdapters(tensors map[string][]piece) error {
	dir := filepath.Join(e.work, startFolder)
	if err := e.outline.SaveStart(e.model, dir); err != nil {
		return err
	}
	weights, err := model.OpenAdapter(dir)
	if err != nil {
		return err
	}
	defer weights.Close()
	beside := func(f model.Laid) string {
		if f.Beside {
			return f.Saved
		}
		return ""
	}
	return locate(e.twin, weights, "", beside, tensors)
}

// saved is a tensor's name in a checkpoint's weights, moments the one of its moments without their prefix; "": it is not there.
func saved(f model.Laid) string { return f.Saved }

func moments(f model.Laid) string {
	if f.Frozen {
		return ""
	}
	return f.Name
}

// locate adds where the rows of a twin's tensors lie in files that name them so, "" where they are without one, under names with
// a prefix, once the shapes of the files' tensors are seen to be right.
func locate(
	twin model.Twin, weights *checkpoints.Weights, prefix string, named func(model.Laid) string, tensors map[string][]piece,
) error {
	names := map[string]string{}
	for _, f := range twin.Files {
		name := prefix + named(f)
		if name == prefix {
			continue
		}
		names[f.Name] = name
		info, ok := weights.Info(name)
		if !ok {
			return fmt.Errorf("no tensor %s, want one of shape %v", name, f.Shape)
		}
		if !slices.Equal(info.Shape, f.Shape) {
			return fmt.Errorf("tensor %s has shape %v, want %v", name, info.Shape, f.Shape)
		}
		if scales := weights.ScaleOf(name); scales != "" && prefix == "" {
			return fault.Hint(fmt.Errorf("tensor %s is read by scales (%s), want plain values for this engine", f.Name, scales),
				"`lwtrain export MODEL DIR` makes a folder of them")
		}
	}
	for _, t := range twin.Tensors {
		for _, p := range t.Pieces {
			name, there := names[p.Name]
			if !there {
				continue
			}
			path, err := filepath.Abs(weights.Path(name))
			if err != nil {
				return err
			}
			tensors[prefix+t.Name] = append(tensors[prefix+t.Name], piece{path, name, p.First, p.Rows})
		}
	}
	return nil
}

// Load implements [engine.Engine]: each rank reads its rows.
func (e *Engine) Load(dir string) error {
	if _, err := e.Model(); err != nil { // of the weights that are replaced
		return err
	}
	open := checkpoints.OpenWeights
	if e.outline.Adapted() {
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
	tensors := map[string][]piece{}
	for _, prefix := range kinds {
		from, named := state, moments
		if prefix == "" {
			from, named = weights, saved
		}
		if err := locate(e.twin, from, prefix, named, tensors); err != nil {
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
		named := moments
		if prefix == "" {
			named = saved
		}
		for _, t := range e.twin.Tensors {
			if named(t) == "" {
				continue
			}
			read, err := joined(files, prefix+t.Name, t.Shape)
			if err != nil {
				return err
			}
			whole[t.Name] = read
		}
		for _, f := range e.twin.Files {
			if name := named(f); name != "" {
				all[k] = append(all[k], checkpoints.Stream{Name: prefix + name, Shape: f.Shape, Read: pieced(f, shapes, whole)})
			}
		}
	}
	if err := e.writeWeights(dir, all[0]); err != nil {
		return err
	}
	return checkpoints.StreamSafetensors(filepath.Join(dir, optimizerFile), "F32", append(all[1], all[2]...), nil)
}

// writeWeights writes what a checkpoint has of the weights: all of them, or adapters.
func (e *Engine) writeWeights(dir string, all []checkpoints.Stream) error {
	if e.outline.Adapted() {
		return e.outline.WriteAdapter(dir, all)
	}
	if e.model != "" {
		weights, err := checkpoints.OpenWeights(e.model)
		if err != nil {
			return err
		}
		defer weights.Close()
		all = append(all, e.config.Carried(weights)...)
	}
	return e.config.WriteFolder(dir, "float32", all, nil)
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
