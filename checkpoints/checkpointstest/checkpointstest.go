// Package checkpointstest reads and writes whole files of weights. It is for tests alone.
package checkpointstest

import "lwtrain/checkpoints"

// Tensors reads all tensors, in the order of their names.
func Tensors(w *checkpoints.Weights) (all []checkpoints.Tensor, err error) {
	for _, name := range w.Names() {
		info, _ := w.Info(name)
		n := 1
		for _, d := range info.Shape {
			n *= d
		}
		x := checkpoints.Tensor{Name: name, Shape: info.Shape, Data: make([]float32, n)}
		if err := w.Read(name, x.Data); err != nil {
			return nil, err
		}
		all = append(all, x)
	}
	return all, nil
}

// Streams are tensors for [checkpoints.StreamSafetensors].
func Streams(all []checkpoints.Tensor) (out []checkpoints.Stream) {
	for _, x := range all {
		out = append(out, x.Stream())
	}
	return out
}
