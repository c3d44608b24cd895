package judge

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"lwtrain/chat"
	"lwtrain/internal/llm"
	"lwtrain/model"
)

//go:embed prompts/choosing.txt
var choosingPrompt string

// choosing is the contract by which answers are rated for preference pairs: all dimensions in
// one object of JSON, tries, tokens and temperature as in LongBench-Write. Ratings of earlier runs
// rely on its bytes and on how strictly replies are read.
var choosing = Contract{Tries: 5, prompt: choosingPrompt, temperature: 0.5, tokens: 1024, read: strictMarks}

// choosingFrame finds what its prompt sets texts apart with, and the tokens by which models are told who speaks.
var choosingFrame = regexp.MustCompile(`(?i)<(\s*/?\s*(?:request|text)\s*)>|<(\|[^<>|]{1,64}\|)>`)

// Marks asks for the marks of an answer to be chosen or rejected. They are nil where none of
// the tries gave any. Refused is why a judge was not to be asked: nothing is known of the answer then. What may pass
// by itself is an error.
func Marks(ctx context.Context, c *llm.Client, messages []chat.Message, answer string, seed uint64) (
	marks map[string]float64, refused string, err error,
) {
	var request strings.Builder
	for i, m := range messages {
		if i > 0 {
			request.WriteString("\n\n")
		}
		if len(messages) > 1 {
			request.WriteString(m.Role + ": ")
		}
		request.WriteString(m.Content)
	}
	plain := func(text string) string { return choosingFrame.ReplaceAllString(text, "‹$1$2›") }
	prompt := strings.NewReplacer("$INST$", plain(request.String()), "$RESPONSE$", plain(answer)).Replace(choosing.prompt)
	ask := llm.Request{
		Messages:  []chat.Message{{Role: "user", Content: prompt}},
		Sampling:  model.Sampling{Temperature: choosing.temperature},
		MaxTokens: choosing.tokens,
	}
	for try := range uint64(choosing.Tries) {
		ask.Sampling.Seed = seed + try<<32
		r, err := c.Ask(ctx, ask)
		switch {
		case err != nil:
			return nil, "", err
		case isRefusal(r):
			return nil, r.Failed, nil
		case r.Failed != "":
			return nil, "", fmt.Errorf("%s: %s", c.URL, r.Failed)
		}
		if marks, err := choosing.read(r.Text, ""); err == nil {
			return marks, "", nil
		}
	}
	return nil, "", nil
}

// strictMarks reads the JSON object in a reply, with or without a fence around, whose marks are
// whole numbers.
func strictMarks(text, _ string) (map[string]float64, error) {
	from, to := strings.IndexByte(text, '{'), strings.LastIndexByte(text, '}')
	if from < 0 || to < from {
		return nil, errors.New("no object")
	}
	var all map[string]json.RawMessage
	if json.Unmarshal([]byte(text[from:to+1]), &all) != nil {
		return nil, errors.New("no object of JSON")
	}
	marks := map[string]float64{}
	for _, d := range Dimensions {
		n, err := strconv.Atoi(string(bytes.TrimSpace(all[d])))
		if err != nil || n < worst || n > best {
			return nil, errors.New("no mark for " + d)
		}
		marks[d] = float64(n)
	}
	return marks, nil
}
