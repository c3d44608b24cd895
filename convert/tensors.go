package convert

import (
	"fmt"
	"maps"
	"slices"

	"lwtrain/checkpoints"
	"lwtrain/internal/gguf"
	"lwtrain/model/families"
)

// tensors holds the tensors of the file against those of the architecture: none
// missing, none left over, every shape as it must be. They come out under the names
// of Hugging Face's files.
func (a *architecture) tensors(g *gguf.File) ([]checkpoints.Stream, error) {
	var out []checkpoints.Stream
	left := maps.Clone(g.Tensors)
	delete(left, families.RopeFactors) // became rope_scaling
	form := a.family.GGUF
	for _, p := range a.Layout() {
		theirs, ours := form.Names.Tensors(p), a.family.Names.Tensors(p)
		for i, from := range theirs { // both forms cut a parameter in the same way
			t := left[from.Name]
			if t == nil {
				return nil, fmt.Errorf("no tensor %s, which %s with %d layers calls for", from.Name, form.Architecture, a.Layers)
			}
			if !slices.Equal(t.Shape, from.Shape) {
				return nil, fmt.Errorf("tensor %s has the shape %v, want %v", from.Name, t.Shape, from.Shape)
			}
			delete(left, from.Name)
			read := t.Read
			if form.Interleaved && p.Role == families.QKV && i < 2 { // query and key
				read = halves(t, a.HeadDim)
			}
			out = append(out, checkpoints.Stream{Name: ours[i].Name, Shape: from.Shape, Read: read})
		}
	}
	if len(left) > 0 {
		return nil, fmt.Errorf("tensor %.80q is not part of %s with %d layers",
			slices.Min(slices.Collect(maps.Keys(left))), form.Architecture, a.Layers)
	}
	return out, nil
}

// halves reads a query or key matrix whose file has the pairs that are turned
// together as neighbours, as Hugging Face's files have them: a pair in the two halves
// of its head.
func halves(t *gguf.Tensor, headDim int) func(offset int, dst []float32) error {
	columns := t.Shape[1]
	return func(offset int, dst []float32) error {
		for len(dst) > 0 {
			row, column := offset/columns, offset%columns
			n := min(len(dst), columns-column)
			if err := t.Read(interleaved(row, headDim)*columns+column, dst[:n]); err != nil {
				return err
			}
			dst, offset = dst[n:], offset+n
		}
		return nil
	}
}

// interleaved is where rows lie whose pairs are neighbours: row j*headDim/2+i of a
// head of Hugging Face's files, j being 0 or 1, is row 2i+j.
func interleaved(row, headDim int) int {
	r := row % headDim
	return row - r + r%(headDim/2)*2 + r/(headDim/2)
}
