package dpo

import "testing"

func TestOptionsAreCheckedAgainstEachOther(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Options)
		key    string
	}{
		"the defaults are fine":          {func(*Options) {}, ""},
		"a margin without simpo":         {func(o *Options) { o.SimPOGamma = 1 }, "simpo_gamma"},
		"a margin with simpo":            {func(o *Options) { o.SimPOGamma, o.LossType = 1, "simpo" }, ""},
		"simpo without a reference":      {func(o *Options) { o.LossType, o.Reference = "simpo", "none" }, ""},
		"sigmoid without a reference":    {func(o *Options) { o.Reference = "none" }, "reference"},
		"smoothing where there is none":  {func(o *Options) { o.LossType, o.LabelSmoothing = "hinge", 0.1 }, "label_smoothing"},
		"smoothing with sigmoid is cDPO": {func(o *Options) { o.LabelSmoothing = 0.1 }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := Default()
			c.change(&o)
			bad := o.Validate()
			if c.key == "" && bad != nil || c.key != "" && (len(bad) != 1 || bad[c.key] == "") {
				t.Errorf("got %v, want a problem of %q", bad, c.key)
			}
		})
	}
}
