package data

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lwtrain/chat"
	"lwtrain/data/store"
	"lwtrain/internal/fault"
	"lwtrain/tokenizer"
)

func template(t testing.TB, name string) *chat.Template {
	t.Helper()
	c, err := chat.Open(tokenizer.Bytes(), name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// talk is a record of one question and one answer.
func talk(question, answer string) string {
	raw, err := json.Marshal(map[string]any{"messages": []map[string]string{
		{"role": "user", "content": question}, {"role": "assistant", "content": answer}}})
	if err != nil {
		panic(err)
	}
	return string(raw)
}

// talks is n records with answers of i words.
func talks(n int) []string {
	var out []string
	for i := 1; i <= n; i++ {
		out = append(out, talk(fmt.Sprint("question ", i), strings.TrimSpace(strings.Repeat("word ", i))))
	}
	return out
}

func write(t testing.TB, dir, name string, lines ...string) Source {
	t.Helper()
	path := filepath.Join(dir, name+".jsonl")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return Source{Name: name, Path: path, LossFactor: 1}
}

func options(dir string, sources ...Source) Options {
	return Options{Sources: sources, MaxLength: 4096, TooLong: "error", OnBadRecord: "error", CacheDir: filepath.Join(dir, "cache")}
}

func build(t testing.TB, o Options) *Set {
	t.Helper()
	s, err := Build(context.Background(), o, template(t, "auto"), Run{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestSamplesAreWhatTheTemplateRendersAndKnowWhereTheyComeFrom(t *testing.T) {
	dir := t.TempDir()
	a := write(t, dir, "a", talk("hello", "one two"), "", talk("再见", "三 four"))
	b := write(t, dir, "b", `{"messages":[`+system("be brief")+`,`+user("1")+`,`+assistant("yes")+`,`+user("2")+`,`+assistant("no no")+
		`],"id":7}`)
	s := build(t, options(dir, a, b))
	if s.Len() != 3 || len(s.Train()) != 3 || len(s.HeldOut()) != 0 {
		t.Fatalf("%d samples, %d to train on, %d held out; want 3, 3, 0", s.Len(), len(s.Train()), len(s.HeldOut()))
	}
	answers, err := s.Answers()
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		file               string
		line, turns, words int
		messages           []chat.Message
	}{
		{a.Path, 1, 1, 2, []chat.Message{{Role: "user", Content: "hello"}, {Role: "assistant", Content: "one two"}}},
		{a.Path, 3, 1, 2, []chat.Message{{Role: "user", Content: "再见"}, {Role: "assistant", Content: "三 four"}}},
		{b.Path, 1, 2, 3, []chat.Message{{Role: "system", Content: "be brief"}, {Role: "user", Content: "1"},
			{Role: "assistant", Content: "yes"}, {Role: "user", Content: "2"}, {Role: "assistant", Content: "no no"}}},
	} {
		r, err := template(t, "auto").Render(want.messages, chat.Targets{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Sample(i)
		if err != nil {
			t.Fatal(err)
		}
		var target [][2]int32
		n := 0
		for _, span := range r.Target {
			target = append(target, [2]int32{span.Start, span.End})
			n += int(span.End - span.Start)
		}
		if !slices.Equal(got.IDs, r.IDs) || !slices.Equal(got.Target, target) {
			t.Errorf("sample %d: ids %v targets %v, want %v %v", i, got.IDs, got.Target, r.IDs, target)
		}
		if got.File != want.file || got.Line != want.line || got.Turns != want.turns || got.Words != want.words {
			t.Errorf("sample %d: %s:%d, %d turns, %d words; want %s:%d, %d, %d", i, got.File, got.Line, got.Turns, got.Words, want.file,
				want.line, want.turns, want.words)
		}
		if int(answers[i]) != len(target) {
			t.Errorf("sample %d: %d answers, want %d", i, answers[i], len(target))
		}
		if s.Tokens(i) != len(r.IDs) || s.Targets(i) != n || s.Words(i) != want.words ||
			s.Origin(i) != fmt.Sprintf("%s:%d", want.file, want.line) {
			t.Errorf("sample %d: the index has %d tokens, %d targets, %d words, %s", i, s.Tokens(i), s.Targets(i), s.Words(i), s.Origin(i))
		}
		if messages, _, err := s.Messages(i); err != nil || len(messages) != len(want.messages) ||
			messages[0].Content != want.messages[0].Content {
			t.Errorf("sample %d: messages %v, %v", i, messages, err)
		}
	}
	mix := s.Mix()
	if mix.Samples != 3 || mix.Turns != 4 || mix.Words != 7 || s.Sources()[1].Samples != 1 {
		t.Errorf("statistics %+v", mix)
	}
}

func TestManyRecordsKeepTheirOrderThroughWorkersAndBatches(t *testing.T) {
	dir := t.TempDir()
	var lines []string
	for i := range 5000 {
		lines = append(lines, talk(fmt.Sprint(i), strings.Repeat("x", 1+i*37%400)))
	}
	s := build(t, options(dir, write(t, dir, "many", lines...)))
	if s.Len() != len(lines) {
		t.Fatalf("%d samples, want %d", s.Len(), len(lines))
	}
	for i := range s.Len() {
		got, err := s.Sample(i)
		if err != nil {
			t.Fatal(err)
		}
		text := tokenizer.Bytes().Decode(got.IDs, true)
		if got.Line != i+1 || !strings.Contains(text, fmt.Sprintf("user\n%d\n", i)) || len(got.IDs) != s.Tokens(i) {
			t.Fatalf("sample %d is line %d: %q", i, got.Line, text)
		}
	}
}

func TestTheCacheIsUsedAsLongAsNothingChangedAndSaysWhatDid(t *testing.T) {
	dir := t.TempDir()
	src := write(t, dir, "a", talks(20)...)
	o := options(dir, src)
	first := build(t, o)
	if got := first.Sources()[0].Tokenised; got != "new" {
		t.Errorf("the first time: tokenised for %q, want new", got)
	}
	again := build(t, o)
	if got := again.Sources()[0].Tokenised; got != "" || !maps.Equal(again.Contents(), first.Contents()) {
		t.Errorf("the second time: tokenised for %q, the contents are the same: %v", got, maps.Equal(again.Contents(), first.Contents()))
	}
	other, err := Build(context.Background(), o, template(t, "chatml"), Run{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if got := other.Sources()[0].Tokenised; got != "the tokenizer or the template changed" {
		t.Errorf("with another template: tokenised for %q", got)
	}
	write(t, dir, "a", talks(21)...)
	changed := build(t, o)
	if got := changed.Sources()[0].Tokenised; got != "the file changed" || maps.Equal(changed.Contents(), first.Contents()) {
		t.Errorf("with another file: tokenised for %q", got)
	}
	shards, _ := filepath.Glob(filepath.Join(changed.Sources()[0].Cache, "*.arrow"))
	raw, err := os.ReadFile(shards[0])
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)/2] ^= 1
	if err := os.WriteFile(shards[0], raw, 0o644); err != nil {
		t.Fatal(err)
	}
	mended := build(t, o)
	if got := mended.Sources()[0].Tokenised; !strings.Contains(got, shards[0]) || !maps.Equal(mended.Contents(), changed.Contents()) {
		t.Errorf("with a flipped bit: tokenised for %q", got)
	}
}

func TestTheSameInputsGiveTheSameBytes(t *testing.T) {
	dir := t.TempDir()
	src := write(t, dir, "a", talks(300)...)
	var all []string
	for _, cache := range []string{"one", "two"} {
		o := options(dir, src)
		o.CacheDir = filepath.Join(dir, cache)
		stats := build(t, o).Sources()[0]
		files, _ := os.ReadDir(stats.Cache)
		var text string
		for _, f := range files {
			raw, err := os.ReadFile(filepath.Join(stats.Cache, f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			text += f.Name() + " " + store.HashOf(raw) + "\n"
		}
		all = append(all, text)
	}
	if all[0] != all[1] || strings.Count(all[0], "\n") != 4 {
		t.Errorf("two stores of one source:\n%s%s", all[0], all[1])
	}
}

func TestHeldOutSamplesAreDrawnFromEachSourceAndNeverTrainedOn(t *testing.T) {
	dir := t.TempDir()
	a, b, c := write(t, dir, "a", talks(60)...), write(t, dir, "b", talks(30)...), write(t, dir, "c", talks(67)[60:]...)
	for _, k := range []struct {
		name string
		held HeldOut
		want []int // of each source
	}{
		{"a fraction", HeldOut{Fraction: 0.1}, []int{6, 3}},
		{"a fraction that rounds to nothing takes one", HeldOut{Fraction: 0.001}, []int{1, 0}},
		{"a count", HeldOut{Count: 10}, []int{7, 3}},
		{"nothing", HeldOut{}, []int{0, 0}},
		{"a source of its own", HeldOut{Sources: []Source{c}}, []int{0, 0, 7}},
	} {
		t.Run(k.name, func(t *testing.T) {
			o := options(dir, a, b)
			o.HeldOut = k.held
			s := build(t, o)
			got := make([]int, len(k.want))
			for _, i := range s.HeldOut() {
				got[s.Source(int(i))]++
				if slices.Contains(s.Train(), i) {
					t.Errorf("sample %d is held out and trained on", i)
				}
			}
			if !slices.Equal(got, k.want) || len(s.Train())+len(s.HeldOut()) != s.Len() {
				t.Errorf("held out %v, want %v; %d + %d of %d samples", got, k.want, len(s.Train()), len(s.HeldOut()), s.Len())
			}
			if again := build(t, o); !slices.Equal(again.HeldOut(), s.HeldOut()) {
				t.Errorf("another draw the second time: %v and %v", s.HeldOut(), again.HeldOut())
			}
		})
	}
	o := options(dir, a)
	o.HeldOut.Count = 60
	if _, err := Build(context.Background(), o, template(t, "auto"), Run{}); err == nil ||
		!strings.Contains(err.Error(), "takes 60 of 60") {
		t.Errorf("all held out: %v", err)
	}
}

func TestHeldOutSamplesAreDrawnFromThoseThatCanBeUsed(t *testing.T) {
	dir := t.TempDir()
	o := options(dir, write(t, dir, "a", append(talks(6), talk("long", strings.Repeat("word ", 400)),
		talk("longer", strings.Repeat("word ", 500)))...))
	o.MaxLength, o.HeldOutMaxLength, o.TooLong, o.HeldOut = 200, 200, "skip", HeldOut{Count: 3}
	for seed := range uint64(20) {
		s, err := Build(context.Background(), o, template(t, "auto"), Run{Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		if len(s.HeldOut()) != 3 || len(s.Train()) != 3 || s.Mix().Dropped["too_long"] != 2 {
			t.Errorf("seed %d: %d held out, %d to train on, dropped %v; want 3, 3, 2 too long", seed, len(s.HeldOut()), len(s.Train()),
				s.Mix().Dropped)
		}
		s.Close()
	}
	o.MaxLength, o.HeldOutMaxLength, o.HeldOut = 8, 8, HeldOut{Sources: []Source{o.Sources[0]}}
	o.Sources = []Source{write(t, dir, "b", talk("q", "a"))}
	if _, err := Build(context.Background(), o, template(t, "auto"), Run{}); err == nil ||
		!strings.Contains(err.Error(), "data.held_out leaves no sample") {
		t.Errorf("held-out samples that are all too long: %v", err)
	}
}

func TestASourceWithFactorZeroIsCountedAndNotLearned(t *testing.T) {
	dir := t.TempDir()
	a, b := write(t, dir, "a", talks(4)...), write(t, dir, "b", talks(3)...)
	a.LossFactor = 0
	s := build(t, options(dir, a, b))
	if n := s.Sources()[0].Dropped["loss_factor_0"]; n != 4 || len(s.Train()) != 3 {
		t.Errorf("%d samples counted and %d to train on, want 4 and 3", n, len(s.Train()))
	}
}

func TestSamplesOfASourceAreDrawnBySeed(t *testing.T) {
	dir := t.TempDir()
	o := options(dir, write(t, dir, "a", talks(50)...))
	o.Sources[0].Samples = 20
	lines := func(seed uint64) (out []int) {
		s, err := Build(context.Background(), o, template(t, "auto"), Run{Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for i := range s.Len() {
			x, err := s.Sample(i)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, x.Line)
		}
		return out
	}
	one := lines(1)
	if len(one) != 20 || !slices.IsSorted(one) || len(slices.Compact(slices.Clone(one))) != 20 {
		t.Errorf("drew %v, want 20 lines in order", one)
	}
	if !slices.Equal(one, lines(1)) || slices.Equal(one, lines(2)) {
		t.Errorf("the draw is not a function of the seed")
	}
	o.Sources[0].Samples = 51
	if _, err := Build(context.Background(), o, template(t, "auto"), Run{}); err == nil ||
		!strings.Contains(err.Error(), "has 50 samples that can be used, want 51") {
		t.Errorf("more than there are: %v", err)
	}
}

func TestWhatIsTooLongIsNamedDroppedOrCutAndCounted(t *testing.T) {
	dir := t.TempDir()
	// Two turns with a long question between, so that some pieces have no target.
	long := fmt.Sprintf(`{"messages":[`+user("a")+`,`+assistant("%s")+`,`+user("%s")+`,`+assistant("%s")+`]}`,
		strings.Repeat("b", 130), strings.Repeat("c", 220), strings.Repeat("d", 70))
	o := options(dir, write(t, dir, "a", talk("x", "y"), long))
	whole := build(t, o)
	full, err := whole.Sample(1)
	if err != nil {
		t.Fatal(err)
	}
	o.MaxLength = 100
	if _, err := Build(context.Background(), o, template(t, "auto"), Run{}); err == nil ||
		!strings.HasPrefix(err.Error(), o.Sources[0].Path+":2: a sample of ") {
		t.Errorf("error: got %v", err)
	}
	for _, c := range []struct {
		policy             string
		samples, len, lost int
	}{
		{"skip", 1, 1, len(full.IDs)},
		{"truncate", 2, 2, len(full.IDs) - 100},
		{"split", 2, 5, 100}, // the third piece is all question
	} {
		t.Run(c.policy, func(t *testing.T) {
			o := o
			o.TooLong = c.policy
			var first []int32 // of the dry run: the answers in each piece
			for _, dry := range []bool{true, false} {
				s, err := Build(context.Background(), o, template(t, "auto"), Run{DryRun: dry})
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				mix := s.Mix()
				if mix.Samples != c.samples || s.Len() != c.len || mix.LostTokens != int64(c.lost) {
					t.Errorf("%d samples in %d pieces, %d tokens lost; want %d, %d, %d", mix.Samples, s.Len(), mix.LostTokens, c.samples,
						c.len, c.lost)
				}
				if ends := map[string]int{"truncate": 1}[c.policy]; mix.LostEnds != ends {
					t.Errorf("%d answers lose their ends, want %d", mix.LostEnds, ends)
				}
				if mix.Tokens+mix.LostTokens != int64(len(full.IDs)+s.Tokens(0)) {
					t.Errorf("%d tokens kept and %d lost of %d", mix.Tokens, mix.LostTokens, len(full.IDs)+s.Tokens(0))
				}
				answers, err := s.Answers()
				if err != nil {
					t.Fatal(err)
				}
				if dry {
					first = answers
					continue
				}
				for i := 1; i < s.Len(); i++ {
					piece, err := s.Sample(i)
					if err != nil {
						t.Fatal(err)
					}
					n, want := 0, int32(0)
					for _, x := range piece.Target {
						if x[1] > 1 {
							want++
						}
						n += int(x[1] - max(1, x[0]))
					}
					if answers[i] != want || first[i] != want {
						t.Errorf("piece %d has %d answers, in a dry run %d, want %d", i, answers[i], first[i], want)
					}
					if len(piece.IDs) > 100 || n != s.Targets(i) || n == 0 {
						t.Errorf("piece %d has %d tokens and %d targets, the index says %d", i, len(piece.IDs), n, s.Targets(i))
					}
				}
			}
		})
	}
}

func TestADryRunWritesNothingAndCountsTheSame(t *testing.T) {
	dir := t.TempDir()
	o := options(dir, write(t, dir, "a", talks(40)...))
	o.HeldOut.Fraction = 0.1
	dry, err := Build(context.Background(), o, template(t, "auto"), Run{Seed: 1, DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	defer dry.Close()
	if _, err := os.Stat(o.CacheDir); !os.IsNotExist(err) {
		t.Errorf("the cache is there: %v", err)
	}
	if _, err := dry.Sample(0); err == nil {
		t.Error("a dry run gave a sample's tokens")
	}
	if real := build(t, o); !maps.Equal(real.Contents(), dry.Contents()) || real.Mix().TargetTokens != dry.Mix().TargetTokens {
		t.Errorf("dry %+v\nreal %+v", dry.Mix(), real.Mix())
	}
}

func TestAnInterruptedBuildLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	o := options(dir, write(t, dir, "a", talks(40)...))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Build(ctx, o, template(t, "auto"), Run{}); err != context.Canceled {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	if left, _ := os.ReadDir(o.CacheDir); len(left) > 0 {
		t.Errorf("left in the cache: %v", left)
	}
}

func TestASourceThatIsNotThereIsNamedBeforeAnythingIsRead(t *testing.T) {
	dir := t.TempDir()
	o := options(dir, write(t, dir, "a", "broken"), Source{Name: "b", Path: filepath.Join(dir, "b.jsonl")})
	if _, err := Build(context.Background(), o, template(t, "auto"), Run{}); err == nil ||
		!strings.Contains(err.Error(), "b.jsonl: no such file") || !fault.IsUsage(err) {
		t.Errorf("got %v", err)
	}
}

// user, assistant and system are messages of a record, as JSON.
func user(content string) string      { return message("user", content) }
func assistant(content string) string { return message("assistant", content) }
func system(content string) string    { return message("system", content) }

func message(role, content string) string {
	return fmt.Sprintf(`{"role": %q, "content": %q}`, role, content)
}

// ints are samples, by their index in the set.
func ints(samples []int32) []int {
	out := make([]int, len(samples))
	for i, id := range samples {
		out[i] = int(id)
	}
	return out
}
