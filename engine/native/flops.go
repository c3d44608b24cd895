package native

import (
	"lwtrain/model"
	"lwtrain/packing"
)

// FLOPs is what a training step of a model computes for a document of that many tokens:
// 6 for each parameter that multiplies and token, and three times forward attention.
// What is computed again is not counted.
func FLOPs(c model.Config, tokens int) float64 {
	return 6*float64(c.ProductParameters())*float64(tokens) + 3*c.AttentionFLOPs(tokens)
}

// Cost is what learning preferences from documents computes: as [FLOPs], but the head is multiplied with the targets
// alone, and with these twice before its gradients (target).
func Cost(c model.Config) (tokens packing.Cost, target float64) {
	const n = 1 << 12
	head := float64(c.Vocab) * float64(c.Hidden)
	return packing.Cost{
		Token:  6 * (float64(c.ProductParameters()) - head),
		Square: 3 * c.AttentionFLOPs(n) / (n * n),
	}, 8 * head
}

// LoRAFLOPs is [FLOPs] where adapters of so many values are trained: 6 for each of theirs, and 4 for a parameter of the model,
// whose gradient nobody computes.
func LoRAFLOPs(c model.Config, values int64, tokens int) float64 {
	return FLOPs(c, tokens) + float64(6*values-2*c.ProductParameters())*float64(tokens)
}
