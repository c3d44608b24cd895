package train

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
)

// testdata/schedules/golden.py made the rates by transformers' schedulers.
func TestRatesAreThoseOfTransformersSchedulers(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("testdata", "schedules", "rates.json"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Type                 string
		Warmup, Total, Decay int
		Least                float64
		Rates                []float64
	}
	if err := json.Unmarshal(raw, &cases); err != nil || len(cases) != 9 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
	for _, c := range cases {
		t.Run(fmt.Sprintf("%s of %d steps, %d of them warm-up", c.Type, c.Total, c.Warmup), func(t *testing.T) {
			s := Schedule{Type: c.Type, Peak: 2e-5, Warmup: c.Warmup, Total: c.Total, Least: c.Least, Decay: c.Decay}
			if len(c.Rates) != c.Total {
				t.Fatalf("%d rates", len(c.Rates))
			}
			for i, want := range c.Rates {
				if got := s.At(i + 1); math.Abs(got-want) > 2e-5*1e-14 {
					t.Errorf("update %d has a rate of %v, want %v", i+1, got, want)
				}
			}
		})
	}
}

func TestSchedulesHaveTheirClosedForms(t *testing.T) {
	o := Default()
	o.LearningRate, o.WarmupRatio, o.WarmupSteps = 3e-4, 0, 10
	for _, c := range []struct {
		name  string
		kind  string
		step  int // of 110
		share float64
	}{
		{"half of the warm-up has half of the peak", cosineWithMinLR, 6, 0.5},
		{"the warm-up ends at the peak", cosineWithMinLR, 11, 1},
		{"half of the way down is the mean of the peak and the least rate", cosineWithMinLR, 61, 0.6},
		{"three quarters of the way down", cosineWithMinLR, 86, 0.2 + 0.8*(1-math.Sqrt2/2)/2},
		{"the rate behind the last step is the least one", cosineWithMinLR, 111, 0.2},
		{"the peak holds", warmupStableDecay, 50, 1},
		{"the peak holds up to the decay, which is rounded up to 28 steps", warmupStableDecay, 83, 1},
		{"the first step of the decay falls by a root of what it is of them", warmupStableDecay, 84, 1 - math.Sqrt(1.0/28)},
		{"a quarter of the way down half is left", warmupStableDecay, 90, 0.5},
		{"nothing is left behind the last step", warmupStableDecay, 111, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			o.LRSchedulerType, o.MinLRRatio, o.DecayRatio = c.kind, 0.2, 0.25
			if got, want := o.schedule(110).At(c.step), 3e-4*c.share; math.Abs(got-want) > 1e-18 {
				t.Errorf("update %d has a rate of %v, want %v", c.step, got, want)
			}
		})
	}
}

func TestADecayHasWhatTheWarmUpLeaves(t *testing.T) {
	o := Default()
	o.LRSchedulerType = warmupStableDecay
	for total := range 40 {
		for _, decay := range []float64{0.01, 0.5, 0.97} {
			o.DecayRatio = decay
			s := o.schedule(total)
			if s.Decay < 0 || s.Warmup+s.Decay > max(total, s.Warmup) {
				t.Errorf("%d steps: %d of warm-up and %d of decay", total, s.Warmup, s.Decay)
			}
			last := math.Inf(1)
			for step := s.Warmup + 1; step <= total; step++ {
				rate := s.At(step)
				if !(rate > 0) || rate > last || rate > s.Peak {
					t.Errorf("%d steps: update %d has a rate of %v after %v", total, step, rate, last)
				}
				last = rate
			}
		}
	}
}
