package judge

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"lwtrain/internal/llm"
)

// Judge is who rates.
type Judge struct {
	Name  string // of the model, as attempts have it
	Mode  Mode
	Words int // in the longest text that it is shown whole, about; 0: it is shown any
}

// Case is a text that was written on a prompt.
type Case struct {
	ID, Prompt, Text string
	Checklist        []Criterion // of mode checklist; others go by [Dimensions]
}

// Criterion is a thing that a text is rated by.
type Criterion struct {
	Name  string // which no other one of the case has
	About string // what it is, in words of the prompt
}

// Verdict is what became of a case. What has no mark is not in Marks.
type Verdict struct {
	Marks    map[string]float64 // 1 to 5, by dimension, or by criterion
	Quality  *float64           // S_q, from 0 to 100; nil: a dimension has no mark
	Chunked  bool               // the text was rated in parts, and the marks are means over them, by their words
	Attempts []Attempt          // all calls, by part, dimension and try
}

// Rate has texts rated in the mode of j, [Strict], [Paper] or [Checklist]. The calls about all of them go
// out together, and done is told of each case once it is through, one at a time.
func Rate(ctx context.Context, from llm.Answerer, j Judge, cases []Case, done func(i int, v Verdict) error) error {
	c, err := contractOf(j.Mode)
	if err == nil && j.Mode == Pair {
		err = fmt.Errorf("mode %s, want %s or %s to rate texts one by one", j.Mode, Strict, Paper)
	}
	if err != nil {
		return err
	}
	r := &rating{Judge: j, contract: c, cases: cases, done: done, of: make([][]*topic, len(cases)), open: make([]int, len(cases))}
	for i, x := range cases {
		if j.Mode == Checklist && len(x.Checklist) == 0 {
			return fmt.Errorf("%s has no checklist, want mode %s or %s to rate it", x.ID, Strict, Paper)
		}
		parts := partsOf(x.Text, j.Words)
		for k, text := range parts {
			p := part{text: text, prompt: x.Prompt, words: size(text)}
			if len(parts) > 1 {
				p.number = k + 1
				const asPart = "\n\n(The text below is part %d of %d of what was written. Rate it as such a part.)"
				p.prompt += fmt.Sprintf(asPart, k+1, len(parts))
			}
			for _, d := range r.asks(i) {
				t := &topic{part: p, owner: i, dimension: d.Name, about: d.About}
				r.topics, r.of[i] = append(r.topics, t), append(r.of[i], t)
				r.open[i]++
			}
		}
	}
	if len(r.topics) == 0 {
		return nil
	}
	// The first call says whether there are probabilities, and whether the judge thinks.
	if err := r.round(ctx, from, r.topics[:1]); err != nil {
		return err
	}
	for {
		n := len(r.calls)
		if err := r.round(ctx, from, r.topics); err != nil || len(r.calls) == n {
			return err
		}
	}
}

// part is what a judge is shown at once.
type part struct {
	prompt, text  string
	number, words int // number: 0 where it is all of a text
}

// asks is what the calls about a case are about.
func (r *rating) asks(i int) []Criterion {
	if r.Mode == Checklist {
		return r.cases[i].Checklist
	}
	var all []Criterion
	for _, d := range r.contract.Asks {
		all = append(all, Criterion{d, about[d] + "."})
	}
	return all
}

// names are what a case has marks of.
func (r *rating) names(i int) []string {
	if r.Mode != Checklist {
		return Dimensions
	}
	var all []string
	for _, c := range r.cases[i].Checklist {
		all = append(all, c.Name)
	}
	return all
}

// topic is what is to be found out: a dimension of a part, or all of them.
type topic struct {
	part
	owner     int // case
	dimension string
	about     string
	attempts  []Attempt
	settled   bool
	marks     map[string]float64
}

// call is a request about a topic.
type call struct {
	topic *topic
	try   int
}

// rating is a run of [Rate].
type rating struct {
	Judge
	contract Contract
	cases    []Case
	done     func(int, Verdict) error
	topics   []*topic
	of       [][]*topic // of a case
	calls    []call     // that were made
	open     []int      // topics of a case that are not settled
	plain    bool       // the judge tells no probabilities
	thinks   bool
}

// next are the tries that a topic wants at once: a try at a time until one can be read; of a
// strict one that has no probabilities, samples.
func (r *rating) next(t *topic) []int {
	n := len(t.attempts)
	switch {
	case t.settled:
		return nil
	case r.Mode == Paper:
		return []int{n}
	case n == 0 && !r.plain:
		return []int{0}
	}
	tries := make([]int, samples)
	for i := range tries {
		tries[i] = i + 1
	}
	return tries
}

// round makes the calls that the topics want, and tells of the cases that are through.
func (r *rating) round(ctx context.Context, from llm.Answerer, topics []*topic) error {
	var calls []call
	var requests []llm.Request
	for _, t := range topics {
		for _, try := range r.next(t) {
			calls, requests = append(calls, call{t, try}), append(requests, r.request(t, try))
		}
	}
	r.calls = append(r.calls, calls...)
	if len(calls) == 0 {
		return nil
	}
	return llm.Answer(ctx, from, requests, func(k int, reply llm.Reply) error {
		t := calls[k].topic
		r.take(t, calls[k].try, reply)
		if !t.settled {
			return nil
		}
		if r.open[t.owner]--; r.open[t.owner] > 0 {
			return nil
		}
		return r.done(t.owner, r.verdict(t.owner))
	})
}

func (r *rating) request(t *topic, try int) llm.Request {
	c := r.contract
	texts := []string{"$INST$", t.prompt, "$RESPONSE$", t.text, "$DIMENSION$", t.dimension + ": " + t.about}
	if r.Mode == Paper {
		return c.request(try, c.temperature, c.tokens, texts[:4]...)
	}
	if try == 0 {
		q := c.request(try, 0, c.tokens, texts...)
		q.TopLogprobs = probabilities
		return q
	}
	if r.thinks {
		return c.request(try, sampled, thinkTokens, texts...)
	}
	return c.request(try, sampled, c.tokens, texts...)
}

// take takes the reply to a try, and settles the topic where no other one can come.
func (r *rating) take(t *topic, try int, reply llm.Reply) {
	a := Attempt{ID: r.cases[t.owner].ID, Judge: r.Name, Mode: r.Mode, Dimension: t.dimension, Part: t.number, Try: try}
	a.settle(reply, func() error {
		marks, err := r.contract.read(reply.Text, t.dimension)
		if err != nil {
			return err
		}
		if r.Mode == Paper {
			a.Marks, a.Value = marks, Quality(marks)
			return nil
		}
		mark := marks[t.dimension]
		a.Value = &mark
		if mean, of, ok := expectation(reply.Logprobs, mark); ok && reply.Reasoning == "" {
			a.Value, a.Probabilities = &mean, of
		}
		return nil
	})
	t.attempts = append(t.attempts, a)
	r.thinks = r.thinks || reply.Reasoning != "" || a.Reason == errThought.Error()
	lost := a.Status == Refused || a.Status == TransportError
	switch {
	case r.Mode == Paper:
		t.marks = a.Marks
		t.settled = a.Status == Scored || lost || len(t.attempts) >= r.contract.Tries
	case try == 0:
		if a.Probabilities != nil {
			t.marks = map[string]float64{t.dimension: *a.Value}
		} else if !lost && len(r.calls) == 1 {
			r.plain = reply.Logprobs == nil || r.thinks
		}
		t.settled = a.Probabilities != nil || lost
	default:
		if n := len(t.attempts); n < samples || t.attempts[0].Try == 0 && n < 1+samples {
			return
		}
		t.settled = true
		if mean, ok := meanOf(t.attempts); ok {
			t.marks = map[string]float64{t.dimension: mean}
		}
	}
}

// expectation is the mean of the marks by their probabilities, at the token where the reply
// states its mark; false where none are told that agree with it.
func expectation(logprobs [][]llm.Candidate, mark float64) (mean float64, of map[string]float64, ok bool) {
	const most = 0.5 // of the probability there, that marks have
	for _, token := range logprobs {
		of, sum, mean := map[string]float64{}, 0.0, 0.0
		for _, c := range token {
			word := strings.TrimSpace(c.Token)
			m, err := strconv.Atoi(word)
			if p := math.Exp(c.Logprob); err == nil && m >= worst && m <= best && p > 0 && p <= 1.001 {
				of[word] += p
				sum += p
				mean += p * float64(m)
			}
		}
		if sum < most {
			continue
		}
		likeliest := slices.MaxFunc(slices.Sorted(maps.Keys(of)), func(a, b string) int { return cmp.Compare(of[a], of[b]) })
		if likeliest != strconv.Itoa(int(mark)) {
			return 0, nil, false
		}
		return min(max(mean/sum, worst), best), of, true
	}
	return 0, nil, false
}

// meanOf is the mean of the samples that can be read; false where that is less than half.
func meanOf(all []Attempt) (float64, bool) {
	sum, n := 0.0, 0
	for _, a := range all {
		if a.Try > 0 && a.Value != nil {
			sum += *a.Value
			n++
		}
	}
	return sum / float64(max(n, 1)), 2*n > samples
}

// verdict puts together what was found out of a case.
func (r *rating) verdict(i int) Verdict {
	v, names := Verdict{Marks: map[string]float64{}}, r.names(i)
	sums, words, lacking := map[string]float64{}, map[string]float64{}, map[string]bool{}
	for _, t := range r.of[i] {
		v.Chunked = v.Chunked || t.number > 0
		slices.SortFunc(t.attempts, func(a, b Attempt) int { return a.Try - b.Try })
		v.Attempts = append(v.Attempts, t.attempts...)
		for _, d := range names {
			if t.dimension != "" && t.dimension != d {
				continue
			}
			mark, ok := t.marks[d]
			lacking[d] = lacking[d] || !ok
			sums[d] += mark * float64(max(t.words, 1))
			words[d] += float64(max(t.words, 1))
		}
	}
	for _, d := range names {
		if !lacking[d] {
			v.Marks[d] = sums[d] / words[d]
		}
	}
	v.Quality = quality(v.Marks, names)
	return v
}
