package data

// Options say what is trained on. The tags doc, enum, min, max, above, below
// and default describe each key of the YAML: package configs checks values by
// them and makes the JSON Schema from them.
type Options struct {
	Sources     []Source `yaml:"sources" doc:"conversations to train on, mixed in this order, then shuffled by the seed"`
	HeldOut     HeldOut  `yaml:"held_out" doc:"what is kept for evaluation: a fraction of the samples (0.02), a count (200), or a list of sources of its own; 0: nothing"`
	MaxLength   int      `yaml:"max_length" min:"8" max:"4194304" doc:"tokens in the longest sample"`
	TooLong     string   `yaml:"too_long" enum:"error|skip|truncate|split" doc:"what is done with a sample above max_length"`
	OnBadRecord string   `yaml:"on_bad_record" enum:"error|skip" doc:"what is done with a record that cannot be read; skipped ones are counted by reason"`
	CacheDir    string   `yaml:"cache_dir" doc:"folder of the tokenised samples, made again when sources, tokenizer or template change"`
}

// Source is a file of conversations.
type Source struct {
	Name       string  `yaml:"name" doc:"name in statistics and metrics; the file's name without ending where it is missing"`
	Path       string  `yaml:"path" doc:"a .jsonl file of {\"messages\": [...]} records (lwtrain dpo: chosen, rejected and a prompt), a .json file with an array of them, or builtin:quickstart/... for those that ship with lwtrain"`
	Samples    int     `yaml:"samples" min:"0" doc:"how many samples are taken, drawn by the seed; 0: all"`
	LossFactor float64 `yaml:"loss_factor" min:"0" default:"1" doc:"multiplies the loss of this source's tokens, on top of packing.weighting"`
}

// HeldOut is one of: a fraction of the samples, a count of them, or sources of
// its own. The zero value holds nothing out.
type HeldOut struct {
	Fraction float64
	Count    int
	Sources  []Source
}

// IsZero reports whether nothing is held out.
func (h HeldOut) IsZero() bool { return h.Fraction == 0 && h.Count == 0 && len(h.Sources) == 0 }

// Default is what holds where nothing else is said.
func Default() Options {
	return Options{HeldOut: HeldOut{Fraction: 0.02}, MaxLength: 32768, TooLong: "skip", OnBadRecord: "error", CacheDir: "runs/cache"}
}
