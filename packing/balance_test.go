package packing

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// longWriterMix are lengths in tokens as those of the data of LongWriter: of every 31
// samples one is long. Of the long answers, four fifths have 2,000 to 10,000 words, evenly, and a
// fifth 10,000 to 32,000, evenly on a logarithmic scale; of the general ones 28 % have over 500
// words and 2 % over 1,000, which makes a log-normal distribution. A word is 1.3
// tokens, a prompt 60, and what is longer than 32,768 is left out.
func longWriterMix(samples int) (lengths []int32) {
	r := rand.New(rand.NewPCG(1, 2))
	for len(lengths) < samples {
		words := math.Exp(5.94 + .471*r.NormFloat64())
		if len(lengths)%31 == 0 {
			if words = 2000 + 8000*r.Float64(); r.IntN(5) == 0 {
				words = 10000 * math.Pow(3.2, r.Float64())
			}
		}
		if n := 60 + int(1.3*words); n <= 32768 {
			lengths = append(lengths, int32(n))
		}
	}
	return lengths
}

func TestHierarchicalBalanceBringsLikeAttentionTogether(t *testing.T) {
	lengths := longWriterMix(186000)
	total := 0
	for _, n := range lengths {
		total += int(n)
	}
	fill := func(packs int) float64 { return float64(total) / float64(packs*32768) }
	balance := func(strategy string) float64 {
		packs, err := Epoch(Options{Capacity: 32768, Strategy: strategy}, lengths, 8, 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		w := AttentionBalance(packs, 8, lengths)
		t.Logf("%s: %d packs, %.2f %% full, attention balance ratio %.4f", strategy, len(packs), 100*fill(len(packs)), w)
		return w
	}
	for _, strategy := range Strategies() {
		balance(strategy)
	}
	if got := balance(BestFit); got < .3 {
		t.Errorf("best fit: %.4f, want at least 0.3: the mix is too even", got)
	}
	if got := balance("hbp"); got >= .01 {
		t.Errorf("hbp: %.4f, want less than 0.01", got)
	}
}

func TestImbalanceIsTheShareOfTheTimeThatIsWaited(t *testing.T) {
	for _, c := range []struct {
		name  string
		packs [][]int32
		want  float64
	}{
		{"the paper's packs of equal tokens: 4 and 8", [][]int32{{1, 1, 1, 1}, {2, 2}}, .25},
		{"equal packs", [][]int32{{3, 4}, {5}}, 0},
		{"one that has nothing to do", [][]int32{{5}, nil}, .5},
		{"nothing at all", [][]int32{nil}, 0},
		{"no packs", nil, 0},
	} {
		var costs []float64
		for _, p := range c.packs {
			costs = append(costs, Attention.Of(p))
		}
		if got := imbalance(costs); got != c.want {
			t.Errorf("%s: %g, want %g", c.name, got, c.want)
		}
	}
	if got := (Cost{Token: 10, Square: 2}).Of([]int32{3, 1}); got != 60 {
		t.Errorf("cost %g, want 10 (3 + 1) + 2 (9 + 1) = 60", got)
	}
}

func TestStepsOfNeighboursHoldPacksBesideEachOther(t *testing.T) {
	for n := range 40 {
		for _, perStep := range []int{1, 3, 8} {
			places := map[int]bool{} // of the step that is short
			for epoch := range 50 {
				order := neighbours.order(n, perStep, 1, epoch)
				if sorted := slices.Sorted(slices.Values(order)); len(order) != n || !slices.Equal(sorted, identity[int](n)) {
					t.Fatalf("%d packs in steps of %d: %v", n, perStep, order)
				}
				for step := range slices.Chunk(order, perStep) {
					if step[len(step)-1]-step[0] != len(step)-1 {
						t.Fatalf("%d packs in steps of %d: the step %v, want neighbours", n, perStep, step)
					}
					places[step[0]] = places[step[0]] || len(step) < perStep
				}
			}
			if n > perStep && n%perStep != 0 && !(places[0] && places[n-n%perStep]) {
				t.Errorf("%d packs in steps of %d: the short step is never cut from both ends", n, perStep)
			}
		}
	}
}

func TestPacksAreDealtByCost(t *testing.T) {
	for _, c := range []struct {
		name  string
		costs []float64
		ranks int
		want  string
	}{
		{"like goes with like", []float64{5, 1, 9, 2, 8, 6}, 2, "[[2 4] [5 0] [3 1]]"},
		{"the last row has gaps", []float64{5, 1, 9}, 2, "[[2 0] [1 -1]]"},
		{"more ranks than packs", []float64{5}, 3, "[[0 -1 -1]]"},
		{"one rank keeps the order", []float64{5, 1, 9}, 1, "[[0] [1] [2]]"},
		{"no packs", nil, 2, "[]"},
	} {
		if got := fmt.Sprint(Deal(c.costs, c.ranks)); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func BenchmarkAMillionSamples(b *testing.B) {
	lengths, total := longWriterMix(1e6), 0
	for _, n := range lengths {
		total += int(n)
	}
	for _, strategy := range Strategies() {
		b.Run(strategy, func(b *testing.B) {
			packs := 0
			for b.Loop() {
				p, err := Assign(strategy, 32768, lengths)
				if err != nil {
					b.Fatal(err)
				}
				packs = len(p)
			}
			b.ReportMetric(100*float64(total)/float64(packs*32768), "%fill")
		})
	}
}

// TestABetterPackerIsAnotherObjectiveForLongWritersCode holds the figures of docs/packing.md: what
// the long answers carry of the loss, were all tokens targets.
func TestABetterPackerIsAnotherObjectiveForLongWritersCode(t *testing.T) {
	lengths := longWriterMix(186000)
	docs := make([]Carrier, len(lengths))
	for i, n := range lengths {
		docs[i] = Carrier{int(n), 1, 1}
	}
	long := map[string]float64{}
	for _, strategy := range Strategies() {
		packs, err := Epoch(Options{Capacity: 32768, Strategy: strategy}, lengths, 8, 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, weighting := range []string{ByToken, "sequence", "longwriter", "pack"} {
			o := Default()
			o.Weighting = weighting
			shares, err := o.Shares(Count(packs, identity[int32](len(docs)), len(docs)), 8, docs)
			if err != nil {
				t.Fatal(err)
			}
			for i, n := range lengths {
				if n >= 60+2600 { // 2,000 words
					long[weighting+" "+strategy] += shares[i]
				}
			}
			t.Logf("%s, %s: %.1f %%", strategy, weighting, 100*long[weighting+" "+strategy])
		}
	}
	if by := long["longwriter next_fit"]; long["longwriter "+BestFit] > by/2 {
		t.Errorf("longwriter: %.3f of the loss with best fit, %.3f with next fit, want less than half", long["longwriter "+BestFit], by)
	}
	for _, strategy := range Strategies()[:4] { // those whose steps are alike
		if d := long["token "+strategy] - long["token "+BestFit]; math.Abs(d) > .02 {
			t.Errorf("token: %s changes the share of the long answers by %.3f", strategy, d)
		}
	}
}
