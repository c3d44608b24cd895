package eval

import (
	"cmp"
	"maps"
	"slices"

	"lwtrain/eval/tasks"
	"lwtrain/internal/llm"
	"lwtrain/internal/prose"
	"lwtrain/internal/stats"
)

// Of fewer prompts intervals say little.
const (
	smallCount = 30
	smallNote  = "small n: intervals of fewer than 30 prompts say little"
)

// Summary is summary.json: what came of a task.
type Summary struct {
	Task    string `json:"task"`
	Model   string `json:"model,omitempty"`
	Counted string `json:"words_are"`
	Compat  string `json:"compat,omitempty"`  // released: measures are as the benchmark's code has them, not its paper
	N       int    `json:"n"`                 // answers that are scored
	Prompts int    `json:"prompts"`           // that have one
	Missing int    `json:"missing,omitempty"` // prompts that have none
	Note    string `json:"note,omitempty"`
	Scores  string `json:"scores_sha256,omitempty"` // of the scores that it was made with

	Failed map[string]int `json:"failed,omitempty"` // answers that are none, by reason

	Length   *float64  `json:"s_l"` // mean; nil: no length is asked for
	ByLength []InRange `json:"by_length"`
	ByType   []OfType  `json:"by_type"`

	Ended    *float64    `json:"ended"`    // share; nil: nobody said
	Repeated *float64    `json:"repeated"` // mean share of windows of eight units that came before in the text
	Loops    int         `json:"loops"`    // answers that end in one
	Words    *Words      `json:"words"`
	Kept     *float64    `json:"language_kept"`
	Distinct *float64    `json:"distinct_sentences"`
	Measures []OfMeasure `json:"measures,omitempty"` // the task's own

	Judge *Judged `json:"judge,omitempty"` // nil: there is none

	Intervals map[string]*stats.Interval `json:"ci95"` // of means, over prompts
}

// Words are the lengths of answers.
type Words struct {
	Mean    float64 `json:"mean"`
	Median  float64 `json:"median"`
	P90     float64 `json:"p90"`
	Max     int     `json:"max"`
	Longest *int    `json:"longest_ended"` // of those that ended and do not loop; nil: none did
	// Survived is the median of Kaplan and Meier, for which answers that were cut off would have been longer; nil:
	// nobody said which ended, or more than half have no end.
	Survived *float64 `json:"km_median"`
}

// InRange is S_l of the prompts that ask for lengths in a range.
type InRange struct {
	Range string          `json:"range"`
	N     int             `json:"n"`
	Score *float64        `json:"s_l"`
	CI    *stats.Interval `json:"ci95"`
}

// OfType is S_l of the prompts of a type, and the task's first measure.
type OfType struct {
	Type  string          `json:"type"`
	N     int             `json:"n"`
	Score *float64        `json:"s_l"`
	CI    *stats.Interval `json:"ci95"`

	Measure *OfMeasure `json:"measure,omitempty"` // nil: the task has none
}

// OfMeasure is the mean of a measure of the task's own.
type OfMeasure struct {
	Name  string          `json:"name"`
	About string          `json:"about"`
	N     int             `json:"n"`
	Mean  *float64        `json:"mean"`
	CI    *stats.Interval `json:"ci95"`
}

// Summarise counts up the scores of a task's answers, in the order of its items.
func Summarise(t Asked, scores []Score) Summary {
	s := Summary{
		Task: t.Name, Counted: t.Counted, Compat: t.Compat,
		ByLength: []InRange{}, ByType: []OfType{}, Intervals: map[string]*stats.Interval{},
	}
	answered := map[string]bool{}
	var whole []Score
	for _, x := range scores {
		if x.Failed == "" {
			answered[x.ID] = true
			whole = append(whole, x)
			continue
		}
		if s.Failed == nil {
			s.Failed = map[string]int{}
		}
		s.Failed[llm.FailureKind(x.Failed)]++
	}
	s.N, s.Prompts = len(whole), len(answered)
	s.Missing = len(t.Items) - s.Prompts
	if s.Prompts < smallCount {
		s.Note = smallNote
	}
	mean := map[string]*float64{}
	for _, m := range metrics {
		_, value, ci := meanOf(whole, m.of)
		if mean[m.name] = value; ci != nil {
			s.Intervals[m.name] = ci
		}
	}
	s.Length, s.Ended, s.Repeated = mean["s_l"], mean["ended"], mean["repeated"]
	s.Kept, s.Distinct = mean["language_kept"], mean["distinct_sentences"]
	s.Words = wordsOf(whole)
	for _, x := range whole {
		if x.Loop >= 0 {
			s.Loops++
		}
	}
	s.byLength(t.Task, whole)
	s.byType(t.Task, whole)
	for _, m := range t.Measures {
		s.Measures = append(s.Measures, ofMeasure(m, whole))
	}
	return s
}

// Values are the figures of a training run's metrics: S_l, the shares that ended and that repeat, and words.
func (s Summary) Values() map[string]float64 {
	out := map[string]float64{}
	for key, v := range map[string]*float64{"s_l": s.Length, "ended": s.Ended, "repeated": s.Repeated} {
		if v != nil {
			out[key] = *v
		}
	}
	if s.Words != nil {
		out["words"], out["words_median"] = s.Words.Mean, s.Words.Median
	}
	return out
}

// share is 1 or 0, or nil.
func share(b *bool) *float64 {
	if b == nil {
		return nil
	}
	v := 0.0
	if *b {
		v = 1
	}
	return &v
}

// meanOf is the mean of what scores have a value of, and how many those are.
func meanOf(scores []Score, of func(Score) *float64) (n int, mean *float64, ci *stats.Interval) {
	var byItem stats.Groups[float64]
	for _, x := range scores {
		if v := of(x); v != nil {
			byItem.Add(x.ID, *v)
			n++
		}
	}
	if n == 0 {
		return 0, nil, nil
	}
	m, ci := stats.Mean(byItem.Of)
	return n, &m, ci
}

// wordsOf are the lengths of answers; nil: there are none.
func wordsOf(scores []Score) *Words {
	if len(scores) == 0 {
		return nil
	}
	w := &Words{}
	lengths := make([]float64, len(scores))
	for i, x := range scores {
		lengths[i] = float64(x.Words)
		w.Mean += lengths[i]
		w.Max = max(w.Max, x.Words)
		if x.Ended != nil && *x.Ended && x.Loop < 0 && (w.Longest == nil || x.Words > *w.Longest) {
			w.Longest = &x.Words
		}
	}
	if at, ok := Lasting(scores).Median(); ok {
		w.Survived = &at
	}
	w.Mean /= float64(len(scores))
	slices.Sort(lengths)
	w.Median, w.P90 = stats.Quantile(lengths, 0.5), stats.Quantile(lengths, 0.9)
	return w
}

// Lasting is the Kaplan-Meier curve of answers whose end is known; no points: nobody said which of them ended.
func Lasting(scores []Score) stats.Curve {
	var lengths []stats.Length
	for _, x := range scores {
		if x.Failed == "" && x.Ended != nil {
			lengths = append(lengths, stats.Length{Words: x.Words, Ended: *x.Ended})
		}
	}
	if len(lengths) == 0 {
		return stats.Curve{}
	}
	return stats.KaplanMeier(lengths)
}

func (s *Summary) byLength(t tasks.Task, scores []Score) {
	in := make([][]Score, len(t.Ranges))
	for _, x := range scores {
		if x.Length != nil {
			k := prose.Within(t.Ranges, x.Asked)
			in[k] = append(in[k], x)
		}
	}
	for k, of := range in {
		r := InRange{Range: t.Ranges[k].Name}
		r.N, r.Score, r.CI = meanOf(of, func(x Score) *float64 { return x.Length })
		if r.N > 0 {
			s.ByLength = append(s.ByLength, r)
		}
	}
}

func ofMeasure(m tasks.Measure, scores []Score) OfMeasure {
	o := OfMeasure{Name: m.Name, About: m.About}
	o.N, o.Mean, o.CI = meanOf(scores, measured(m.Name).of)
	return o
}

func (s *Summary) byType(t tasks.Task, scores []Score) {
	of := map[string][]Score{}
	for _, x := range scores {
		if x.Type != "" {
			of[x.Type] = append(of[x.Type], x)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(of)) {
		o := OfType{Type: name}
		_, o.Score, o.CI = meanOf(of[name], func(x Score) *float64 { return x.Length })
		o.N = len(of[name])
		if len(t.Measures) > 0 {
			first := ofMeasure(t.Measures[0], of[name])
			o.Measure = &first
		}
		s.ByType = append(s.ByType, o)
	}
	slices.SortStableFunc(s.ByType, func(a, b OfType) int { return cmp.Compare(b.N, a.N) })
}
