package packing

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// slowBestFit is best fit decreasing as one would say it: look at every pack.
func slowBestFit(capacity int, lengths []int32) (rooms []int) {
	sorted := slices.Clone(lengths)
	slices.SortFunc(sorted, func(a, b int32) int { return cmp.Compare(b, a) })
	for _, n := range sorted {
		n, best := int(n), -1
		for i, room := range rooms {
			if room >= n && (best < 0 || room < rooms[best]) {
				best = i
			}
		}
		if best < 0 {
			best, rooms = len(rooms), append(rooms, capacity)
		}
		rooms[best] -= n
	}
	slices.Sort(rooms)
	return rooms
}

// slowFirstFit looks at the packs in their order.
func slowFirstFit(capacity int, lengths []int32) (rooms []int) {
	for _, n := range lengths {
		n := int(n)
		at := slices.IndexFunc(rooms, func(room int) bool { return room >= n })
		if at < 0 {
			at, rooms = len(rooms), append(rooms, capacity)
		}
		rooms[at] -= n
	}
	slices.Sort(rooms)
	return rooms
}

func roomsOf(packs [][]int32, capacity int, lengths []int32) (rooms []int) {
	for _, p := range packs {
		room := capacity
		for _, i := range p {
			room -= int(lengths[i])
		}
		rooms = append(rooms, room)
	}
	slices.Sort(rooms)
	return rooms
}

func TestPacksHoldEverySampleOnceAndOverflowNoPack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		capacity := rapid.IntRange(1, 5000).Draw(t, "capacity")
		lengths := rapid.SliceOfN(rapid.Int32Range(1, int32(capacity)), 0, 300).Draw(t, "lengths")
		for _, strategy := range Strategies() {
			packs, err := Assign(strategy, capacity, lengths)
			if err != nil {
				t.Fatal(err)
			}
			seen := make([]int, len(lengths))
			for _, p := range packs {
				if len(p) == 0 {
					t.Fatalf("%s: an empty pack", strategy)
				}
				for _, i := range p {
					seen[i]++
				}
			}
			for i, n := range seen {
				if n != 1 {
					t.Fatalf("%s: sample %d lies in %d packs", strategy, i, n)
				}
			}
			rooms := roomsOf(packs, capacity, lengths)
			if len(rooms) > 0 && rooms[0] < 0 {
				t.Fatalf("%s: a pack overflows by %d", strategy, -rooms[0])
			}
			slow, ok := map[string]func(int, []int32) []int{
				BestFit: slowBestFit, "histogram": slowBestFit, "hbp": slowBestFit, "first_fit": slowFirstFit,
			}[strategy]
			if !ok {
				continue
			}
			if want := slow(capacity, lengths); !slices.Equal(rooms, want) {
				t.Fatalf("%s: rooms left %v, the search through all packs leaves %v", strategy, rooms, want)
			}
		}
	})
}

func TestEachPackerPacksAsItsRuleSays(t *testing.T) {
	for _, c := range []struct{ name, strategy, want string }{
		{"next fit keeps the order and closes a pack for good", "next_fit", "[[0] [1 2 3] [4 5] [6]]"},
		{"first fit keeps the order and fills the first pack with room", "first_fit", "[[0 2] [1 3 5 6] [4]]"},
		{"best fit goes from the longest to the least room", BestFit, "[[4 3] [0 2] [1 5 6]]"},
		{"a histogram puts all of a length at once", "histogram", "[[2 0] [3 4] [5 6 1]]"},
		{"sorted closes packs from the longest on", "sorted", "[[4] [0] [1 2 3] [5 6]]"},
		{"hbp sorts best fit's packs by the squares of lengths", "hbp", "[[4 3] [0 2] [1 5 6]]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Assign(c.strategy, 10, []int32{6, 5, 4, 1, 9, 1, 1})
			if err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(got) != c.want {
				t.Errorf("got %v, want %s", got, c.want)
			}
		})
	}
}

func TestSamplesThatFitIntoNoPackAreRefused(t *testing.T) {
	for _, c := range []struct {
		name, strategy string
		lengths        []int32
		want           string
	}{
		{"a sample longer than a pack", "next_fit", []int32{3, 11}, "sample 1 has 11 tokens, want 1 to 10"},
		{"an empty sample", "best_fit_decreasing", []int32{0}, "sample 0 has 0 tokens"},
		{"an unknown strategy", "worst_fit", nil, `packing strategy "worst_fit"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := Assign(c.strategy, 10, c.lengths); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestAnEpochIsAFunctionOfSeedAndNumberAndHoldsEverySample(t *testing.T) {
	lengths := make([]int32, 200)
	for i := range lengths {
		lengths[i] = int32(1 + i*i%97)
	}
	for _, strategy := range Strategies() {
		opt := Options{Capacity: 128, Strategy: strategy}
		epoch := func(seed uint64, n int) [][]int32 {
			packs, err := Epoch(opt, lengths, 4, seed, n)
			if err != nil {
				t.Fatal(err)
			}
			all := slices.Sorted(slices.Values(slices.Concat(packs...)))
			for i := range lengths {
				if len(all) != len(lengths) || int(all[i]) != i {
					t.Fatalf("%s: epoch %d holds %d samples, or not each once", strategy, n, len(all))
				}
			}
			return packs
		}
		first := epoch(1, 0)
		if fmt.Sprint(first) != fmt.Sprint(epoch(1, 0)) {
			t.Errorf("%s: the same seed and epoch gave other packs", strategy)
		}
		for _, other := range [][][]int32{epoch(1, 1), epoch(2, 0)} {
			if fmt.Sprint(first) == fmt.Sprint(other) {
				t.Errorf("%s: another seed or epoch gave the same packs", strategy)
			}
			if !opt.PacksVary() && len(other) != len(first) {
				t.Errorf("%s: %d packs in one epoch, %d in another", strategy, len(first), len(other))
			}
		}
	}
}

// doc is a document of n tokens whose last targets tokens are targets.
func doc(n, targets int, factor float64) Doc {
	d := Doc{IDs: make([]int32, n), Factor: factor}
	for i := range d.IDs {
		d.IDs[i] = int32(100*n + i)
	}
	if targets > 0 {
		d.Target = [][2]int32{{int32(n - targets), int32(n)}}
	}
	return d
}

func TestALaidPackPredictsEachTargetFromTheTokenBeforeItInItsOwnDocument(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var docs []Doc
		total := 0
		for range rapid.IntRange(1, 6).Draw(t, "documents") {
			n := rapid.IntRange(1, 20).Draw(t, "n")
			d := doc(n, 0, 1)
			for at := 0; at < n; {
				from := rapid.IntRange(at, n-1).Draw(t, "from")
				to := rapid.IntRange(from+1, n).Draw(t, "to")
				d.Target = append(d.Target, [2]int32{int32(from), int32(to)})
				at = to + 1
			}
			docs, total = append(docs, d), total+n
		}
		capacity := total + rapid.IntRange(0, 10).Draw(t, "padding")
		p, err := Lay(capacity, docs, "token")
		if err != nil {
			t.Fatal(err)
		}
		at, targets := 0, 0
		for _, d := range docs {
			is := make([]bool, len(d.IDs)+1)
			for _, span := range d.Target {
				for k := span[0]; k < span[1]; k++ {
					is[k] = true
				}
			}
			for k := range d.IDs {
				want, weight := int32(-1), float32(0)
				if is[k+1] {
					want, weight = d.IDs[k+1], 1
					targets++
				}
				if p.IDs[at+k] != d.IDs[k] || p.Targets[at+k] != want || p.Weights[at+k] != weight ||
					p.Starts[at+k] != int32(at) || p.Positions[at+k] != int32(k) {
					t.Fatalf("index %d: id %d, target %d, weight %g, start %d, position %d; want %d, %d, %g, %d, %d", at+k,
						p.IDs[at+k], p.Targets[at+k], p.Weights[at+k], p.Starts[at+k], p.Positions[at+k], d.IDs[k], want, weight, at, k)
				}
			}
			at += len(d.IDs)
		}
		for k := at; k < capacity; k++ {
			if p.Targets[k] != -1 || p.Weights[k] != 0 || p.Starts[k] != int32(k) || p.Positions[k] != 0 {
				t.Fatalf("padding at %d: target %d, weight %g, start %d", k, p.Targets[k], p.Weights[k], p.Starts[k])
			}
		}
		if p.Tokens != total || p.TargetTokens != targets || p.Divisor != float64(targets) || p.Documents != len(docs) {
			t.Fatalf("%d tokens, %d targets, divisor %g, %d documents; want %d, %d, %d, %d",
				p.Tokens, p.TargetTokens, p.Divisor, p.Documents, total, targets, targets, len(docs))
		}
	})
}

func TestPacksThatAreHandedOverTogetherShareNoMemory(t *testing.T) {
	a, err := Lay(16, []Doc{doc(9, 4, 1)}, "token")
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprint(a)
	if _, err := Lay(16, []Doc{doc(5, 2, 0.5), doc(7, 7, 2)}, "sequence"); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(a); got != want {
		t.Errorf("laying another pack turned %s into %s", want, got)
	}
}

func TestDocumentsThatCanNotBeLaidAreRefused(t *testing.T) {
	for _, c := range []struct {
		name, weighting, want string
		docs                  []Doc
	}{
		{"more than a pack holds", "token", "ends at token 17, want at most the capacity 16", []Doc{doc(9, 1, 1), doc(8, 1, 1)}},
		{"an unknown weighting", "words", `weighting "words"`, []Doc{doc(3, 1, 1)}},
		{"an empty document", "token", "no tokens", []Doc{{}}},
		{"a branch of nothing", "token", "goes on from token 1 of one of 0 tokens", []Doc{{IDs: []int32{1}, Shared: 2}}},
		{"a branch of another text", "token", "goes on from token 1 of one of 3", []Doc{doc(3, 0, 1), {IDs: []int32{7}, Shared: 2}}},
		{"a target outside", "token", "[1, 4) after token 0", []Doc{{IDs: []int32{1, 2, 3}, Target: [][2]int32{{1, 4}}}}},
		{"targets out of order", "token", "[0, 2) after token 3", []Doc{{IDs: []int32{1, 2, 3}, Target: [][2]int32{{2, 3}, {0, 2}}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := Lay(16, c.docs, c.weighting); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

// TestWeightingsAreTheirClosedForms takes a second step of two packs with made-up
// cross-entropies and compares sum(w l) / sum(divisor) with the formula of each
// weighting written out over documents. The step before it had 100 targets.
func TestWeightingsAreTheirClosedForms(t *testing.T) {
	packs := [][]Doc{
		{doc(40, 30, 1)},
		{doc(8, 5, 2), doc(9, 3, 1), doc(4, 0, 1), doc(7, 6, 0.5)}, // one without targets
	}
	packs[0][0].Target = [][2]int32{{2, 12}, {20, 40}} // two answers
	ce := func(id int32) float64 { return 1 + math.Sin(float64(id)) }
	// Of each document: f, N and l.
	f := func(p, d int) float64 { return packs[p][d].Factor }
	n := func(p, d int) float64 { return packs[p][d].units(false)[0].targets }
	l := func(p, d int) (sum float64) {
		doc := packs[p][d]
		for _, t := range doc.Target {
			for k := t[0]; k < t[1]; k++ {
				sum += ce(doc.IDs[k])
			}
		}
		return sum
	}
	answer := func(from, to int) (sum float64) { // of the first document
		for _, id := range packs[0][0].IDs[from:to] {
			sum += ce(id)
		}
		return sum
	}
	dft := func(p, d int) (sum float64) { // l with each cross-entropy c times e^-c
		doc := packs[p][d]
		for _, t := range doc.Target {
			for k := t[0]; k < t[1]; k++ {
				sum += math.Exp(-ce(doc.IDs[k])) * ce(doc.IDs[k])
			}
		}
		return sum
	}
	mean := func(p int) float64 { // of a pack, over its target tokens
		var a, b float64
		for d := range packs[p] {
			a, b = a+f(p, d)*l(p, d), b+f(p, d)*n(p, d)
		}
		return a / b
	}
	sum := 1*l(0, 0) + 2*l(1, 0) + 1*l(1, 1) + 0.5*l(1, 3)
	want := map[string]float64{
		"token":     sum / (1*30 + 2*5 + 1*3 + 0.5*6),
		"ave_token": (l(0, 0)/(46./2) + (2*l(1, 0)+l(1, 1)+0.5*l(1, 3))/(46./2)) / 2,
		"long_ce":   sum / ((0.9*100 + 46) / (0.9*1 + 1)),
		"message":   (answer(2, 12)/10 + answer(20, 40)/20 + 2*l(1, 0)/5 + l(1, 1)/3 + 0.5*l(1, 3)/6) / (1 + 1 + 2 + 1 + 0.5),
		"length": (l(0, 0)/math.Sqrt(30) + 2*l(1, 0)/math.Sqrt(5) + l(1, 1)/math.Sqrt(3) + 0.5*l(1, 3)/math.Sqrt(6)) /
			(math.Sqrt(30) + 2*math.Sqrt(5) + math.Sqrt(3) + 0.5*math.Sqrt(6)),
		"dft":        (dft(0, 0) + 2*dft(1, 0) + dft(1, 1) + 0.5*dft(1, 3)) / 46,
		"sequence":   (1*l(0, 0)/30 + 2*l(1, 0)/5 + 1*l(1, 1)/3 + 0.5*l(1, 3)/6) / (1 + 2 + 1 + 0.5),
		"pack":       (mean(0) + mean(1)) / 2,
		"longwriter": (1./30*mean(0) + 3./30*mean(1)) / 2,
	}
	for _, weighting := range Weightings() {
		want, ok := want[weighting]
		if !ok {
			t.Errorf("%s: no closed form", weighting)
		}
		t.Run(weighting, func(t *testing.T) {
			o := Default()
			o.Weighting = weighting
			if got := lossOf(t, o, packs, ce); math.Abs(got-want) > 1e-6*want {
				t.Errorf("loss %.9f, want %.9f", got, want)
			}
		})
	}
	for _, c := range []struct {
		name   string
		change func(*Options)
		want   float64
	}{
		{"longwriter with another constant", func(o *Options) {
			o.Weighting, o.LongWriterSequences = "longwriter", 6
		}, 5 * want["longwriter"]},
		{"length at 0 is token", func(o *Options) { o.Weighting, o.LengthPower = "length", 0 }, want["token"]},
		{"length at 1 is sequence", func(o *Options) { o.Weighting, o.LengthPower = "length", 1 }, want["sequence"]},
	} {
		o := Default()
		c.change(&o)
		if got := lossOf(t, o, packs, ce); math.Abs(got-c.want) > 1e-6*c.want {
			t.Errorf("%s: loss %.9f, want %.9f", c.name, got, c.want)
		}
	}
}

// lossOf is that of a second step of packs, after one whose divisors added up to 100, if ce is the
// cross-entropy of a target.
func lossOf(t *testing.T, o Options, packs [][]Doc, ce func(id int32) float64) float64 {
	t.Helper()
	o.Capacity = 64
	var sum, divisor float64
	for k, docs := range packs {
		p, err := o.Lay(docs)
		if err != nil {
			t.Fatal(err)
		}
		nll := make([]float64, len(p.Weights))
		for i, w := range p.Weights {
			if w != 0 {
				nll[i] = ce(p.Targets[i])
			}
		}
		if weigh := o.Weigh(); weigh != nil {
			weigh(k, nll, p.Weights)
		}
		for i, w := range p.Weights {
			sum += float64(w) * nll[i]
		}
		divisor += p.Divisor
	}
	next := o.Divisors()
	next(100)
	return sum / next(divisor)
}

// The case that LongWriter is about: a pack with one answer of 30,000 tokens and a
// pack with 30 answers of 500.
func TestALongAnswersShareDependsOnTheWeighting(t *testing.T) {
	docs := []Carrier{{30000, 1, 1}}
	packs := [][]int32{{0}, nil}
	for i := int32(1); i <= 30; i++ {
		docs = append(docs, Carrier{500, 1, 2})
		packs[1] = append(packs[1], i)
	}
	for _, weighting := range Weightings() {
		want, ok := map[string]float64{
			"pack": 1. / 2, "sequence": 1. / 31, "longwriter": 1. / 31, "message": 1. / 61, "length": 1 / (1 + 30*math.Sqrt(500./30000)),
		}[weighting]
		if !ok {
			want = 2. / 3 // as token
		}
		o := Default()
		o.Weighting = weighting
		got, err := o.Shares(Count(packs, identity[int32](len(docs)), len(docs)), 2, docs)
		if err != nil {
			t.Fatal(err)
		}
		var sum float64
		for _, s := range got {
			sum += s
		}
		if math.Abs(got[0]-want) > 1e-12 || math.Abs(sum-1) > 1e-12 {
			t.Errorf("%s: the long answer carries %.4f of the loss, all carry %.4f; want %.4f and 1", weighting, got[0], sum, want)
		}
	}
}

// Shares are what the weights of laid packs say, whatever the packs, and documents that have the same carrier are counted together.
func TestSharesAreThoseOfTheWeightsOfPacks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := Options{Capacity: 64, LongWriterSequences: 3, LengthPower: 0.3}
		o.Weighting = rapid.SampledFrom(Weightings()).Draw(t, "weighting")
		var docs []Doc
		var carriers []Carrier
		var of []int32 // each document's carrier
		var packs [][]int32
		for range rapid.IntRange(1, 6).Draw(t, "packs") {
			var pack []int32
			for range rapid.IntRange(1, 4).Draw(t, "documents") {
				d := doc(15, 0, rapid.SampledFrom([]float64{0, 0.5, 1, 2}).Draw(t, "factor"))
				n := rapid.IntRange(0, 6).Draw(t, "targets") // of each of two answers
				c := Carrier{Targets: 2 * n, Factor: d.Factor}
				if n > 0 {
					d.Target, c.Answers = [][2]int32{{1, int32(1 + n)}, {8, int32(8 + n)}}, 2
				}
				at := slices.Index(carriers, c)
				if at < 0 {
					at, carriers = len(carriers), append(carriers, c)
				}
				pack, docs, of = append(pack, int32(len(docs))), append(docs, d), append(of, int32(at))
			}
			packs = append(packs, pack)
		}
		perStep := rapid.IntRange(1, 3).Draw(t, "per step")
		got, err := o.Shares(Count(packs, of, len(carriers)), perStep, carriers)
		if err != nil {
			t.Fatal(err)
		}
		want, all := make([]float64, len(carriers)), 0.0
		next := o.Divisors()
		for step := range slices.Chunk(packs, perStep) {
			laid, divisor := make([]Pack, len(step)), 0.0
			for k, p := range step {
				if laid[k], err = o.Lay(at(docs, p)); err != nil {
					t.Fatal(err)
				}
				divisor += laid[k].Divisor
			}
			divisor = next(divisor)
			for k, p := range step {
				for i, d := range p {
					for _, w := range laid[k].Weights[15*i : 15*i+15] {
						if divisor > 0 {
							want[of[d]] += float64(w) / divisor
							all += float64(w) / divisor
						}
					}
				}
			}
		}
		for c := range carriers {
			if all > 0 && math.Abs(got[c]-want[c]/all) > 1e-6 {
				t.Fatalf("%s: documents with %+v carry %g, want %g", o.Weighting, carriers[c], got[c], want[c]/all)
			}
		}
	})
}

func TestAPackWithoutTargetsAddsNothing(t *testing.T) {
	for _, weighting := range Weightings() {
		p, err := Lay(16, []Doc{doc(5, 0, 1), doc(5, 3, 0)}, weighting)
		if err != nil {
			t.Fatal(err)
		}
		if p.Divisor != 0 || p.TargetTokens != 0 || slices.ContainsFunc(p.Weights, func(w float32) bool { return w != 0 }) {
			t.Errorf("%s: divisor %g, weights %v, want none", weighting, p.Divisor, p.Weights)
		}
	}
}
