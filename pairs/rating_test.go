package pairs

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"lwtrain/data/record"
)

func at(v float64) *float64 { return &v }

func TestTheScoreIsTheWeightedMeanOfWhatIsWanted(t *testing.T) {
	all := Default()
	all.Judge.URL, all.Command, all.JudgeWeight, all.CommandWeight = "http://judge", []string{"rm"}, 2, 5
	alone := Default()
	quiet := Default()
	quiet.LengthWeight, quiet.Judge.URL = 0, "http://judge"
	lengths, shape, asks := Default(), Default(), record.Prompt{Required: 100}
	lengths.LengthWeight, shape.RepetitionWeight, shape.EndWeight = 0, 0.5, 2
	for name, c := range map[string]struct {
		options Options
		rating  Rating
		prompt  record.Prompt
		want    *float64
	}{
		"of all three": {
			all, Rating{Length: at(80), Quality: at(50), Command: at(0.8)}, asks, at((80 + 2*50 + 5*0.8) / 8),
		},
		"of two where no length is asked for":     {all, Rating{Quality: at(50), Command: at(1)}, record.Prompt{}, at((2*50 + 5*1) / 7.0)},
		"of the length alone":                     {alone, Rating{Length: at(80)}, asks, at(80)},
		"none, where the judge could not be read": {all, Rating{Length: at(80), Command: at(1)}, asks, nil},
		"none, where nothing is wanted":           {alone, Rating{}, record.Prompt{}, nil},
		"the judge's, where length has no weight": {quiet, Rating{Length: at(80), Quality: at(40)}, asks, at(40)},
		"of the range, where there is one":        {alone, Rating{Range: at(60)}, record.Prompt{Least: 5, Most: 9}, at(60)},
		"none, where the range has no weight":     {lengths, Rating{Range: at(60)}, record.Prompt{Most: 9}, nil},
		"of length, repetition and end": {
			shape, Rating{Length: at(80), New: at(90), End: at(0)}, asks, at((80 + 0.5*90 + 2*0) / 3.5),
		},
		"of repetition and end alone, where no length is asked for": {
			shape, Rating{New: at(90), End: at(100)}, record.Prompt{}, at((0.5*90 + 2*100) / 2.5),
		},
	} {
		got := c.options.total(c.rating, c.prompt)
		if (got == nil) != (c.want == nil) || got != nil && math.Abs(*got-*c.want) > 1e-12 {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

func TestWhatNobodyHasToBeAskedFor(t *testing.T) {
	o := Default()
	o.RepetitionWeight, o.EndWeight = 1, 1
	again := strings.Repeat("the same eight words come again and again ", 200)
	for name, c := range map[string]struct {
		candidate   Candidate
		limit       int
		length, rng *float64
		least, most float64 // of the repetition's score
		end         float64
	}{
		"one of the length that ended":           {Candidate{Required: 100, Words: 100, Stop: "eos"}, 0, at(100), nil, 100, 100, 100},
		"one of half the range that was cut off": {Candidate{Least: 50, Most: 80, Words: 25, Stop: "length"}, 0, nil, at(50), 100, 100, 0},
		"one half way to twice the range":        {Candidate{Most: 80, Words: 120, Stop: "eos"}, 0, nil, at(50), 100, 100, 100},
		"one half way to a limit that is said":   {Candidate{Most: 80, Words: 180, Stop: "eos"}, 280, nil, at(50), 100, 100, 100},
		"one that says the same over":            {Candidate{Words: 1600, Answer: again, Stop: "length"}, 0, nil, nil, 0, 1, 0},
	} {
		o.RangeLimit = c.limit
		o.rate(&c.candidate)
		same := func(a, b *float64) bool { return (a == nil) == (b == nil) && (a == nil || math.Abs(*a-*b) < 1e-9) }
		r := c.candidate.Rating
		if !same(r.Length, c.length) || !same(r.Range, c.rng) || *r.New < c.least || *r.New > c.most || *r.End != c.end {
			t.Errorf("%s: length %v, range %v, repetition %g, end %g", name, r.Length, r.Range, *r.New, *r.End)
		}
	}
}

func TestWhichAnswersMakeAPair(t *testing.T) {
	answer := func(text string, score float64, stop string) Candidate {
		return Candidate{Answer: text, Words: len(text), Stop: stop, Rating: Rating{Total: at(score)}}
	}
	unrated := Candidate{Answer: "x", Words: 1, Stop: "eos"}
	for name, c := range map[string]struct {
		candidates  []Candidate
		rejected    string
		margin      float64
		chosen, not string // not: the rejected one, "" any
		reason      string
	}{
		"the best and the worst": {
			[]Candidate{answer("a", 1, "eos"), answer("b", 9, "eos"), answer("c", 0, "eos")}, "worst", 0, "b", "c", "",
		},
		"the best and any other": {
			[]Candidate{answer("a", 1, "eos"), answer("b", 9, "eos"), answer("c", 0, "eos")}, "random", 0, "b", "", "",
		},
		"the first of two that are best, and a tie": {
			[]Candidate{answer("a", 9, "eos"), answer("b", 9, "eos")}, "worst", 0, "", "", "tie",
		},
		"a difference that is not enough": {
			[]Candidate{answer("a", 9, "eos"), answer("b", 5, "eos")}, "worst", 4, "", "", "tie",
		},
		"the same text with two scores": {
			[]Candidate{answer("a", 9, "eos"), answer("a", 5, "eos")}, "worst", 0, "", "", "tie",
		},
		"one that was cut off is rejected, not chosen": {
			[]Candidate{answer("a", 9, "length"), answer("b", 5, "eos"), answer("c", 1, "length")}, "worst", 0, "b", "c", "",
		},
		"all are cut off": {
			[]Candidate{answer("a", 9, "length"), answer("b", 5, "length")}, "worst", 0, "", "", "cut_off",
		},
		"an empty answer is none": {
			[]Candidate{answer("a", 9, "eos"), answer("", 0, "eos")}, "worst", 0, "", "", "empty_answers",
		},
		"one without a score is none": {[]Candidate{answer("a", 9, "eos"), unrated}, "worst", 0, "", "", "not_rated"},
	} {
		t.Run(name, func(t *testing.T) {
			o := Default()
			o.Rejected, o.MinMargin = c.rejected, c.margin
			for seed := range uint64(20) {
				chosen, rejected, reason := o.choose(c.candidates, rand.New(rand.NewPCG(seed, 0)))
				if reason != c.reason {
					t.Fatalf("got %q, want %q", reason, c.reason)
				}
				if reason == "" && (chosen.Answer != c.chosen || c.not != "" && rejected.Answer != c.not || rejected.Answer == c.chosen) {
					t.Fatalf("chose %q against %q", chosen.Answer, rejected.Answer)
				}
			}
		})
	}
}

func TestAnyOfTheRestIsRejectedAboutAsOften(t *testing.T) {
	o := Default()
	samples := []Candidate{{Answer: "best", Words: 1, Rating: Rating{Total: at(9)}}}
	for _, text := range []string{"a", "b", "c"} {
		samples = append(samples, Candidate{Answer: text, Words: 1, Rating: Rating{Total: at(1)}})
	}
	r, n := rand.New(rand.NewPCG(1, 1)), map[string]int{}
	for range 3000 {
		_, rejected, _ := o.choose(samples, r)
		n[rejected.Answer]++
	}
	for _, text := range []string{"a", "b", "c"} {
		if n[text] < 900 || n[text] > 1100 { // 1000 +- 4 standard deviations
			t.Errorf("%v", n)
		}
	}
}
