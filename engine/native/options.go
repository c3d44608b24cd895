package native

import (
	"lwtrain/internal/machine"
	"lwtrain/model"
)

// Options say how a model is computed and updated. Names are those of the config's
// train section.
type Options struct {
	Capacity              int    // tokens of the largest pack
	HeldOut               int    // tokens of the longest pack that is only scored, where that is more; 0: none is
	Precision             string // auto | bf16 | float32
	GradientCheckpointing string // auto | true | false
	MemoryLimit           int64  // bytes that auto keeps below; 0: what the machine has free
	AdamW                 AdamW
	Bits8                 bool          // AdamW's moments are kept in 8 bits
	Reference             *model.Config // of what [Engine.Reference] will be asked for; nil: nothing
}

// memoryLimit is the option in bytes, or nine tenths of what the machine has
// free now.
func (o Options) memoryLimit() int64 {
	if o.MemoryLimit > 0 {
		return o.MemoryLimit
	}
	return machine.ReadMemory().Available() / 10 * 9
}
