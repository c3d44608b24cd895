package packing

// Options say how samples become packs. Each field is a key of the YAML:
// package configs shows its comment to users (once `go generate ./configs` has
// read it) and checks values by its tags.
type Options struct {
	// tokens in a pack
	Capacity int `yaml:"capacity" min:"16" max:"4194304"`
	// best_fit_decreasing: over all samples of an epoch, fewest packs;
	// next_fit: keeps the shuffled order, as LongWriter's code does
	Strategy string `yaml:"strategy" identity:"sft" enum:"best_fit_decreasing|next_fit"`
	// what the loss is averaged over: target tokens of the step (the LongWriter
	// paper), sequences (LongAlign), packs, or as LongWriter's released code does
	Weighting string `yaml:"weighting" identity:"sft" enum:"token|sequence|longwriter|pack"`
}

// Default is what holds where nothing else is said.
func Default() Options {
	return Options{Capacity: 32768, Strategy: "best_fit_decreasing", Weighting: "token"}
}

// Weightings are the values of Options.Weighting.
var Weightings = []string{"token", "sequence", "longwriter", "pack"}
