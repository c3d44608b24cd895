package train

import "testing"

func TestBytesAreReadWithUnitsAndWrittenBackExactly(t *testing.T) {
	for text, want := range map[string]Bytes{
		"": 0, "0": 0, "123": 123, "8GiB": 8 << 30, "1.5 GiB": 3 << 29, "512MiB": 512 << 20, "16GB": 16e9, "3kB": 3000, "7B": 7,
		"9007199254740993": 1<<53 + 1, " 2TiB ": 2 << 40,
	} {
		var b, again Bytes
		if err := b.UnmarshalText([]byte(text)); err != nil || b != want {
			t.Errorf("%q is %d (%v), want %d", text, b, err, want)
		}
		if err := again.UnmarshalText([]byte(b.String())); err != nil || again != b {
			t.Errorf("%d is written as %q, which reads as %d (%v)", b, b, again, err)
		}
	}
	for _, text := range []string{"-1", "GiB", "8 apples", "nan", "inf", "1e30", "9223372036854775807TiB", "8gib"} {
		var b Bytes
		if err := b.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q reads as %d, want an error", text, b)
		}
	}
}

// falling sets how the learning rate falls.
func falling(scheduler string, least, decay float64) func(*Options) {
	return func(o *Options) { o.LRSchedulerType, o.MinLRRatio, o.DecayRatio = scheduler, least, decay }
}

func TestOptionsAreCheckedAgainstEachOther(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Options)
		key    string
	}{
		"the defaults are fine": {func(*Options) {}, ""},
		"both warm-ups":         {func(o *Options) { o.WarmupSteps = 3 }, "warmup_steps"},
		"a warm-up longer than the run": {
			func(o *Options) { o.WarmupRatio, o.WarmupSteps, o.MaxSteps = 0, 3, 2 }, "warmup_steps",
		},
		"a warm-up as long as the run may be": {
			func(o *Options) { o.WarmupRatio, o.WarmupSteps, o.MaxSteps = 0, 3, 3 }, "",
		},
		"a least rate": {falling(cosineWithMinLR, 0.2, 0.1), ""},
		"a least rate that the scheduler does not read": {falling("cosine", 0.2, 0.1), "min_lr_ratio"},
		"a decay": {falling(warmupStableDecay, 0.1, 0.2), ""},
		"a decay that the scheduler does not read":     {falling(cosineWithMinLR, 0.1, 0.2), "decay_ratio"},
		"a decay behind the warm-up, to the last step": {falling(warmupStableDecay, 0.1, 0.97), ""},
		"a decay and a warm-up of more than the run":   {falling(warmupStableDecay, 0.1, 0.98), "decay_ratio"},
		"a decay and steps of warm-up, more than the run": {
			func(o *Options) {
				falling(warmupStableDecay, 0.1, 0.5)(o)
				o.WarmupRatio, o.WarmupSteps, o.MaxSteps = 0, 6, 11
			}, "decay_ratio"},
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

func TestTheWarmUpIsRoundedUpToWholeSteps(t *testing.T) {
	o := Default() // 3 %
	if s := o.schedule(101); s.Warmup != 4 || s.Total != 101 || s.Type != "cosine" || s.Peak != 1e-5 {
		t.Errorf("got %+v, want 4 steps of 101", s)
	}
	o.WarmupSteps = 7
	if s := o.schedule(101); s.Warmup != 7 {
		t.Errorf("got %d steps, want warmup_steps", s.Warmup)
	}
}
