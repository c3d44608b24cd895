package data

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// sizesOf are the lengths of samples, and the lines that they come from.
func sizesOf(s *Set, samples []int32) (tokens []int, lines []int) {
	for _, i := range samples {
		_, line := s.Place(int(i))
		tokens, lines = append(tokens, s.Tokens(int(i))), append(lines, line)
	}
	return tokens, lines
}

// TestHeldOutConversationsAreWhole: what is held out is bounded by the model's length or by a limit of its own, whatever is
// done with what is too long to be trained on.
func TestHeldOutConversationsAreWhole(t *testing.T) {
	dir := t.TempDir()
	long := talk("long", strings.Repeat("word ", 200))
	longer := talk("longer", strings.Repeat("word ", 300))
	a, held := write(t, dir, "a", append(talks(6), long)...), write(t, dir, "held", append(talks(7)[6:], longer)...)
	all := build(t, options(dir, a, held))
	n := len(all.Train())
	whole, most := all.Tokens(n-1), all.Tokens(6) // of longer, of long
	for _, c := range []struct {
		name      string
		tooLong   string
		limit     int // of what is held out
		positions int
		held      []int // tokens of the last held-out samples
		dropped   int
		cut       int
	}{
		{"skipped in training", "skip", 0, 0, []int{whole}, 1, 0},
		{"truncated", "truncate", 0, 0, []int{whole}, 0, 1},
		{"split", "split", 0, 0, []int{whole}, 0, 1},
		{"the model's length is enough", "skip", 0, whole, []int{whole}, 1, 0},
		{"the model's length is less", "skip", 0, whole - 1, nil, 2, 0},
		{"of which the begin is taken", "truncate", 0, whole - 1, []int{whole - 1}, 0, 1},
		{"of which all is taken", "split", 0, 1000, []int{1000, whole - 1000}, 0, 1},
		{"the model's length is less than the training's", "truncate", 0, 100, []int{200}, 0, 1},
		{"a limit", "truncate", 300, whole, []int{300}, 0, 1},
		{"a limit below the training's", "truncate", 100, whole, []int{100}, 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := options(dir, a)
			o.MaxLength, o.TooLong, o.HeldOutMaxLength, o.HeldOut.Sources = 200, c.tooLong, c.limit, []Source{held}
			s, err := Build(context.Background(), o, template(t, "auto"), Run{Seed: 1, Positions: c.positions})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			got, _ := sizesOf(s, s.HeldOut())
			if !slices.Equal(got[1:], c.held) {
				t.Errorf("the long one is held out in pieces of %v tokens, want %v", got[1:], c.held)
			}
			for _, i := range s.Train() {
				if n := s.Tokens(int(i)); n > 200 {
					t.Errorf("a sample of %d tokens is trained on, want at most 200", n)
				}
			}
			mix, over, longest := s.Mix(), 0, 0
			kept, shortened := 0, Shortened{}
			for _, n := range c.held {
				kept += n
				if n > 200 {
					over, longest = over+1, max(longest, n)
				}
			}
			if mix.Dropped["too_long"] != c.dropped || mix.Cut != c.cut || mix.HeldOutLong != over || mix.HeldOutMost != longest {
				t.Errorf("%d dropped, %d cut, %d held out above max_length, the longest of %d; want %d, %d, %d, %d",
					mix.Dropped["too_long"], mix.Cut, mix.HeldOutLong, mix.HeldOutMost, c.dropped, c.cut, over, longest)
			}
			if kept > 0 && (kept < whole || len(c.held) > 1) {
				shortened = Shortened{1, len(c.held), int64(whole - kept)}
			}
			pieces := 0
			if _, lines := sizesOf(s, s.Train()); mix.Cut > 0 {
				pieces = len(lines) - 6
			}
			if mix.HeldOutCut != shortened || mix.Cut > 0 && mix.CutPieces() != pieces {
				t.Errorf("held-out ones are cut: %+v, want %+v", mix.HeldOutCut, shortened)
			}
		})
	}
	o := options(dir, a)
	o.MaxLength, o.HeldOut.Sources = most, []Source{held}
	for want, run := range map[string]Run{"": {}, fmt.Sprintf("held.jsonl:2: a held-out sample of %d tokens, want at most %d "+
		"(max_position_embeddings)", whole, most+1): {Positions: most + 1}} {
		s, err := Build(context.Background(), o, template(t, "auto"), run)
		if err == nil {
			s.Close()
		}
		if got := fmt.Sprint(err); err == nil && want != "" || err != nil && (want == "" || !strings.HasSuffix(got, want)) {
			t.Errorf("too_long: error, %+v: %v, want %q", run, err, want)
		}
	}
}

// TestWhatIsHeldOutDoesNotDependOnMaxLength: runs that train on samples of different lengths measure the same texts.
func TestWhatIsHeldOutDoesNotDependOnMaxLength(t *testing.T) {
	dir := t.TempDir()
	o := options(dir, write(t, dir, "a", talks(60)...))
	var first []int
	for _, tooLong := range []string{"skip", "truncate", "split"} {
		for _, most := range []int{4096, 200, 100} {
			o.MaxLength, o.TooLong, o.HeldOut = most, tooLong, HeldOut{Count: 12}
			s := build(t, o)
			tokens, lines := sizesOf(s, s.HeldOut())
			if first == nil {
				first = lines
			}
			if !slices.Equal(lines, first) || slices.Max(tokens) < 200 {
				t.Errorf("%s, %d: lines %v are held out, of %v tokens, want %v", tooLong, most, lines, tokens, first)
			}
			_, trained := sizesOf(s, s.Train())
			for _, line := range trained {
				if slices.Contains(lines, line) {
					t.Errorf("%s, %d: a piece of line %d is trained on and one held out", tooLong, most, line)
				}
			}
			mix := s.Mix()
			if used := len(lines) + mix.Dropped["too_long"]; tooLong == "skip" && used+len(trained) != 60 {
				t.Errorf("%d: %d held out or dropped and %d trained on, want 60 together", most, used, len(trained))
			}
		}
	}
	// Of a part of a source as much is held out as of all of it, and samples counts what can be trained on.
	o.TooLong, o.MaxLength, o.Sources[0].Samples = "skip", 200, 20
	s := build(t, o)
	if n, held := len(s.Train()), len(s.HeldOut()); held != 12 || n < 8 || n > 20 {
		t.Errorf("of 20 samples and their share of longer ones %d are trained on and %d held out", n, held)
	}
}

// TestHeldOutPairsAreWholeAndLabelledAnswersAsInTraining.
func TestHeldOutPairsAreWholeAndLabelledAnswersAsInTraining(t *testing.T) {
	dir := t.TempDir()
	pairs := func(answer string) string {
		return fmt.Sprintf(`{"prompt": "q", "chosen": %q, "rejected": "no"}`, answer)
	}
	long := strings.Repeat("word ", 100)
	held := write(t, dir, "held", pairs("short"), pairs(long))
	o := options(dir, write(t, dir, "pairs", pairs("other"), pairs(long+long)))
	o.MaxLength, o.TooLong, o.HeldOut.Sources = 200, "skip", []Source{held}
	for want, run := range map[int]Run{2: {Pairs: true}, 1: {Pairs: true, Positions: 250}} {
		s, err := Build(context.Background(), o, template(t, "auto"), run)
		if err != nil {
			t.Fatal(err)
		}
		if n, m := len(s.HeldOutPairs()), len(s.Pairs()); n != want || m != 1 {
			t.Errorf("%+v: %d pairs are held out and %d trained on, want %d and 1", run, n, m, want)
		}
		s.Close()
	}
	labelled := func(answer string, good bool) string {
		return fmt.Sprintf(`{"prompt": "q %.4s", "completion": %q, "label": %t}`, answer, answer, good)
	}
	o.Sources = []Source{write(t, dir, "labels", labelled("other", true))}
	o.HeldOut.Sources = []Source{write(t, dir, "heldlabels", labelled("short", true), labelled(long, false))}
	s, err := Build(context.Background(), o, template(t, "auto"), Run{Labels: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if n := len(s.HeldOutPairs()); n != 1 {
		t.Errorf("%d labelled answers are held out, want the short one", n)
	}
	if at, err := s.Look(o, template(t, "auto"), 1, 2); err != nil || !strings.HasSuffix(at.Unused, "more than data.max_length (200)") {
		t.Errorf("of the long one is said: %q, %v", at.Unused, err)
	}
}
