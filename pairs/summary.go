package pairs

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"lwtrain/internal/fault"
	"lwtrain/internal/llm"
	"lwtrain/internal/prose"
	"lwtrain/internal/rundir"
)

// Summary is what came of a run, and summary.json.
type Summary struct {
	Prompts int            `json:"prompts"`
	Samples int            `json:"samples"`
	CutOff  int            `json:"cut_off"`          // of the samples, at max_new_tokens
	Failed  map[string]int `json:"failed,omitempty"` // answers that there are not, by why a server gave none
	Pairs   int            `json:"pairs"`
	Dropped map[string]int `json:"dropped"` // prompts without a pair, by reason
	Tokens  int            `json:"tokens"`

	Ended    float64 `json:"ended"`    // share of the samples
	Repeated float64 `json:"repeated"` // mean share of windows of eight units that came before in the text
	Words    float64 `json:"mean_words"`
	Required float64 `json:"mean_required_words"` // of the samples whose prompt asks for a length
	Ratio    float64 `json:"median_words_over_required"`

	Total         Spread  `json:"score"` // the parts of [Rating]
	Length        Spread  `json:"length_score"`
	Range         Spread  `json:"range_score"`
	New           Spread  `json:"repetition_score"`
	End           Spread  `json:"end_score"`
	Quality       Spread  `json:"judge_score"`
	Command       Spread  `json:"command_score"`
	Unrated       int     `json:"unrated"` // samples that the judge gave no readable ratings
	Margin        Spread  `json:"margin"`  // of the pairs: chosen less rejected total
	ChosenWords   float64 `json:"mean_chosen_words"`
	RejectedWords float64 `json:"mean_rejected_words"`

	ratios []float64
}

// ReadSummary reads the summary of a finished run.
func ReadSummary(dir string) (s Summary, err error) {
	there, err := rundir.ReadJSON(filepath.Join(dir, SummaryFile), &s)
	if err == nil && !there {
		err = fault.Hint(fmt.Errorf("%s has no %s, want the folder of a finished run", dir, SummaryFile),
			"lwtrain pairs writes one at its end")
	}
	return s, fault.Usage(err)
}

// Spread is how numbers are distributed.
type Spread struct {
	Count  int     `json:"count"`
	Mean   float64 `json:"mean"`
	Least  float64 `json:"min"`
	P25    float64 `json:"p25"`
	Median float64 `json:"p50"`
	P75    float64 `json:"p75"`
	Most   float64 `json:"max"`

	all []float64
}

func (s *Spread) add(v *float64) {
	if v != nil {
		s.all = append(s.all, *v)
	}
}

func (s *Spread) finish() {
	slices.Sort(s.all)
	if s.Count = len(s.all); s.Count == 0 {
		return
	}
	for _, v := range s.all {
		s.Mean += v / float64(s.Count)
	}
	at := func(q float64) float64 { return s.all[int(math.Round(q*float64(s.Count-1)))] }
	s.Least, s.P25, s.Median, s.P75, s.Most = at(0), at(0.25), at(0.5), at(0.75), at(1)
}

func newSummary(prompts int) *Summary {
	return &Summary{Prompts: prompts, Dropped: map[string]int{}}
}

func (s *Summary) drop(reason string) { s.Dropped[reason]++ }

func (s *Summary) add(x Candidate) {
	s.Samples++
	s.Tokens += x.Tokens
	s.Words += float64(x.Words)
	switch x.Stop {
	case llm.StopLength:
		s.CutOff++
	case llm.StopEOS:
		s.Ended++
	}
	s.Repeated += prose.Repeated(x.Answer)
	if x.Required > 0 {
		s.Required += float64(x.Required)
		s.ratios = append(s.ratios, float64(x.Words)/float64(x.Required))
	}
	if x.Total == nil {
		s.Unrated++
	}
	s.Total.add(x.Total)
	s.Length.add(x.Length)
	s.Range.add(x.Range)
	s.New.add(x.New)
	s.End.add(x.End)
	s.Quality.add(x.Quality)
	s.Command.add(x.Command)
}

func (s *Summary) addPair(chosen, rejected Candidate) {
	s.Pairs++
	margin := *chosen.Total - *rejected.Total
	s.Margin.add(&margin)
	s.ChosenWords += float64(chosen.Words)
	s.RejectedWords += float64(rejected.Words)
}

func (s *Summary) finish() {
	for _, mean := range []*float64{&s.Words, &s.Ended, &s.Repeated} {
		*mean /= max(1, float64(s.Samples))
	}
	if n := len(s.ratios); n > 0 {
		s.Required /= float64(n)
		slices.Sort(s.ratios)
		s.Ratio = s.ratios[n/2]
	}
	s.ChosenWords /= max(1, float64(s.Pairs))
	s.RejectedWords /= max(1, float64(s.Pairs))
	for _, x := range []*Spread{&s.Total, &s.Length, &s.Range, &s.New, &s.End, &s.Quality, &s.Command, &s.Margin} {
		x.finish()
	}
}
