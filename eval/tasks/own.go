package tasks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"lwtrain/examples"
	"lwtrain/internal/fault"
	"lwtrain/internal/jsonl"
	"lwtrain/internal/plainjson"
	"lwtrain/internal/prose"
)

// Bounds of a file of prompts: its bytes, those of a line and values of JSON in it, prompts, and words that one asks for.
const mostBytes, mostLine, mostValues, mostItems, mostWords = 1 << 30, 16 << 20, 1 << 10, 1 << 20, 1 << 30

// Open finds a task by its name, or makes one of a .jsonl file of a user's own.
func Open(name string) (Task, error) {
	for _, t := range all {
		if t.Name == name {
			return t, nil
		}
	}
	if strings.HasSuffix(name, ".jsonl") {
		return own(name), nil
	}
	err := fmt.Errorf("%s is no task, want one of %s, or a .jsonl file", name, strings.Join(Names(), ", "))
	hint := "`lwtrain eval ls` says what they ask"
	if meant := fault.Likest(name, Names()); meant != "" {
		hint = "did you mean " + meant + "? " + hint
	}
	return Task{}, fault.Usage(fault.Hint(err, hint))
}

// own is a task of a user's own.
func own(path string) Task {
	return Task{
		Name: strings.TrimSuffix(filepath.Base(path), ".jsonl"), About: "prompts of " + path, Source: path,
		Items: func() ([]Item, error) { return ownItems(path) },
		Words: prose.Words, Counted: longWriterWords, Ranges: prose.Benchmark,
	}
}

// row is a line of such a file.
type row struct {
	ID     json.RawMessage `json:"id"`
	Prompt string          `json:"prompt"`
	Length int             `json:"length"`
	Min    int             `json:"min_words"`
	Max    int             `json:"max_words"`
	Type   string          `json:"type"`
}

func ownItems(path string) ([]Item, error) {
	f, err := openOwn(path)
	if err != nil {
		return nil, fault.Usage(err)
	}
	defer f.Close()
	var items []Item
	seen := map[string]int{}
	size := 0
	err = jsonl.Lines(path, f, mostLine, func(n int, line []byte) error {
		it, err := ownItem(line, n)
		size += len(line)
		switch {
		case err != nil:
			return err
		case seen[it.ID] > 0:
			return fmt.Errorf("the id %s is that of line %d, too, want one of its own", it.ID, seen[it.ID])
		case len(items) == mostItems:
			return fmt.Errorf("more than %d prompts", mostItems)
		case size > mostBytes:
			return fmt.Errorf("more than %d MiB up to here", mostBytes>>20)
		}
		seen[it.ID] = n
		items = append(items, it)
		return nil
	})
	if err != nil {
		return nil, fault.Usage(fault.Hint(err,
			`a line is such as {"id": "a1", "prompt": "...", "length": 800, "type": "story"}; a range has min_words and max_words`))
	}
	if len(items) == 0 {
		return nil, fault.Usage(fmt.Errorf("%s: no prompts there", path))
	}
	return items, nil
}

// openOwn opens a file, or one that ships.
func openOwn(path string) (fs.File, error) {
	if name, ok := strings.CutPrefix(path, examples.Scheme); ok {
		return examples.FS.Open(name)
	}
	return os.Open(path)
}

// ownItem reads a line; an item without an id has the line's number.
func ownItem(line []byte, number int) (Item, error) {
	if !plainjson.Within(line, mostValues) {
		return Item{}, fmt.Errorf("more than %d values of JSON", mostValues)
	}
	in := json.NewDecoder(bytes.NewReader(line))
	in.DisallowUnknownFields()
	var r row
	if err := in.Decode(&r); err != nil {
		if key, ok := plainjson.Unknown(err); ok {
			return Item{}, fmt.Errorf("unknown key %s, want id, prompt, length, min_words, max_words, type", key)
		}
		return Item{}, plainjson.InWords(line, err)
	}
	if _, err := in.Token(); err != io.EOF {
		return Item{}, errors.New("more behind the object, want one a line")
	}
	if err := plainjson.Lost(line); err != nil {
		return Item{}, err
	}
	switch {
	case strings.TrimSpace(r.Prompt) == "":
		return Item{}, errors.New("no prompt")
	case r.Length < 0 || r.Min < 0 || r.Max < 0:
		return Item{}, errors.New("a length below 0")
	case max(r.Length, r.Min, r.Max) > mostWords:
		return Item{}, fmt.Errorf("a length above %d", mostWords)
	case r.Length > 0 && (r.Min > 0 || r.Max > 0):
		return Item{}, errors.New("length beside min_words or max_words, want one of them")
	case r.Max > 0 && r.Max < r.Min:
		return Item{}, fmt.Errorf("max_words %d, want at least min_words (%d)", r.Max, r.Min)
	}
	id := strconv.Itoa(number)
	switch first := append(r.ID, 0)[0]; {
	case first == '"':
		if err := plainjson.Unmarshal(r.ID, &id); err != nil {
			return Item{}, err
		}
	case first == '-' || '0' <= first && first <= '9':
		id = string(r.ID)
	case first != 0 && first != 'n': // null
		return Item{}, errors.New("an id that is neither a text nor a number")
	}
	return Item{ID: id, Prompt: r.Prompt, Asked: Asked{r.Length, r.Min, r.Max}, Type: r.Type}, nil
}
