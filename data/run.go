package data

import (
	"cmp"
	"errors"
	"fmt"
	"math"

	"lwtrain/data/read"
	"lwtrain/data/record"
	"lwtrain/data/store"
	"lwtrain/internal/fault"
)

// Run says how [Build] works; none of it changes what comes out, but Seed, Positions
// and what is wanted.
type Run struct {
	Seed uint64
	// Positions are those of the model: what is held out may be as long. 0: not known.
	Positions int
	// Files are those that paths of sources stand for, where they are none of this
	// machine: datasets of a hub.
	Files map[string][]read.File
	// Pairs wants sources of preferences, each two samples of the set, see
	// [Set.Pairs]; labelled answers are paired by their prompts. Labels wants
	// them one by one, see [Set.Desirable]. Any takes what there is, for
	// statistics; with Labels labelled answers one by one. Without these, sources of
	// preferences are refused, but for those with side: chosen.
	Pairs, Labels, Any bool
	// DryRun writes nothing: sources that are not in the cache are tokenised for
	// lengths and statistics alone, and Sample fails for them.
	DryRun bool
	// Progress, which may be nil, is told the bytes of the sources read while
	// they are tokenised; those that are in the cache count as read.
	Progress func(done, total int64)
}

// refuseCutting refuses options that would cut an answer: what is left would be
// another preference.
func (o Options) refuseCutting() error {
	if o.TooLong == "error" || o.TooLong == "skip" {
		return nil
	}
	return fault.Usage(fault.Hint(fmt.Errorf("data.too_long: %s, want error or skip: an answer is whole or not there", o.TooLong),
		"data.too_long: skip counts the pairs and answers that are longer than data.max_length"))
}

// longestHeldOut is how many tokens a conversation may have that is held out, and by which key.
func (o Options) longestHeldOut(positions int) limit {
	switch {
	case o.HeldOutMaxLength > 0:
		return limit{o.HeldOutMaxLength, heldOutMaxLength}
	case positions == 0:
		return limit{math.MaxInt32, ""}
	case positions <= o.MaxLength:
		return limit{o.MaxLength, maxLength}
	}
	return limit{positions, modelLength}
}

// limit is the most tokens that a sample may have, and what says so; "": nothing does.
type limit struct {
	tokens int
	key    string
}

// What limits are said by.
const (
	maxLength        = "data.max_length"
	heldOutMaxLength = "data.held_out_max_length"
	modelLength      = "max_position_embeddings"
)

// raising says in a hint what would make the limit a larger one.
func (l limit) raising() string {
	if l.key == modelLength {
		return "stretch the model's length by model.rope_scaling"
	}
	return "raise " + l.key
}

// preferences reports whether the run wants nothing else.
func (want Run) preferences() bool { return (want.Pairs || want.Labels) && !want.Any }

// ErrPreferences is why a source is refused that holds preferences, where [Run] wants none.
var ErrPreferences = errors.New("want conversations")

// suits refuses a source whose records are not what is wanted, by their format.
func (want Run) suits(src source, about store.About) error {
	format := about.Layout
	only := src.Side == "chosen"
	paired := record.IsPreference(format)
	preferences := want.preferences()
	refuse := func(hint, says string, args ...any) error {
		return fault.Usage(fault.Hint(fmt.Errorf("%s: source %s "+says, append([]any{src.shown, src.Name}, args...)...), hint))
	}
	switch {
	case paired && src.TrainOn != "" && src.TrainOn != "all":
		return refuse("leave train_on out: of preferences the chosen and rejected answers are trained on",
			"holds preferences and has train_on: %s, want conversations", src.TrainOn)
	case paired && src.TrainReasoning == "false":
		return refuse("leave train_reasoning out: the two of a pair are compared whole, with their reasoning",
			"holds preferences and has train_reasoning: false, want conversations")
	case format == record.Labels && !only && !(preferences || want.Any):
		return refuse("lwtrain dpo trains on them (dpo.loss_type: kto); side: chosen of the source takes the answers labelled good, "+
			fmt.Sprintf("ignore: [%s] takes all of them, the bad ones too", cmp.Or(src.Columns.Label, "label, kto_tag")),
			"holds labelled answers, some of them bad, %w", ErrPreferences)
	case paired && !only && !(preferences || want.Any):
		return refuse("lwtrain dpo trains on pairs; side: chosen of the source takes the preferred answers alone",
			"holds preferences, %w", ErrPreferences)
	case paired && only && preferences:
		return refuse("leave side out", "has side: chosen, want pairs")
	case format == "": // no record has one, which is said of each
	case !paired && preferences:
		keys := ""
		if about.Keys != "" {
			keys = " (" + about.Keys + ")"
		}
		return refuse("lwtrain sft trains on conversations; where a key holds the other answer, name it: columns: {rejected: ...} of "+
			"the source",
			"holds conversations%s, want preferences: a chosen and a rejected answer, or labelled ones", keys)
	case !paired && only:
		return refuse("leave side out", "has side: chosen and holds conversations, want pairs")
	}
	return nil
}
