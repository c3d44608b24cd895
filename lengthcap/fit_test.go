package lengthcap

import (
	"math"
	"slices"
	"strings"
	"testing"

	"lwtrain/experiment"
	"lwtrain/internal/rng"
)

// asMeasured is 50 documents, of which one fits into a pack; 20 fit where they are cut at 60 words.
func asMeasured() measured {
	return measured{
		epochs: map[int]experiment.Epoch{
			60:  {Capacity: 2048, Documents: 50, Steps: 3, Targets: 4_000},
			900: {Capacity: 2048, Documents: 50, Steps: 50, Targets: 50_000},
		},
		small: map[int]experiment.Epoch{60: {Capacity: 128, Documents: 50, Steps: 50, Targets: 4_000}},
		packs: 1, step: 10, read: 10_000, speed: 100, prompts: 40,
	}
}

func TestSizesFollowFromTheHours(t *testing.T) {
	o := experiment.Options{Caps: []int{60, 900}, Seeds: 1, Samples: 1, TargetTokens: 20_000}
	// 20 steps of the longest and 15 of the shortest take 350 s, 20 of the control's small packs 12.5 s; reading 10,000
	// tokens with each of four models 65 s; their answers to a prompt 4,635 tokens, 46 s.
	for _, c := range []struct {
		name    string
		hours   float64
		targets int
		prompts int
		refused string
	}{
		{"all of it where there is time", 2, 20_000, 40, ""},
		{"prompts are made fewer first", 0.5, 20_000, 25, ""},
		{"target tokens once only a few prompts are left", 0.35, 17_500, 16, ""},
		{"nothing that is worth doing fits", 0.1, 0, 0, "and answer 16 prompts take some 14m0s here, and experiment.hours is 0.1"},
	} {
		o.Hours = c.hours
		p := Plan{MaxTokens: 3000, PerWord: 1.25}
		err := asMeasured().fit(o, &p)
		if c.refused != "" {
			if err == nil || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("%s: %v, want %s", c.name, err, c.refused)
			}
			continue
		}
		if err != nil || p.TargetTokens != c.targets || p.Prompts != c.prompts || p.Seconds() > 0.9*3600*c.hours {
			t.Errorf("%s: %d target tokens, %d prompts, %.0f s, %v", c.name, p.TargetTokens, p.Prompts, p.Seconds(), err)
		}
	}
}

func TestAPlanSaysHowLongItTakes(t *testing.T) {
	o := experiment.Options{Caps: []int{60, 900}, Seeds: 1, Samples: 2, TargetTokens: 20_000, Hours: 10}
	p := Plan{MaxTokens: 3000, PerWord: 1.25}
	if err := asMeasured().fit(o, &p); err != nil {
		t.Fatal(err)
	}
	answering := 40 * 2 * (1500 + 2*(1.4*60*1.25+450) + (1.4*900*1.25 + 450)) / 100
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"training", p.Training, 10*(20+15) + 10*20*128/2048.},
		{"reading, a third of the time of training", p.Reading, 4 * 10_000 * 10 / (3 * 2048.)},
		{"answering", p.Answering, answering},
	} {
		if math.Abs(c.got-c.want) > 1e-6*c.want {
			t.Errorf("%s: %.3f s, want %.3f", c.name, c.got, c.want)
		}
	}
}

func TestControlsTakeAsManyStepsAsTheLongest(t *testing.T) {
	o := experiment.Options{Caps: []int{60, 900}, Seeds: 2, Samples: 1, TargetTokens: 20_000, Hours: 10}
	p := Plan{MaxTokens: 3000, PerWord: 1.25}
	if err := asMeasured().fit(o, &p); err != nil {
		t.Fatal(err)
	}
	longest := p.Arms[2]
	for _, a := range p.Arms {
		switch {
		case a.Control && (a.Steps != longest.Steps || a.Answers != longest.Answers || a.Capacity != 128):
			t.Errorf("%+v, beside %+v", a, longest)
		case a.Cap == 60 && !a.Control && (a.Steps != 15 || a.Targets != 20_000 || a.Capacity != 2048):
			t.Errorf("%+v", a)
		}
	}
}

func TestPacksOfAControlHoldAsManyDocuments(t *testing.T) {
	random := rng.New(1, "lengths")
	many := make([]int32, 200)
	for i := range many {
		many[i] = int32(80 + random.IntN(70))
	}
	for _, c := range []struct {
		name    string
		longest experiment.Epoch
		packs   int // of a step
		lengths []int32
		want    int // tokens; 0: any
	}{
		{"one a pack takes the longest document", experiment.Epoch{Documents: 10, Steps: 10}, 1, []int32{90, 70, 70, 80}, 90},
		{"two a pack take two", experiment.Epoch{Documents: 10, Steps: 5}, 1, []int32{90, 90, 90, 90}, 180},
		{"two packs a step, of one each", experiment.Epoch{Documents: 10, Steps: 5}, 2, []int32{90, 90, 90, 90}, 90},
		{"more in a step than there are", experiment.Epoch{Documents: 100, Steps: 1}, 1, []int32{90, 90}, 180},
		{"documents of many lengths", experiment.Epoch{Documents: 200, Steps: 160}, 1, many, 0},
	} {
		whole := experiment.Epoch{Capacity: 2048, Documents: len(c.lengths), Steps: 1, Targets: 500}
		e, err := smaller(whole, c.longest, "best_fit_decreasing", c.packs, c.lengths)
		if err != nil || c.want > 0 && e.Capacity != c.want {
			t.Errorf("%s: %+v, %v, want packs of %d", c.name, e, err, c.want)
		}
		if e.Capacity < int(slices.Max(c.lengths)) || e.Targets != whole.Targets || e.Documents != whole.Documents {
			t.Errorf("%s: %+v", c.name, e)
		}
		ours, theirs := float64(e.Documents)/float64(e.Steps), float64(c.longest.Documents)/float64(c.longest.Steps)
		if ours < min(theirs, float64(e.Documents)) || ours > 1.3*theirs {
			t.Errorf("%s: %.2f documents a step, want %.2f", c.name, ours, theirs)
		}
	}
}
