package llm

import (
	"encoding/json"
	"strings"
)

// piece is what a server says at once: a whole reply, or an event of a stream.
type piece struct {
	Choices []struct {
		Message      message         `json:"message"`
		Delta        message         `json:"delta"`
		FinishReason string          `json:"finish_reason"`
		Logprobs     json.RawMessage `json:"logprobs"`
	} `json:"choices"`
	Usage json.RawMessage `json:"usage"`
	Error json.RawMessage `json:"error"`
}

// message is a model's, or a part of it. Servers differ in the name of what it thinks.
type message struct {
	Content          *string         `json:"content"`
	ReasoningContent json.RawMessage `json:"reasoning_content"`
	Reasoning        json.RawMessage `json:"reasoning"`
	Refusal          json.RawMessage `json:"refusal"`
	ToolCalls        json.RawMessage `json:"tool_calls"`
}

// said is all that a server has said of a reply.
type said struct {
	text, reasoning           strings.Builder
	answered                  bool // with a text, if an empty one
	pieces                    int  // that brought some of it, at most a token's each but where a server joins them
	finish, refusal           string
	tools                     bool
	prompt, completion, total int // tokens; 0: it does not say
	logprobs                  [][]Candidate
	broken                    json.RawMessage // the error in the midst of a stream
}

// add adds a piece, and reports whether it brought something of the reply.
func (s *said) add(p piece) (more bool) {
	var u struct {
		Prompt     int `json:"prompt_tokens"`
		Completion int `json:"completion_tokens"`
		Total      int `json:"total_tokens"`
	}
	if json.Unmarshal(p.Usage, &u) == nil { // no reply is lost for its count
		s.prompt, s.completion, s.total = max(s.prompt, u.Prompt), max(s.completion, u.Completion), max(s.total, u.Total)
	}
	if len(p.Error) > 0 && string(p.Error) != "null" {
		s.broken = p.Error
	}
	if len(p.Choices) == 0 {
		return false
	}
	first := p.Choices[0]
	for _, m := range []message{first.Message, first.Delta} {
		if m.Content != nil {
			s.answered = true
			s.text.WriteString(*m.Content)
			more = more || *m.Content != ""
		}
		thought := plain(m.ReasoningContent)
		if thought == "" {
			thought = plain(m.Reasoning)
		}
		s.reasoning.WriteString(thought)
		s.refusal += plain(m.Refusal)
		s.tools = s.tools || len(m.ToolCalls) > len("null")
		more = more || thought != ""
	}
	if first.FinishReason != "" {
		s.finish = first.FinishReason
	}
	s.logprobs = append(s.logprobs, candidates(first.Logprobs)...)
	if more {
		s.pieces++
	}
	return more
}

// plain is a text of JSON; "" where there is something else.
func plain(raw json.RawMessage) (text string) {
	if json.Unmarshal(raw, &text) != nil {
		return ""
	}
	return text
}

// candidates are the most probable tokens that a piece tells, by token; nil where it has
// another form.
func candidates(raw json.RawMessage) [][]Candidate {
	var told struct {
		Content []struct {
			Top []Candidate `json:"top_logprobs"`
		} `json:"content"`
	}
	if json.Unmarshal(raw, &told) != nil {
		return nil
	}
	var out [][]Candidate
	for _, token := range told.Content {
		out = append(out, token.Top)
	}
	return out
}

// mostTokens is how many tokens there may have been, at most, by what the server counts, and
// some more that it does not. Where it counts none, nearly each piece of a stream of short ones
// is a token. It is 0 where there is nothing to go by.
func (s *said) mostTokens() int {
	const uncounted, short = 8, 8 // tokens; bytes
	switch bytes := s.text.Len() + s.reasoning.Len(); {
	case s.completion > 0:
		return s.completion + uncounted
	case s.pieces > 1 && bytes < short*s.pieces:
		return s.pieces + s.pieces/4 + uncounted
	}
	return 0
}

// reply is what was said, as one that ended by itself.
func (s *said) reply() Reply {
	return Reply{
		Text: s.text.String(), Reasoning: s.reasoning.String(), Tokens: s.completion, Prompt: s.prompt, Stop: StopEOS, Logprobs: s.logprobs,
	}
}
