package packing

// Options say how samples become packs. The tags doc, enum, min, max, above and
// below describe each key of the YAML: package configs checks values by them
// and makes the JSON Schema from them.
type Options struct {
	Capacity  int    `yaml:"capacity" min:"16" max:"4194304" doc:"tokens in a pack"`
	Strategy  string `yaml:"strategy" identity:"sft" enum:"best_fit_decreasing|next_fit" doc:"best_fit_decreasing: over all samples of an epoch, fewest packs; next_fit: keeps the shuffled order, as LongWriter's code does"`
	Weighting string `yaml:"weighting" identity:"sft" enum:"token|sequence|longwriter|pack" doc:"what the loss is averaged over: target tokens of the step (the LongWriter paper), sequences (LongAlign), packs, or as LongWriter's released code does"`
}

// Default is what holds where nothing else is said.
func Default() Options {
	return Options{Capacity: 32768, Strategy: BestFit, Weighting: ByToken}
}
