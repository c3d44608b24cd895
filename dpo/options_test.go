package dpo

import "testing"

func TestOptionsAreCheckedAgainstEachOther(t *testing.T) {
	of := func(names ...string) []string { return names }
	weightless := func(o *Options) { o.DesirableWeight, o.UndesirableWeight = 0, 0 }
	for name, c := range map[string]struct {
		losses []string
		change func(*Options) // of the defaults; may be nil
		key    string         // that the problem is told of; "" where there is none
	}{
		"the defaults are fine":                  {of("sigmoid"), nil, ""},
		"no loss at all":                         {of(), nil, "loss_type"},
		"an unknown loss":                        {of("sft"), nil, "loss_type"},
		"a loss twice":                           {of("sigmoid", "ipo", "sigmoid"), nil, "loss_type"},
		"a mix without weights":                  {of("sigmoid", "ipo"), nil, ""},
		"a mix with its weights":                 {of("sigmoid", "ipo"), func(o *Options) { o.LossWeights = []float64{1, 2} }, ""},
		"a mix with a weight too few":            {of("sigmoid", "ipo"), func(o *Options) { o.LossWeights = []float64{1} }, "loss_weights"},
		"labelled answers mixed with pairs":      {of("kto", "sigmoid"), nil, "loss_type"},
		"a margin without simpo":                 {of("sigmoid"), func(o *Options) { o.SimPOGamma = 1 }, "simpo_gamma"},
		"a margin with simpo":                    {of("simpo"), func(o *Options) { o.SimPOGamma = 1 }, ""},
		"simpo without a reference":              {of("simpo"), func(o *Options) { o.Reference = "none" }, ""},
		"sigmoid without a reference":            {of("sigmoid"), func(o *Options) { o.Reference = "none" }, "reference"},
		"a mix that needs a reference":           {of("simpo", "ipo"), func(o *Options) { o.Reference = "none" }, "reference"},
		"kto without a reference":                {of("kto"), func(o *Options) { o.Reference = "none" }, "reference"},
		"an empty reference":                     {of("sigmoid"), func(o *Options) { o.Reference = "" }, "reference"},
		"smoothing where there is none":          {of("hinge"), func(o *Options) { o.LabelSmoothing = 0.1 }, "label_smoothing"},
		"smoothing with sigmoid is cDPO":         {of("sigmoid"), func(o *Options) { o.LabelSmoothing = 0.1 }, ""},
		"smoothing that one of a mix has":        {of("hinge", "robust"), func(o *Options) { o.LabelSmoothing = 0.1 }, ""},
		"damping with sigmoid is LD-DPO":         {of("sigmoid"), func(o *Options) { o.LDAlpha = 0.5 }, ""},
		"damping where nothing is compared":      {of("simpo"), func(o *Options) { o.LDAlpha = 0.5 }, "ld_alpha"},
		"damping of labelled answers":            {of("kto"), func(o *Options) { o.LDAlpha = 0.5 }, "ld_alpha"},
		"a penalty without dpop":                 {of("sigmoid"), func(o *Options) { o.DPOPLambda = 5 }, "dpop_lambda"},
		"rdpo with nothing for length":           {of("rdpo"), nil, "rdpo_alpha"},
		"a weight of length without rdpo":        {of("sigmoid"), func(o *Options) { o.RDPOAlpha = 0.1 }, "rdpo_alpha"},
		"rdpo that favours length":               {of("rdpo"), func(o *Options) { o.RDPOAlpha = -0.01 }, ""},
		"labels' weights without kto":            {of("sigmoid"), func(o *Options) { o.UndesirableWeight = 2 }, "undesirable_weight"},
		"labels' weights with kto":               {of("kto"), func(o *Options) { o.DesirableWeight = 2 }, ""},
		"no weight for either label":             {of("kto"), weightless, "desirable_weight"},
		"a weight for one label alone":           {of("kto"), func(o *Options) { o.DesirableWeight = 0 }, ""},
		"the cross-entropy on top of orpo's own": {of("orpo"), func(o *Options) { o.SFTWeight = 1 }, "sft_weight"},
		"the cross-entropy on top of a reward":   {of("sigmoid"), func(o *Options) { o.SFTWeight = 1 }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := Default()
			o.LossType = c.losses
			if c.change != nil {
				c.change(&o)
			}
			bad := o.Validate()
			if c.key == "" && bad != nil || c.key != "" && (len(bad) != 1 || bad[c.key] == "") {
				t.Errorf("got %v, want a problem of %q", bad, c.key)
			}
		})
	}
}
