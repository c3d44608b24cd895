package convert

import (
	"fmt"
	"maps"
	"slices"

	"lwtrain/checkpoints"
	"lwtrain/internal/gguf"
	"lwtrain/model/families"
)

// reading fills dst with values of a tensor from offset on.
type reading func(offset int, dst []float32) error

// tensors holds the tensors of the file against those of the architecture: none
// missing, none left over, every shape as it must be. They come out under the names
// of Hugging Face's files.
func (a *architecture) tensors(g *gguf.File) ([]checkpoints.Stream, error) {
	var out []checkpoints.Stream
	left := maps.Clone(g.Tensors)
	for _, name := range []string{families.RopeFactors, families.ShortFactors, families.LongFactors} { // became rope_scaling
		if a.rope.Scaling != nil || name == families.RopeFactors {
			delete(left, name)
		}
	}
	form := a.family.GGUF
	for _, at := range a.parameters() {
		p := at.Parameter
		reads := make([]reading, len(at.theirs))
		for i, from := range at.theirs {
			t := left[from.Name]
			if t == nil {
				return nil, fmt.Errorf("no tensor %s, which %s with %d layers calls for", from.Name, form.Architecture, a.Layers)
			}
			if shape := shapeOf(from); !slices.Equal(t.Shape, shape) {
				return nil, fmt.Errorf("tensor %s has the shape %v, want %v", from.Name, t.Shape, shape)
			}
			delete(left, from.Name)
			if reads[i] = t.Read; form.Interleaved && turned(p.Role, i) {
				reads[i] = rows(t.Read, width(p), func(row int) int { return interleaved(row, a.HeadDim) })
			}
			reads[i] = converted(a.Dims, p, i, reads[i], true)
			reads[i] = shifted(reads[i], -a.family.OffsetOf(p))
		}
		for _, of := range at.ours {
			out = append(out, checkpoints.Stream{Name: of.Name, Shape: of.Shape, Read: pieces(of, at.theirs, reads, width(p))})
		}
	}
	if len(left) > 0 {
		return nil, fmt.Errorf("tensor %.80q is not part of %s with %d layers",
			slices.Min(slices.Collect(maps.Keys(left))), form.Architecture, a.Layers)
	}
	return out, nil
}

// turned reports whether part i of a parameter makes what rotary positions turn: query and
// key.
func turned(r families.Role, i int) bool {
	return (r == families.QKV || r == families.QKVBias) && i < 2
}

// shapeOf is the shape of a tensor in GGUF files, whose convolutions have two dimensions.
func shapeOf(t families.Tensor) []int {
	if len(t.Shape) == 3 {
		return []int{t.Shape[0], t.Shape[2]}
	}
	return t.Shape
}

// width is how many values a row of a parameter has; of a vector every value is one.
func width(p families.Parameter) int { return max(1, p.Cols) }

// pieces reads a tensor whose rows a file of another form stores in other tensors.
func pieces(of families.Tensor, theirs []families.Tensor, reads []reading, width int) reading {
	return func(offset int, dst []float32) error {
		for at := of.Row*width + offset; len(dst) > 0; {
			i := len(theirs) - 1
			for theirs[i].Row*width > at {
				i--
			}
			n := min(len(dst), (theirs[i].Row+theirs[i].Rows())*width-at)
			if err := reads[i](at-theirs[i].Row*width, dst[:n]); err != nil {
				return err
			}
			dst, at = dst[n:], at+n
		}
		return nil
	}
}

// shifted reads a tensor whose values are so much more: Gemma's norms are in GGUF files as they are used.
func shifted(read reading, by float32) reading {
	if by == 0 {
		return read
	}
	return func(offset int, dst []float32) error {
		err := read(offset, dst)
		for i := range dst {
			dst[i] += by
		}
		return err
	}
}

// rows reads a tensor whose row i is row of(i) of another one. Llama's GGUF files have the pairs
// of query and key that are turned together as neighbours, Hugging Face's in the two halves of
// their head.
func rows(read reading, width int, of func(row int) int) reading {
	return func(offset int, dst []float32) error {
		for len(dst) > 0 {
			row, column := offset/width, offset%width
			n := min(len(dst), width-column)
			if err := read(of(row)*width+column, dst[:n]); err != nil {
				return err
			}
			dst, offset = dst[n:], offset+n
		}
		return nil
	}
}

// columnsOf reads a matrix whose column i is column of(i) of another one.
func columnsOf(read reading, width int, of func(column int) int) reading {
	row, held := make([]float32, width), -1
	return func(offset int, dst []float32) error {
		for i := range dst {
			if at := (offset + i) / width; at != held {
				if err := read(at*width, row); err != nil {
					return err
				}
				held = at
			}
			dst[i] = row[of((offset+i)%width)]
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

// halves undoes interleaved.
func halves(row, headDim int) int {
	r := row % headDim
	return row - r + r%2*(headDim/2) + r/2
}
