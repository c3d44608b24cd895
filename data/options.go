package data

import "lwtrain/data/record"

// Options say what is trained on. Each field is a key of the YAML: package
// configs shows its comment to users (once `go generate ./configs` has read it)
// and checks values by its tags.
type Options struct {
	// conversations to train on, mixed in this order, then shuffled by the seed
	Sources []Source `yaml:"sources"`
	// how the sources are mixed
	Mix Mix `yaml:"mix"`
	// which samples are dropped as copies of earlier ones, of held-out ones first: exact
	// ones, or near ones too (MinHash, at least 0.8 of their five-grams in common)
	Dedup string `yaml:"dedup" enum:"none|exact|near"`
	// what is kept for evaluation: a fraction of the samples (0.02),
	// a count (200), or a list of sources of its own; 0: nothing
	HeldOut HeldOut `yaml:"held_out"`
	// tokens in the longest sample to train on
	MaxLength int `yaml:"max_length" min:"8" max:"4194304"`
	// tokens in the longest held-out sample, which may have more than those to train on, and is whole; 0: as many as the
	// model has positions for
	HeldOutMaxLength int `yaml:"held_out_max_length" identity:"none" min:"0" max:"4194304"`
	// what is done with a sample above max_length, or held_out_max_length; split is not for pairs
	TooLong string `yaml:"too_long" enum:"error|skip|truncate|split"`
	// what is done with a record that cannot be read; skipped ones are counted by reason
	OnBadRecord string `yaml:"on_bad_record" enum:"error|skip"`
	// folder of the tokenised samples, made again when sources, tokenizer or template change
	CacheDir string `yaml:"cache_dir" identity:"none"`
}

// Source is conversations in one file or several.
type Source struct {
	// name in statistics and metrics; the file's name without ending where it is missing
	Name string `yaml:"name"`
	// conversations: a file (JSONL, JSON, CSV, Parquet or Arrow; the first three may be .gz or .zst), a folder of such, a glob,
	// a dataset of the hub (hf://owner/name), builtin:quickstart/... for those that ship with lwtrain; or a list of these
	Path string `yaml:"path" identity:"none"`
	// path, where it is a list
	Paths []string `yaml:"paths" identity:"none"`
	// how its records are read; auto: recognised from the first
	Format string `yaml:"format" enum:"auto|messages|sharegpt|alpaca|prompt_completion|preference|kto|text" default:"auto"`
	// of preference records: all for training on pairs, chosen for the preferred answers alone, as conversations
	Side string `yaml:"side" enum:"all|chosen" default:"all"`
	// which answers of a conversation are trained on: all but those
	// with train: false, the last one, or those with train: true alone
	TrainOn string `yaml:"train_on" enum:"all|last|marked" default:"all"`
	// whether the reasoning of answers that are trained on is learnt with them; else it is only read
	TrainReasoning string `yaml:"train_reasoning" enum:"true|false" default:"true"`
	// what the columns are called, where not as usual
	Columns record.Columns `yaml:"columns"`
	// roles by the names that they have in the file, such as {human: user, bot: assistant}
	Roles map[string]string `yaml:"roles"`
	// in tables (Parquet, Arrow), keys of nested objects that are null: the table's schema made
	// them up, as it has every key in every row; drop: they are as if not there; keep
	Nulls string `yaml:"nulls" enum:"drop|keep" default:"drop"`
	// how many samples are taken, drawn by the seed; 0: all
	Samples int `yaml:"samples" min:"0"`
	// the part of the samples that is taken, drawn by the seed; 0: all
	Fraction float64 `yaml:"fraction" min:"0" max:"1"`
	// as many samples are taken as have at most so many tokens, drawn by the seed; 0: all
	Tokens int `yaml:"tokens" min:"0"`
	// how often each sample comes in an epoch; of 2.5, half of them a third time
	Repeat float64 `yaml:"repeat" above:"0" max:"1000" default:"1"`
	// with data.mix.strategy: interleave, how probably the next sample is one of this source
	Probability float64 `yaml:"probability" min:"0" max:"1"`
	// keys of records and of their messages that are as good as not there
	Ignore []string `yaml:"ignore"`
	// which conversations are used
	Filter record.Filter `yaml:"filter"`
	// cut answers that are trained on behind a sentence, so that they are learnt to end there; before the filter
	CutAnswer record.Cut `yaml:"cut_answer"`
	// multiplies the loss of this source's tokens, on top of packing.weighting
	LossFactor float64 `yaml:"loss_factor" min:"0" default:"1"`
}

// Mix says how the sources become one list of samples.
type Mix struct {
	// concatenate: all samples of every source; interleave: drawn from them by their probability until stop
	Strategy string `yaml:"strategy" enum:"concatenate|interleave"`
	// when an interleaved epoch ends: as soon as one source has no more samples,
	// or when each has given all of its own, the others from the start again
	Stop string `yaml:"stop" enum:"first_exhausted|all_exhausted"`
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
	return Options{
		Mix: Mix{"concatenate", "first_exhausted"}, Dedup: "none", HeldOut: HeldOut{Fraction: 0.02},
		MaxLength: 32768, TooLong: "skip", OnBadRecord: "error", CacheDir: "runs/cache",
	}
}
