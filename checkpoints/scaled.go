package checkpoints

import (
	"fmt"
	"slices"
	"strings"

	"lwtrain/internal/tensorfile"
)

// scaledType is the dtype of weights that are read by scales: 8 bits, 3 of them of mantissa.
const scaledType = "F8_E4M3"

// Endings of the names of scales, in the place of .weight.
var scaleEndings = []string{".weight_scale_inv", ".weight_scale"}

// usualBlock is how many rows and columns share a scale in most files.
const usualBlock = 128

// mostScales is how many scales of a matrix are read: the files of models have one for 128 x 128 values.
const mostScales = 1 << 24

// ScaleOf is the name of the tensor of scales by which a tensor is read; "": it has none.
func (w *Weights) ScaleOf(name string) string {
	if e := w.scalesOf(name); e != nil {
		return e.Name
	}
	return ""
}

func (w *Weights) scalesOf(name string) *entry {
	e, stem := w.entries[name], strings.TrimSuffix(name, ".weight")
	if e == nil || e.DType != scaledType || stem == name {
		return nil
	}
	for _, ending := range scaleEndings {
		if scales := w.entries[stem+ending]; scales != nil {
			return scales
		}
	}
	return nil
}

// readScaled reads a matrix whose blocks of rows and columns have a scale each, which the values
// are multiplied by: one for all, or a grid over blocks of 128 x 128 or of equal size, as
// transformers has them (quant_method fp8).
func (w *Weights) readScaled(e, scales *entry, offset int, dst []float32) error {
	if len(e.Shape) != 2 || len(scales.Shape) > 2 || !tensorfile.IsFloat(scales.DType) {
		return fmt.Errorf("%s: tensor %s of shape %v has scales of dtype %s and shape %v, want a matrix, and F32, BF16 or F16", e.path,
			e.Name, e.Shape, scales.DType, scales.Shape)
	}
	grid := slices.Clone(scales.Shape)
	for len(grid) < 2 {
		grid = append(grid, 1)
	}
	var block [2]int
	for i := range block {
		switch n, of := e.Shape[i], grid[i]; {
		case of == 1:
			block[i] = max(n, 1)
		case (n+usualBlock-1)/usualBlock == of:
			block[i] = usualBlock
		case of > 0 && n%of == 0:
			block[i] = n / of
		default:
			return fmt.Errorf("%s: tensor %s has shape %v, and its scales %v, want one, or one for each block", e.path, e.Name, e.Shape,
				scales.Shape)
		}
	}
	if scales.elements() > mostScales {
		return fmt.Errorf("%s: tensor %s has %d scales, want at most %d", e.path, e.Name, scales.elements(), mostScales)
	}
	by := make([]float32, scales.elements())
	if err := scales.read(0, by); err != nil {
		return err
	}
	if err := e.read(offset, dst); err != nil {
		return err
	}
	cols := e.Shape[1]
	for i := 0; i < len(dst); {
		row, col := (offset+i)/cols, (offset+i)%cols
		n := min(len(dst)-i, block[1]-col%block[1], cols-col)
		scale := by[row/block[0]*grid[1]+col/block[1]]
		for k := range n {
			dst[i+k] *= scale
		}
		i += n
	}
	return nil
}
