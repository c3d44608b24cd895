package eval

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"lwtrain/eval/tasks"
	"lwtrain/internal/fault"
	"lwtrain/internal/jsonl"
	"lwtrain/internal/llm"
	"lwtrain/internal/plainjson"
)

// Bounds of a file of answers: a line, and the values of JSON in it.
const mostLine, mostValues = 64 << 20, 1 << 16

// foreign is a line of a file of answers that others made.
type foreign struct {
	Prompt   *string         `json:"prompt"`
	ID       json.RawMessage `json:"id"`
	Index    *int            `json:"index"`
	Response *string         `json:"response"`
	Text     *string         `json:"text"`
	Stop     string          `json:"stop"`
	Finish   string          `json:"finish_reason"`
	Tokens   int             `json:"tokens"`
	Failed   string          `json:"failed"`
}

// errorTexts are what LongWriter's scripts write in the place of an answer that there is not.
var errorTexts = map[string]bool{"Max tries. Failed.": true, "Trigger OpenAI's content management policy": true}

// ReadAnswers reads answers to a task's prompts that others made: a line of JSON each, with
// the prompt, the id of the item or its index from 0, and the response (or text). A second
// answer to a prompt is another sample of it. An answer to no prompt of the task is refused.
func ReadAnswers(path string, t Asked) ([]Generation, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.Usage(err)
	}
	defer f.Close()
	m := newMatch(t)
	var out []Generation
	err = jsonl.Lines(path, f, mostLine, func(_ int, line []byte) error {
		g, err := m.read(line)
		out = append(out, g)
		return err
	})
	if err != nil {
		return nil, fault.Usage(fault.Hint(err,
			`a line is such as {"prompt": "...", "response": "..."}, or has "id" or "index" in the place of the prompt`))
	}
	if len(out) == 0 {
		return nil, fault.Usage(fmt.Errorf("%s: no answers there", path))
	}
	return out, nil
}

// match finds a task's items.
type match struct {
	task     Asked
	byID     map[string]int
	byPrompt map[string]int
	samples  []int // of each item, that came
}

func newMatch(t Asked) *match {
	m := &match{task: t, byID: map[string]int{}, byPrompt: map[string]int{}, samples: make([]int, len(t.Items))}
	for i := len(t.Items) - 1; i >= 0; i-- {
		m.byID[t.Items[i].ID] = i
		m.byPrompt[strings.TrimSpace(t.Items[i].Prompt)] = i
	}
	return m
}

// read reads a line.
func (m *match) read(line []byte) (Generation, error) {
	var row foreign
	if err := plainjson.DecodeLine(line, mostValues, &row); err != nil {
		return Generation{}, err
	}
	i, err := m.item(row)
	if err != nil {
		return Generation{}, err
	}
	it := m.task.Items[i]
	g := Generation{ID: it.ID, Sample: m.samples[i], Prompt: it.Prompt, Tokens: row.Tokens, Failed: row.Failed}
	m.samples[i]++
	text := row.Response
	if text == nil {
		text = row.Text
	} else if row.Text != nil && *row.Text != *text {
		return g, errors.New("both response and text, want one of them")
	}
	switch {
	case g.Failed != "":
	case text == nil:
		g.Failed = "no response"
	case errorTexts[strings.TrimSpace(*text)]:
		g.Failed = "an error's text: " + strings.TrimSpace(*text)
	default:
		g.Text = *text
		g.Words = m.task.Words(g.Text)
		g.Stop, g.Failed, err = stopOf(row.Stop, row.Finish)
	}
	return g, err
}

// stopOf is why an answer ended, as servers and lwtrain call it.
func stopOf(stop, finish string) (as, failed string, err error) {
	if stop == "" {
		stop = finish
	}
	switch stop {
	case "":
		return "", "", nil
	case llm.StopEOS, "stop", "end_turn", "stop_sequence":
		return llm.StopEOS, "", nil
	case llm.StopLength, "max_tokens":
		return llm.StopLength, "", nil
	case "content_filter", "error":
		return "", stop, nil
	}
	return "", "", fmt.Errorf("stop is %q, want eos, stop or length", stop)
}

// item finds which prompt a line answers: its prompt says so or, where it has none or several items have that one,
// its id or index.
func (m *match) item(row foreign) (int, error) {
	named := -1
	if len(row.ID) > 0 && string(row.ID) != "null" {
		id := string(row.ID)
		if unquoted := ""; json.Unmarshal(row.ID, &unquoted) == nil {
			id = unquoted
		}
		i, ok := m.byID[id]
		if !ok && row.Prompt == nil {
			return 0, fmt.Errorf("id %s, which no prompt of %s has", fault.Excerpt([]byte(id)), m.task.Name)
		}
		if ok {
			named = i
		}
	}
	if row.Index != nil {
		switch i := *row.Index; {
		case (i < 0 || i >= len(m.task.Items)) && row.Prompt == nil && named < 0:
			return 0, fmt.Errorf("index %d, want one from 0 to %d", i, len(m.task.Items)-1)
		case named < 0 && i >= 0 && i < len(m.task.Items):
			named = i
		case named >= 0 && i != named && row.Prompt == nil:
			return 0, fmt.Errorf("its id is that of prompt %d and its index %d, want one of them", named, i)
		}
	}
	if row.Prompt == nil {
		if named < 0 {
			return 0, errors.New("neither prompt nor id nor index")
		}
		return named, nil
	}
	prompt := strings.TrimSpace(*row.Prompt)
	if named >= 0 && strings.TrimSpace(m.task.Items[named].Prompt) == prompt {
		return named, nil
	}
	i, ok := m.byPrompt[prompt]
	if !ok {
		return 0, fmt.Errorf("an answer to %s, which is no prompt of %s", fault.Excerpt([]byte(*row.Prompt)), m.task.Name)
	}
	return i, nil
}

// Open finds a task and what it asks. What does not ship is fetched.
func Open(ctx context.Context, name string, f tasks.Fetcher) (Asked, error) {
	t, err := tasks.Open(name)
	if err == nil {
		err = t.Fetch(ctx, f)
	}
	if err != nil {
		return Asked{}, err
	}
	items, err := t.Items()
	return Asked{t, items}, err
}
