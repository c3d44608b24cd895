package data

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"lwtrain/chat"
	"lwtrain/data/record"
	"lwtrain/internal/fault"
	"lwtrain/tokenizer"
)

func tryBuild(o Options, run Run) (*Set, error) {
	c, err := tokenizerBytes()
	if err != nil {
		return nil, err
	}
	return Build(context.Background(), o, c, run)
}

func TestASourceGivesWhatItIsAskedFor(t *testing.T) {
	dir := t.TempDir()
	src := write(t, dir, "a", talks(40)...)
	all := build(t, options(dir, src))
	total := int(all.Mix().Tokens)
	for _, c := range []struct {
		name   string
		change func(*Source)
		want   int // samples
		epoch  int
	}{
		{"all", func(*Source) {}, 40, 40},
		{"a number", func(s *Source) { s.Samples = 7 }, 7, 7},
		{"a part", func(s *Source) { s.Fraction = 0.25 }, 10, 10},
		{"twice", func(s *Source) { s.Repeat = 2 }, 40, 80},
		{"two and a half times a part", func(s *Source) { s.Fraction, s.Repeat = 0.25, 2.5 }, 10, 25},
		{"a part of once", func(s *Source) { s.Repeat = 0.5 }, 40, 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := options(dir, src)
			c.change(&o.Sources[0])
			s := build(t, o)
			stats := s.Sources()[0]
			if stats.Samples != c.want || stats.Samples+stats.Undrawn != 40 || len(s.Train()) != c.epoch || stats.Epoch.Samples != c.epoch {
				t.Errorf("%d samples, %d in an epoch, %d said; want %d and %d", stats.Samples, len(s.Train()), stats.Epoch.Samples,
					c.want, c.epoch)
			}
			var tokens int64
			for _, i := range ints(s.Train()) {
				tokens += int64(s.Tokens(i))
			}
			if stats.Epoch.Tokens != tokens || s.Mix().Epoch != stats.Epoch {
				t.Errorf("%d tokens in an epoch, want %d", stats.Epoch.Tokens, tokens)
			}
			if again := build(t, o); !slices.Equal(again.Train(), s.Train()) {
				t.Error("another order the second time")
			}
		})
	}
	for _, budget := range []int{1, total / 2, total - 1, total} {
		o := options(dir, src)
		o.Sources[0].Tokens = budget
		s := build(t, o)
		used := int(s.Mix().Tokens)
		if used > budget || used < budget-total/40*3 || budget == total && s.Len() != 40 {
			t.Errorf("%d tokens of at most %d", used, budget)
		}
	}
	o := options(dir, src)
	o.Sources[0].Tokens = total + 1
	if _, err := tryBuild(o, Run{}); err == nil || !strings.Contains(err.Error(),
		fmt.Sprintf("has %d tokens that can be used, want %d (tokens)", total, total+1)) {
		t.Errorf("more tokens than there are: %v", err)
	}
}

func TestRepeatedSamplesAreNeverHeldOut(t *testing.T) {
	dir := t.TempDir()
	o := options(dir, write(t, dir, "a", talks(20)...))
	o.Sources[0].Repeat, o.HeldOut.Count = 3, 5
	s := build(t, o)
	if len(s.HeldOut()) != 5 || len(s.Train()) != 45 {
		t.Errorf("%d held out and %d to train on, want 5 and 45", len(s.HeldOut()), len(s.Train()))
	}
	for _, i := range s.HeldOut() {
		if slices.Contains(s.Train(), i) {
			t.Errorf("sample %d is both", i)
		}
	}
}

func TestInterleavedSourcesAreDrawnByTheirProbability(t *testing.T) {
	dir := t.TempDir()
	a, b := write(t, dir, "a", talks(400)...), write(t, dir, "b", talks(60)...)
	a.Probability, b.Probability = 0.75, 0.25
	for _, c := range []struct {
		stop string
		full int // the source that ends the epoch
	}{{"first_exhausted", 1}, {"all_exhausted", 0}} {
		t.Run(c.stop, func(t *testing.T) {
			o := options(dir, a, b)
			o.Mix = Mix{"interleave", c.stop}
			s := build(t, o)
			epochs := []int{s.Sources()[0].Epoch.Samples, s.Sources()[1].Epoch.Samples}
			share := float64(epochs[0]) / float64(len(s.Train()))
			if sd := math.Sqrt(0.75 * 0.25 / float64(len(s.Train()))); math.Abs(share-0.75) > 4*sd {
				t.Errorf("%v samples: a share of %.3f, want 0.75 within %.3f", epochs, share, 4*sd)
			}
			if want := s.Sources()[c.full].Samples; epochs[c.full] != want {
				t.Errorf("source %d gives %d samples, want each of its %d once", c.full, epochs[c.full], want)
			}
			last := int(s.Train()[len(s.Train())-1])
			if s.Source(last) != c.full {
				t.Errorf("the last sample is of source %d, want %d", s.Source(last), c.full)
			}
			count := map[int]int{}
			for _, i := range ints(s.Train()) {
				count[i]++
			}
			for i, n := range count {
				if least := epochs[s.Source(i)] / s.Sources()[s.Source(i)].Samples; n < least || n > least+1 {
					t.Errorf("sample %d comes %d times, want %d or one more", i, n, least)
				}
			}
			if again := build(t, o); !slices.Equal(again.Train(), s.Train()) {
				t.Error("another order the second time")
			}
			if other, err := tryBuild(o, Run{Seed: 2}); err != nil || slices.Equal(other.Train(), s.Train()) {
				t.Errorf("the same order with another seed, %v", err)
			}
		})
	}
	o := options(dir, a, b)
	o.Sources[1].Probability = 0.1
	o.Mix.Strategy = "interleave"
	if _, err := tryBuild(o, Run{}); err == nil || !strings.Contains(err.Error(), "add up to 0.85, want 1") || !fault.IsUsage(err) {
		t.Errorf("got %v", err)
	}
}

func TestCopiesAreDroppedAndThoseOfHeldOutSamplesToo(t *testing.T) {
	dir := t.TempDir()
	long := strings.TrimSpace(strings.Repeat("the quick brown fox jumps over the lazy dog and then it sleeps until morning comes again ",
		1))
	var text []string
	for i := range 60 {
		text = append(text, fmt.Sprintf("%s %d", long[:20+i%3], i*i))
	}
	story := strings.Join(text, " ")
	a := write(t, dir, "a", talk("q", "one"), talk("q", story), talk("q", "one"), talk("p", "held"), talk("q", story+" end"),
		talk("r", "two three four"))
	held := write(t, dir, "h", talk("p", "held"), talk("s", "t"))
	for _, c := range []struct {
		dedup, want string
		left        int
	}{
		{"none", "map[]", 6},
		{"exact", "map[duplicate:2]", 4},
		{"near", "map[duplicate:2 near_duplicate:1]", 3},
	} {
		t.Run(c.dedup, func(t *testing.T) {
			o := options(dir, a)
			o.Dedup, o.HeldOut.Sources = c.dedup, []Source{held}
			for _, dry := range []bool{true, false, false} {
				s, err := tryBuild(o, Run{DryRun: dry})
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				if got := fmt.Sprint(s.Sources()[0].Dropped); got != c.want || len(s.Train()) != c.left || len(s.HeldOut()) != 2 {
					t.Errorf("dropped %s, %d left, %d held out; want %s, %d, 2", got, len(s.Train()), len(s.HeldOut()), c.want, c.left)
				}
			}
		})
	}
}

func TestFiltersPassWhatIsWantedAndCountTheRest(t *testing.T) {
	dir := t.TempDir()
	answer := func(n int) string { return strings.TrimSpace(strings.Repeat("word ", n)) }
	src := write(t, dir, "a",
		talk("Write a story of 100 words.", answer(100)), // S_l 100
		talk("Write a story of 100 words.", answer(40)),  // 25
		talk("Write a story.", answer(60)),
		talk("写一首诗", "床前明月光，疑是地上霜"),
		talk("Write code.", "As an AI I refuse"))
	for _, c := range []struct {
		name   string
		filter record.Filter
		lines  string
		want   string
	}{
		{"none", record.Filter{}, "[1 2 3 4 5]", "map[]"},
		{"a stated length", record.Filter{StatedLength: "required"}, "[1 2]", "map[no_stated_length:3]"},
		{"the length as stated", record.Filter{MinLengthScore: 80}, "[1 3 4 5]", "map[length_score:1]"},
		{"LongWriter's follow-up", record.Filter{StatedLength: "required", MinLengthScore: 80}, "[1]",
			"map[length_score:1 no_stated_length:3]"},
		{"a language", record.Filter{Languages: []string{"zh"}}, "[4]", "map[language:4]"},
		{"words", record.Filter{MinWords: 41, MaxWords: 99}, "[3]", "map[max_words:1 min_words:3]"},
		{"an expression", record.Filter{Prompt: "(?i)story", NotAnswer: "^As an AI"}, "[1 2 3]", "map[prompt_pattern:2]"},
		{"an answer's expression", record.Filter{NotAnswer: "^As an AI"}, "[1 2 3 4]", "map[answer_pattern:1]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := options(dir, src) // on_bad_record: error, and nothing of this is bad
			o.Sources[0].Filter = c.filter
			for range 2 {
				s := build(t, o)
				lines := []int{}
				for _, i := range ints(s.Train()) {
					x, err := s.Sample(i)
					if err != nil {
						t.Fatal(err)
					}
					lines = append(lines, x.Line)
				}
				if fmt.Sprint(lines) != c.lines || fmt.Sprint(s.Mix().Dropped) != c.want {
					t.Errorf("lines %v, dropped %v; want %s, %s", lines, s.Mix().Dropped, c.lines, c.want)
				}
			}
		})
	}
	o := options(dir, src)
	build(t, o)
	o.Sources[0].Filter.MinWords = 41
	if got := build(t, o).Sources()[0].Tokenised; got != "" && got != "how it is read changed" {
		t.Errorf("tokenised for %q", got)
	}
}

func TestPreferencesAreForPairsAloneUnlessASideIsTaken(t *testing.T) {
	dir := t.TempDir()
	pairs := write(t, dir, "p", `{"prompt":"a","chosen":"good one","rejected":"bad"}`,
		`{"prompt":"b","chosen":"better","rejected":"worse"}`)
	labels := write(t, dir, "l", `{"prompt":"a","completion":"yes","label":true}`, `{"prompt":"a","completion":"no","label":false}`,
		`{"prompt":"b","completion":"so","label":false}`)
	single := write(t, dir, "s", `{"prompt":"a","completion":"yes","label":true}`, `{"prompt":"b","completion":"no","label":false}`)
	talks := write(t, dir, "t", talk("a", "b"))
	for _, c := range []struct {
		name string
		src  Source
		run  Run
		side string
		want string
	}{
		{"conversations of pairs", pairs, Run{}, "", "error: holds preferences, want conversations"},
		{"conversations of labels", labels, Run{}, "", "error: holds labelled answers, some of them bad, want conversations"},
		{"the chosen side", pairs, Run{}, "chosen", "2 samples, map[side:2]"},
		{"what is liked", labels, Run{}, "chosen", "1 samples, map[side:2]"},
		{"a side of conversations", talks, Run{}, "chosen", "error: holds conversations, want pairs"},
		{"pairs", pairs, Run{Pairs: true}, "", "4 samples, map[]"},
		{"pairs of labels", labels, Run{Pairs: true}, "", "2 samples, map[no_counterpart:1]"},
		{"pairs of labels to different prompts", single, Run{Pairs: true}, "",
			"error: 2 labelled answers and no prompt with a good and a bad one, want pairs"},
		{"pairs of conversations", talks, Run{Pairs: true}, "", "error: holds conversations (it has \"messages\"), want preferences"},
		{"pairs of a side", pairs, Run{Pairs: true}, "chosen", "error: has side: chosen, want pairs"},
		{"labels", labels, Run{Labels: true}, "", "3 samples, map[]"},
		{"labels of pairs", pairs, Run{Labels: true}, "", "4 samples, map[]"},
		{"anything of pairs", pairs, Run{Any: true}, "", "4 samples, map[]"},
		{"anything of conversations", talks, Run{Any: true}, "", "1 samples, map[]"},
		{"anything, with labels, of labels", single, Run{Any: true, Labels: true}, "", "2 samples, map[]"},
		{"anything, with labels, of conversations", talks, Run{Any: true, Labels: true}, "", "1 samples, map[]"},
		{"anything, with labels, of a side", labels, Run{Any: true, Labels: true}, "chosen", "1 samples, map[side:2]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := options(dir, c.src)
			o.Sources[0].Side = c.side
			s, err := tryBuild(o, c.run)
			if want, isError := strings.CutPrefix(c.want, "error: "); isError {
				if !fault.IsUsage(err) || !strings.Contains(err.Error(), want) || fault.HintOf(err) == "" {
					t.Errorf("got %v, want %s", err, want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if got := fmt.Sprintf("%d samples, %v", len(s.Train()), s.Mix().Dropped); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			for _, p := range s.Pairs() {
				if c.run.Labels {
					if ids := p.Answers(); len(ids) != 1 || s.Desirable(ids[0]) != (p.Rejected == None) {
						t.Errorf("labelled answer %v", p)
					}
					continue
				}
				if !s.Desirable(p.Chosen) || s.Desirable(p.Rejected) || s.Prompt(p.Chosen) != s.Prompt(p.Rejected) {
					t.Errorf("pair %v: desirable %v and %v, prompts of %d and %d tokens", p, s.Desirable(p.Chosen),
						s.Desirable(p.Rejected), s.Prompt(p.Chosen), s.Prompt(p.Rejected))
				}
			}
		})
	}
}

func TestThePairOfALabelledAnswerIsHeldOutWithIt(t *testing.T) {
	dir := t.TempDir()
	var lines []string
	for i := range 20 {
		lines = append(lines, fmt.Sprintf(`{"prompt":"%d","chosen":"good one","rejected":"bad"}`, i))
	}
	o := options(dir, write(t, dir, "p", lines...))
	o.HeldOut.Count = 5
	s, err := tryBuild(o, Run{Labels: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	held := s.HeldOutPairs()
	if len(held) != 10 || len(s.Pairs()) != 30 || len(s.HeldOutPrompts()) != 5 {
		t.Fatalf("%d answers are held out of %d prompts, %d trained on", len(held), len(s.HeldOutPrompts()), len(s.Pairs()))
	}
	for i := 0; i < len(held); i += 2 {
		if !s.SamePrompt(held[i].Chosen, held[i+1].Rejected) {
			t.Errorf("%v and %v are held out", held[i], held[i+1])
		}
	}
}

func tokenizerBytes() (*chat.Template, error) { return chat.Open(tokenizer.Bytes(), "auto") }

func messagesOf(prompt, answer string) []chat.Message {
	return []chat.Message{{Role: "user", Content: prompt}, {Role: "assistant", Content: answer}}
}

func TestWhatIsDrawnIsDrawnAnewForEachEpoch(t *testing.T) {
	dir := t.TempDir()
	a, b := write(t, dir, "a", talks(100)...), write(t, dir, "b", talks(30)...)
	for name, c := range map[string]struct {
		change  func(o *Options)
		redraws bool
	}{
		"interleaved":         {func(o *Options) { o.Mix = Mix{"interleave", "first_exhausted"} }, true},
		"repeated in part":    {func(o *Options) { o.Sources[0].Repeat = 0.5 }, true},
		"repeated as a whole": {func(o *Options) { o.Sources[0].Repeat = 2 }, false},
		"all of every source": {func(o *Options) {}, false},
		"drawn once, samples": {func(o *Options) { o.Sources[0].Samples = 50 }, false},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(dir, a, b)
			o.HeldOut.Count = 5
			c.change(&o)
			s, same := build(t, o), build(t, o)
			if s.Redraws() != c.redraws {
				t.Fatalf("it is drawn anew: %v, want %v", s.Redraws(), c.redraws)
			}
			first, err := s.Epoch(0)
			if err != nil || !slices.Equal(first, s.Train()) {
				t.Fatalf("the first epoch is not what Train lists, %v", err)
			}
			seen := map[int]bool{}
			for _, epoch := range []int{3, 1, 2} { // in any order
				got, err := s.Epoch(epoch)
				if err != nil || slices.Equal(got, first) == c.redraws {
					t.Errorf("epoch %d is like the first: %v, %v", epoch, !c.redraws, err)
				}
				if again, err := same.Epoch(epoch); err != nil || !slices.Equal(got, again) {
					t.Errorf("epoch %d is another one the second time, %v", epoch, err)
				}
				for _, i := range got {
					seen[int(i)] = true
					if slices.Contains(s.HeldOut(), i) {
						t.Errorf("epoch %d trains on sample %d, which is held out", epoch, i)
					}
				}
			}
			if c.redraws && len(seen) <= len(first) {
				t.Errorf("three epochs see %d samples, the first one %d", len(seen), len(first))
			}
		})
	}
}
