package export

import (
	"fmt"

	"lwtrain/model"
	"lwtrain/tokenizer"
)

// mergedBound is the most that merging an adapter in float32 may change the logits by: sums are
// taken in another order.
const mergedBound = 1e-4

// Merge writes the model of a folder with an adapter made part of its float32 weights into dir, with the
// tokenizer of a third folder. It reads back what it wrote, and returns an error where its logits are not
// those of base and adapter.
func Merge(base, adapter, tokens, dir string) (*Difference, error) {
	tok, err := tokenizer.Load(tokens)
	if err != nil {
		return nil, err
	}
	ids, err := checkIDs(tok)
	if err != nil {
		return nil, err
	}
	m, err := model.LoadAdapted(base, adapter, false)
	if err != nil {
		return nil, err
	}
	want, err := modelLogits(m, ids)
	if err == nil {
		m.Merge()
		err = m.Save(dir, "float32")
	}
	m.Free()
	if err == nil {
		err = tok.Save(dir)
	}
	if err != nil {
		return nil, err
	}
	got, err := logitsOf(dir, ids)
	if err != nil {
		return nil, err
	}
	d := &Difference{Logits: relative(want, got, len(want)/len(ids)), Bound: mergedBound, Tokens: len(ids)}
	if !(d.Logits <= d.Bound) {
		return d, fmt.Errorf("merged, the logits lie %.3g of their size from those of %s with %s, want at most %.3g", d.Logits, base,
			adapter, d.Bound)
	}
	return d, nil
}
