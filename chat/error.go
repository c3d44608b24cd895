package chat

import (
	"fmt"
	"slices"
	"strings"
)

// Reason says in a few words why a conversation can't be rendered or trained
// on; records that are dropped are counted by it.
type Reason string

// The reasons.
const (
	EmptyConversation Reason = "empty conversation"
	UnknownRole       Reason = "unknown role"
	NoAnswer          Reason = "no assistant turn"
	EmptyAnswer       Reason = "empty answer"
	TooMuchText       Reason = "too much text"
	RefusedByTemplate Reason = "refused by the template"
	NotRendered       Reason = "message not rendered by the template"
	LostReasoning     Reason = "reasoning not rendered by the template"
	LostContent       Reason = "content not rendered by the template"
	NoExactTarget     Reason = "answer not found exactly in the rendering"
)

// ConversationError is the error of a conversation, as against one of the
// tokenizer or the template.
type ConversationError struct {
	Reason  Reason
	Message int // the index of the message, -1: the conversation as a whole
	Role    string
	Key     string // what the record calls that which is lost, "": it has no key of its own
	Detail  string
	err     error
}

func (e *ConversationError) Error() string {
	if e.Message < 0 {
		return fmt.Sprintf("%s: %s", e.Reason, e.Detail)
	}
	return fmt.Sprintf("messages[%d] (%.40s): %s", e.Message, e.Role, e.Detail)
}

func (e *ConversationError) Unwrap() error { return e.err }

// roles are those that templates of this field know. A template may still
// refuse one of them.
var roles = []string{"system", "developer", "user", "assistant", "tool", "observation", "function", "function_call", "ipython"}

// maxText is how many bytes of text a conversation may have, rendered or not: four million
// tokens or more. Rendering and encoding take up to fifty times the memory.
const maxText = 16 << 20

// checkText refuses n bytes of text that are too many.
func checkText(n int) error {
	if n <= maxText {
		return nil
	}
	return &ConversationError{Reason: TooMuchText, Message: -1, Detail: fmt.Sprintf("%d bytes, want at most %d", n, maxText)}
}

// checkRoles refuses what no template is to be asked about.
func checkRoles(msgs []Message) error {
	if len(msgs) == 0 {
		return &ConversationError{Reason: EmptyConversation, Message: -1, Detail: "no messages, want at least one"}
	}
	text := 0
	for i, m := range msgs {
		if text += len(m.Content) + len(m.Reasoning); text > maxText {
			return checkText(text)
		}
		if !slices.Contains(roles, m.Role) {
			return &ConversationError{Reason: UnknownRole, Message: i, Role: m.Role,
				Detail: fmt.Sprintf("role %.40q is unknown, want one of %s", m.Role, strings.Join(roles, ", "))}
		}
	}
	return nil
}

// checkAnswers refuses a conversation that has nothing to learn.
func checkAnswers(msgs []Message) error {
	if err := checkRoles(msgs); err != nil {
		return err
	}
	found := false
	for i, m := range msgs {
		if m.Role != "assistant" {
			continue
		}
		found = true
		if isBlank(m) && m.Extra["tool_calls"] == nil {
			return &ConversationError{Reason: EmptyAnswer, Message: i, Role: m.Role, Detail: "the content is empty, want an answer"}
		}
	}
	if !found {
		return &ConversationError{Reason: NoAnswer, Message: -1, Detail: "no message has the role assistant, so there is nothing to learn"}
	}
	return nil
}

// isBlank reports whether the message has no text of its own. A content in
// Extra is left to the template.
func isBlank(m Message) bool {
	v, extra := m.Extra["content"]
	return strings.TrimSpace(m.Content) == "" && (!extra || v == nil)
}
