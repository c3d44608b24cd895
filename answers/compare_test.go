package answers

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"lwtrain/chat"
	"lwtrain/data/record"
	"lwtrain/internal/llm"
)

// writer answers request i with so many words, and stops at some.
type writer struct{ words []int }

func (w writer) Converse(_ context.Context, requests []llm.Request, done func(i int, r llm.Reply) ([]llm.Request, error)) error {
	for i := range slices.Backward(requests) {
		text := ""
		for range w.words[i] {
			text += "word "
		}
		stop := llm.StopEOS
		if w.words[i] > 100 {
			stop = llm.StopLength
		}
		if _, err := done(i, llm.Reply{Text: text, Tokens: 2 * w.words[i], Stop: stop}); err != nil {
			return err
		}
	}
	return nil
}

func TestTwoModelsAreComparedOneAfterTheOther(t *testing.T) {
	var prompts []record.Prompt
	for i, text := range []string{"Write 100 words.", "Write."} {
		prompts = append(prompts, record.Prompt{Messages: []chat.Message{{Role: "user", Content: text}}, Line: i + 1})
	}
	var course []string
	sides := []writer{{[]int{50, 20}}, {[]int{160, 10}}}
	c, err := Compare(t.Context(), Job{Prompts: prompts}, [2]string{"base", "mine"}, func(side int) (llm.Answerer, func(), error) {
		course = append(course, fmt.Sprint("open ", side))
		return sides[side], func() { course = append(course, fmt.Sprint("end ", side)) }, nil
	}, func(side int, _ llm.Reply) { course = append(course, fmt.Sprint("answer ", side)) })
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"open 0", "answer 0", "answer 0", "end 0", "open 1", "answer 1", "answer 1", "end 1"}; !slices.Equal(course, want) {
		t.Errorf("the course is %q, want %q", course, want)
	}
	first := c.Prompts[0]
	if first.Prompt != "Write 100 words." || first.Answers[0].Words != 50 || first.Answers[1].Words != 160 ||
		*first.Answers[0].Score != 50 ||
		math.Abs(*first.Answers[1].Score-80) > 1e-9 || c.Prompts[1].Answers[0].Score != nil {
		t.Errorf("%+v", c.Prompts)
	}
	base, mine := c.Means[0], c.Means[1]
	if base.Words != 35 || base.Tokens != 70 || *base.Score != 50 || base.Ended != 2 || mine.Words != 85 || mine.Ended != 1 {
		t.Errorf("%+v, %+v", base, mine)
	}
	broken := errors.New("broken")
	_, err = Compare(t.Context(), Job{Prompts: prompts}, [2]string{}, func(int) (llm.Answerer, func(), error) { return nil, nil, broken },
		func(int, llm.Reply) {})
	if err != broken {
		t.Errorf("got %v, want the error of what opens", err)
	}
}
