package judge

import (
	_ "embed"
	"fmt"
	"regexp"
	"strings"

	"lwtrain/chat"
	"lwtrain/internal/llm"
	"lwtrain/internal/rng"
	"lwtrain/model"
)

// Mode is how a judge is asked.
type Mode string

// The modes.
const (
	Strict Mode = "strict" // a dimension at a time, the mark first
	Paper  Mode = "paper"  // all dimensions in one object of JSON, as LongBench-Write was released
	Pair   Mode = "pair"   // which of two texts is the better one

	Checklist Mode = "checklist" // as strict, of what each case is to be rated by instead of the dimensions
)

// Dimensions are those of LongBench-Write's S_q (arXiv:2408.07055, section 2.2).
var Dimensions = []string{"Relevance", "Accuracy", "Coherence", "Clarity", "Breadth and Depth", "Reading Experience"}

// Marks go from worst to best.
const worst, best = 1, 5

// Quality is S_q: the mean of the marks of all dimensions, on a scale from 0 to 100; nil
// where one is missing.
func Quality(marks map[string]float64) *float64 {
	return quality(marks, Dimensions)
}

// quality is that of other names.
func quality(marks map[string]float64, names []string) *float64 {
	sum := 0.0
	for _, d := range names {
		m, ok := marks[d]
		if !ok {
			return nil
		}
		sum += m - worst
	}
	q := 100 / float64(best-worst) * sum / float64(len(names))
	return &q
}

// A Contract is what a judge is told to reply, and what its reply is read as: the two are
// one thing, so that neither changes without the other.
type Contract struct {
	Mode  Mode
	Asks  []string // what each call is about: one dimension, or "" for all at once
	Tries int      // calls about the same thing, at most

	prompt      string // with $NAMES$ of what is put in
	temperature float64
	tokens      int // of a reply

	// read reads a reply to what was asked about: the marks, each from 1 to 5, or what text A is
	// worth. What it can not read is an error that says why.
	read func(reply, ask string) (map[string]float64, error)
}

//go:embed prompts/paper.txt
var paperPrompt string // LongWriter's evaluation/judge.txt, Apache-2.0

//go:embed prompts/strict.txt
var strictPrompt string

//go:embed prompts/pair.txt
var pairPrompt string

const (
	shortTokens   = 16   // of a reply that is a mark alone
	thinkTokens   = 4096 // where a judge thinks before it
	samples       = 3    // of a mark, where there are no probabilities
	sampled       = 0.7  // temperature of these
	probabilities = 20   // at each token, which is as many as OpenAI gives
)

// contractOf is the contract of a mode.
func contractOf(m Mode) (Contract, error) {
	switch m {
	case Strict:
		return Contract{Mode: m, Asks: Dimensions, Tries: 1 + samples, prompt: strictPrompt, tokens: shortTokens, read: readOne}, nil
	case Checklist: // each case brings what it asks
		return Contract{Mode: m, Tries: 1 + samples, prompt: strictPrompt, tokens: shortTokens, read: readOne}, nil
	case Paper:
		return Contract{Mode: m, Asks: []string{""}, Tries: 5, prompt: paperPrompt, temperature: 0.5, tokens: 1024, read: readAll}, nil
	case Pair:
		return Contract{Mode: m, Asks: []string{""}, Tries: 3, prompt: pairPrompt, tokens: shortTokens, read: readChoice}, nil
	}
	return Contract{}, fmt.Errorf("a judge of mode %q, want %s, %s, %s or %s", m, Strict, Paper, Pair, Checklist)
}

// Calls is how many calls a text takes at the least, of a checklist of so many criteria where that is the mode: each thing is asked
// about once, and the text is shown whole.
func (m Mode) Calls(criteria int) int {
	switch m {
	case Strict:
		return len(Dimensions)
	case Checklist:
		return criteria
	case Pair:
		return len(orders)
	}
	return 1
}

// about says what a dimension is.
var about = map[string]string{
	"Relevance":          "it does what the request asks for, and nothing else",
	"Accuracy":           "what it says is right, and agrees with the request",
	"Coherence":          "its parts follow from each other, without contradictions or repetition",
	"Clarity":            "it is clear and to the point, without empty phrases",
	"Breadth and Depth":  "it covers what matters, and in enough detail",
	"Reading Experience": "it is good to read: wording, structure, interest",
}

// request is a call: names and texts alternate, as in strings.NewReplacer. All are put in at
// once, so that what looks like a name in a text stays as it is, and none of them closes the
// marks around it.
func (c Contract) request(try int, temperature float64, tokens int, texts ...string) llm.Request {
	for i := 1; i < len(texts); i += 2 {
		texts[i] = harmless(texts[i])
	}
	return llm.Request{
		Messages:  []chat.Message{{Role: "user", Content: strings.NewReplacer(texts...).Replace(c.prompt)}},
		Sampling:  model.Sampling{Temperature: temperature, TopP: 1, Seed: seedOf(try)},
		MaxTokens: tokens,
	}
}

// seedOf is the seed of a try. Each try of all cases has its own.
func seedOf(try int) uint64 { return rng.New(0, "judge", uint64(try)).Uint64() }

// frame finds what a prompt sets texts apart with, however it is written, and the tokens by
// which models are told who speaks.
var frame = regexp.MustCompile(`(?i)<(\s*/?\s*(?:user[\s_]*request|response|writing[\s_]*request|written[\s_]*text(?:[\s_]*[ab])?)\s*)>` +
	`|<(\|[^<>|]{1,64}\|)>`)

// harmless is a text without the marks of a prompt: other brackets stand in their place.
func harmless(text string) string { return frame.ReplaceAllString(text, "‹$1$2›") }
