package model

import (
	"fmt"
	"path"
)

// Freeze makes the tensors stay as they are that a pattern fits; the others are
// trained. Patterns are of names in the model's files, * stands for any characters:
// model.embed_tokens.*, model.layers.0.*. It must be called before [Model.UseGradients]
// and [Model.Graph].
//
// A pattern that fits no tensor is an error, and so is one that fits a part of what is
// one parameter here (query, key and value matrices are).
func (m *Model) Freeze(patterns []string) error {
	used := make([]bool, len(patterns))
	for _, p := range m.Params {
		frozen := 0
		for _, f := range m.files[p] {
			fits := false
			for i, pattern := range patterns {
				ok, err := path.Match(pattern, f.Name)
				if err != nil {
					return fmt.Errorf("pattern %q: %w", pattern, err)
				}
				used[i], fits = used[i] || ok, fits || ok
			}
			if fits {
				frozen++
			}
		}
		if all := len(m.files[p]); frozen > 0 && frozen < all {
			return fmt.Errorf("the patterns freeze %d of the %d tensors from %s on, want all or none of them: they are trained together",
				frozen, all, m.files[p][0].Name)
		}
		p.Frozen = frozen > 0
	}
	for i, pattern := range patterns {
		if !used[i] {
			return fmt.Errorf("pattern %q fits no tensor of the model, want one such as %s", pattern, m.files[m.Params[0]][0].Name)
		}
	}
	return nil
}

// TrainedParameters is the number of values that are not frozen.
func (m *Model) TrainedParameters() (n int64) {
	for _, p := range m.All() {
		if !p.Frozen {
			n += int64(p.Size())
		}
	}
	return n
}
