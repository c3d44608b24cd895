package judge

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
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

// Marks asks for the marks of an answer to be chosen or rejected. They are nil where none of
// the tries gave any.
func Marks(ctx context.Context, c *llm.Client, messages []chat.Message, answer string, seed uint64) (map[string]float64, error) {
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
	prompt := strings.NewReplacer("$INST$", request.String(), "$RESPONSE$", answer).Replace(choosing.prompt)
	ask := llm.Request{
		Messages:  []chat.Message{{Role: "user", Content: prompt}},
		Sampling:  model.Sampling{Temperature: choosing.temperature},
		MaxTokens: choosing.tokens,
	}
	for try := range uint64(choosing.Tries) {
		ask.Sampling.Seed = seed + try<<32
		r, err := c.Ask(ctx, ask)
		if err != nil {
			return nil, err
		}
		if marks, err := choosing.read(r.Text, ""); err == nil {
			return marks, nil
		}
	}
	return nil, nil
}

// strictMarks reads the JSON object in a reply, with or without a fence around, whose marks are
// whole numbers.
func strictMarks(text, _ string) (map[string]float64, error) {
	from, to := strings.IndexByte(text, '{'), strings.LastIndexByte(text, '}')
	if from < 0 || to < from {
		return nil, errors.New("no object")
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text[from:to+1]), &all); err != nil {
		return nil, err
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
