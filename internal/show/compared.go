package show

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"lwtrain/answers"
	"lwtrain/internal/human"
	"lwtrain/internal/llm"
	"lwtrain/internal/terminal"
)

// sides are what two models are called.
var sides = [2]string{"A", "B"}

// Compared shows what two models answer, beside each other.
func Compared(w io.Writer, c *answers.Compared) {
	for i, p := range c.Prompts {
		prompt, isText := p.Prompt.(string)
		if !isText { // of messages the last one
			messages, _ := p.Prompt.([]llm.Message)
			prompt = messages[len(messages)-1].Content
		}
		const most = 6 // lines
		fmt.Fprintf(w, "prompt %d of %d\n%s", i+1, len(c.Prompts), terminal.Wrapped(prompt, most, most))
		head := [2]string{}
		for side, a := range p.Answers {
			head[side] = sides[side] + "  " + c.Models[side] + "\n" + said(a)
		}
		rule := strings.Repeat("-", 38)
		fmt.Fprintf(w, "\n%s%s%s\n", terminal.Beside(head[0], head[1]), terminal.Beside(rule, rule),
			terminal.Beside(p.Answers[0].Text, p.Answers[1].Text))
	}
	line := terminal.Labelled(w)
	for side, m := range c.Means {
		length := ""
		if m.Score != nil {
			length = fmt.Sprintf(", S_l %.1f", *m.Score)
		}
		line(sides[side], "%s", c.Models[side])
		line("", "%s words on average%s, %.1f %% repeated, %d of %d ended", human.Grouped(int(m.Words+0.5)), length,
			100*m.Repetition, m.Ended, len(c.Prompts))
	}
}

// said is what an answer is, in a line.
func said(a answers.Said) string {
	parts := []string{human.Count(a.Words, "word")}
	if a.Score != nil {
		parts = append(parts, fmt.Sprintf("S_l %.1f", *a.Score))
	}
	if a.Stop == llm.StopLength {
		parts = append(parts, "cut off")
	}
	return strings.Join(parts, ", ")
}

// ComparedJSON writes it as one object.
func ComparedJSON(w io.Writer, c *answers.Compared) error { return json.NewEncoder(w).Encode(c) }
