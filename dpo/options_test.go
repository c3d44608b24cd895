package dpo

import "testing"

func TestOptionsAreCheckedAgainstEachOther(t *testing.T) {
	types := func(names ...string) func(*Options) { return func(o *Options) { o.LossType = names } }
	for name, c := range map[string]struct {
		change func(*Options)
		key    string
	}{
		"the defaults are fine":                  {func(*Options) {}, ""},
		"no loss at all":                         {types(), "loss_type"},
		"an unknown loss":                        {types("sft"), "loss_type"},
		"a loss twice":                           {types("sigmoid", "ipo", "sigmoid"), "loss_type"},
		"a mix without weights":                  {types("sigmoid", "ipo"), ""},
		"a mix with its weights":                 {func(o *Options) { o.LossType, o.LossWeights = []string{"sigmoid", "ipo"}, []float64{1, 2} }, ""},
		"a mix with a weight too few":            {func(o *Options) { o.LossType, o.LossWeights = []string{"sigmoid", "ipo"}, []float64{1} }, "loss_weights"},
		"labelled answers mixed with pairs":      {types("kto", "sigmoid"), "loss_type"},
		"a margin without simpo":                 {func(o *Options) { o.SimPOGamma = 1 }, "simpo_gamma"},
		"a margin with simpo":                    {func(o *Options) { o.SimPOGamma, o.LossType = 1, []string{"simpo"} }, ""},
		"simpo without a reference":              {func(o *Options) { o.LossType, o.Reference = []string{"simpo"}, "none" }, ""},
		"sigmoid without a reference":            {func(o *Options) { o.Reference = "none" }, "reference"},
		"a mix that needs a reference":           {func(o *Options) { o.LossType, o.Reference = []string{"simpo", "ipo"}, "none" }, "reference"},
		"kto without a reference":                {func(o *Options) { o.LossType, o.Reference = []string{"kto"}, "none" }, "reference"},
		"an empty reference":                     {func(o *Options) { o.Reference = "" }, "reference"},
		"smoothing where there is none":          {func(o *Options) { o.LossType, o.LabelSmoothing = []string{"hinge"}, 0.1 }, "label_smoothing"},
		"smoothing with sigmoid is cDPO":         {func(o *Options) { o.LabelSmoothing = 0.1 }, ""},
		"smoothing that one of a mix has":        {func(o *Options) { o.LossType, o.LabelSmoothing = []string{"hinge", "robust"}, 0.1 }, ""},
		"damping with sigmoid is LD-DPO":         {func(o *Options) { o.LDAlpha = 0.5 }, ""},
		"damping where nothing is compared":      {func(o *Options) { o.LossType, o.LDAlpha = []string{"simpo"}, 0.5 }, "ld_alpha"},
		"damping of labelled answers":            {func(o *Options) { o.LossType, o.LDAlpha = []string{"kto"}, 0.5 }, "ld_alpha"},
		"a penalty without dpop":                 {func(o *Options) { o.DPOPLambda = 5 }, "dpop_lambda"},
		"rdpo with nothing for length":           {types("rdpo"), "rdpo_alpha"},
		"a weight of length without rdpo":        {func(o *Options) { o.RDPOAlpha = 0.1 }, "rdpo_alpha"},
		"rdpo that favours length":               {func(o *Options) { o.LossType, o.RDPOAlpha = []string{"rdpo"}, -0.01 }, ""},
		"labels' weights without kto":            {func(o *Options) { o.UndesirableWeight = 2 }, "undesirable_weight"},
		"labels' weights with kto":               {func(o *Options) { o.LossType, o.DesirableWeight = []string{"kto"}, 2 }, ""},
		"no weight for either label":             {func(o *Options) { o.LossType, o.DesirableWeight, o.UndesirableWeight = []string{"kto"}, 0, 0 }, "desirable_weight"},
		"a weight for one label alone":           {func(o *Options) { o.LossType, o.DesirableWeight = []string{"kto"}, 0 }, ""},
		"the cross-entropy on top of orpo's own": {func(o *Options) { o.LossType, o.SFTWeight = []string{"orpo"}, 1 }, "sft_weight"},
		"the cross-entropy on top of a reward":   {func(o *Options) { o.SFTWeight = 1 }, ""},
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
