package show

import (
	"strings"
	"testing"

	"lwtrain/data"
)

func TestWhatIsNotUsedIsCountedInTheUnitOfWhatIs(t *testing.T) {
	for name, c := range map[string]struct {
		s    data.SourceStats
		want string
	}{
		"samples that are split": {data.SourceStats{Samples: 10, Cut: 2, Pieces: 39},
			"longer than data.max_length: 2 samples cut into 31 pieces"},
		"a sample that is cut short": {data.SourceStats{Samples: 3, Cut: 1, Pieces: 3, LostTokens: 1200},
			"longer than data.max_length: 1 sample cut into 1 piece; 1,200 tokens lost to data.max_length"},
		"records": {data.SourceStats{Samples: 3, Pieces: 3, Dropped: map[string]int{"too_long": 2, "no_target": 1}},
			"dropped: no_target 1, too_long 2"},
		"pairs": {data.SourceStats{Samples: 6, Pairs: 3, Pieces: 6, Dropped: map[string]int{"too_long": 2}}, "pairs dropped: too_long 2"},
		"labelled answers that make pairs": {
			data.SourceStats{Samples: 6, Pairs: 3, Pieces: 6, Dropped: map[string]int{"equal_answers": 1, "no_counterpart": 4}},
			"labelled answers dropped: no_counterpart 4; pairs dropped: equal_answers 1"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := strings.Join(dropNotes(c.s), "; "); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// lengths are those of some answers.
func lengths(n int64) *data.Lengths { return &data.Lengths{P50: n, Max: n, Histogram: []int64{0, n}} }

func TestStatisticsOfPairsSpeakOfPairsAndOfBothSides(t *testing.T) {
	side := func(answers int, words int64) data.Side {
		return data.Side{Answers: answers, OutputWords: lengths(words), OutputTokens: lengths(2 * words),
			Required: &data.Required{Samples: 2, Score: 80}}
	}
	one := data.TextStats{SourceStats: data.SourceStats{
		Name: "a", Samples: 14, Pairs: 7, HeldOut: 4, Pieces: 14, Dropped: map[string]int{"too_long": 3},
		Chosen: side(7, 61), Rejected: side(7, 89),
		Epoch: data.Epoch{Samples: 20},
	}, Duplicates: 1}
	two := one
	two.Name = "b"
	mix := data.TextStats{SourceStats: data.SourceStats{
		Name: "mix", Samples: 28, Pairs: 14, HeldOut: 8, Pieces: 28, Dropped: map[string]int{"too_long": 6},
		Chosen: side(14, 61), Rejected: side(14, 89),
	}, Duplicates: 2, Limits: []data.Limit{{MaxLength: 512, Longer: 3}}}
	var b strings.Builder
	if err := Stats(&b, &data.Stats{Weighting: "token", Sources: []data.TextStats{one, two}, Mix: mix}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"  source  pairs  held out", "       a      7         2 ", "     mix     14         4 ",
		"\na: pairs dropped: too_long 3\n", "\nmix: pairs dropped: too_long 6\n", "a: an epoch has 10 pairs,",
		"words of the chosen answers\n", "words of the rejected answers\n", "target tokens of the rejected answers\n",
		"\npairs by words of the chosen answers\n", "2 answers equal to an earlier one",
		"chosen: 2 prompts state a length", "rejected: 2 prompts state a length", "512: 3 answers longer",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, b.String())
		}
	}
	for _, not := range []string{"samples", "weighting"} {
		if strings.Contains(b.String(), not) {
			t.Errorf("it speaks of %s", not)
		}
	}
}
