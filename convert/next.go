package convert

import (
	"fmt"

	"lwtrain/model/families"
)

// placed is a parameter with what files of both kinds store it as.
type placed struct {
	families.Parameter
	theirs, ours []families.Tensor
}

// parameters are those of the model, and of a layer behind the others that predicts further tokens, where the file has
// one: it is carried along (mtp).
func (a *architecture) parameters() (out []placed) {
	for _, p := range a.Layout() {
		out = append(out, placed{p, a.names.Tensors(p), a.family.Names.Tensors(p)})
	}
	if !a.next {
		return out
	}
	const ours = "mtp."
	theirs := fmt.Sprintf(a.names.Layer, a.Layers)
	names := families.Names{Layer: ours + "layers.%d.", Of: a.family.Names.Of}
	one := a.Dims
	one.Layers, one.At = 1, nil
	for _, p := range one.Layout() {
		if p.Layer < 0 {
			continue
		}
		last := p
		last.Layer = a.Layers
		out = append(out, placed{p, a.names.Tensors(last), names.Tensors(p)})
	}
	for _, x := range []struct {
		theirs, ours string
		p            families.Parameter
	}{
		{"nextn.eh_proj", "fc", families.Parameter{Role: families.Out, Parts: []int{a.Hidden}, Cols: 2 * a.Hidden}},
		{"nextn.enorm", "pre_fc_norm_embedding", families.Parameter{Role: families.Norm, Parts: []int{a.Hidden}}},
		{"nextn.hnorm", "pre_fc_norm_hidden", families.Parameter{Role: families.Norm, Parts: []int{a.Hidden}}},
		{"nextn.shared_head_norm", "norm", families.Parameter{Role: families.Norm, Parts: []int{a.Hidden}}},
	} {
		x.p.Layer = -1
		named := func(name string) []families.Tensor {
			names := families.Names{Of: map[families.Role][]string{x.p.Role: {name}}}
			return names.Tensors(x.p)
		}
		out = append(out, placed{x.p, named(theirs + x.theirs), named(ours + x.ours)})
	}
	return out
}
