package packing

// Options say how samples become packs. Each field is a key of the YAML:
// package configs shows its comment to users (once `go generate ./configs` has
// read it) and checks values by its tags.
type Options struct {
	// tokens in a pack
	Capacity int `yaml:"capacity" min:"16" max:"4194304"`
	// best_fit_decreasing: over all samples of an epoch, fewest packs;
	// histogram: the same rooms, from a histogram of lengths;
	// next_fit: keeps the shuffled order, as LongWriter's code does;
	// first_fit: keeps it, and fills packs that are open;
	// sorted: steps of like lengths (LongAlign); hbp: best fit, in steps of
	// packs of like attention (hierarchical balance packing)
	Strategy string `yaml:"strategy" identity:"sft"`
	// what the loss is averaged over: target tokens of the step (the LongWriter
	// paper), sequences (LongAlign), packs, or as LongWriter's released code does;
	// ave_token: token, as HBP says it; long_ce: tokens of the steps so far
	// (ms-swift); message: each answer the same; length: between token and
	// sequence; dft: token, times each token's probability
	Weighting string `yaml:"weighting" identity:"sft"`
	// weighting longwriter: by what the sequences of a pack are divided
	LongWriterSequences float64 `yaml:"longwriter_sequences" later:"0.4" identity:"sft" above:"0"`
	// weighting length: 0 is token, 1 is sequence, 0.5 the square root between
	LengthPower float64 `yaml:"length_power" later:"0.4" identity:"sft" min:"0" max:"1"`
}
