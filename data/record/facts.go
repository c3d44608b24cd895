package record

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"sync"
	"unicode/utf8"

	"lwtrain/chat"
	"lwtrain/internal/prose"
)

// Facts are what statistics need of a conversation's text, found while it is
// tokenised, so that the text is read once.
type Facts struct {
	Hash        uint64 // of roles and contents
	PromptWords int32  // of all messages but the assistant's, by [prose.Words]
	PromptChars int32
	AnswerChars int32
	Required    prose.Length // that the first prompt with a length asks for
	Real        int32        // words of the answer to that prompt
	Repeated    uint16       // of 10,000 eight-grams of an answer, those seen before; the worst answer's
	Language    prose.Language
	Suspicions  uint8 // bits: 1 << index into [Suspicions]
}

// Suspicions are what a conversation may be suspected of.
var Suspicions = []string{"unfinished", "refusal", "repetition", "no_words", "special_tokens", "repeats_prompt"}

const (
	unfinished    = 1 << iota // a long one whose end closes no sentence
	refusal                   // see prose.Refuses
	repetition                // at least repetitive of its eight-grams came before
	noWords                   // neither a word nor any other letter
	specialTokens             // a message spells tokens of the template, such as <|im_end|>
	repeatsPrompt             // it begins with the prompt, which is trained on as its answer
)

const (
	longAnswer = 100  // units from which an end without punctuation is suspicious
	repetitive = 2000 // of 10,000
)

// examine finds the facts of a conversation.
func examine(messages []chat.Message) Facts {
	f := Facts{Hash: hashMessages(messages)}
	var letters prose.Letters
	prompt := ""
	for _, m := range messages {
		if m.Role != "assistant" {
			f.PromptWords += int32(prose.Words(m.Content))
			f.PromptChars += int32(utf8.RuneCountInString(m.Content))
			if m.Role == "user" {
				prompt = m.Content
			}
			continue
		}
		f.AnswerChars += int32(utf8.RuneCountInString(m.Content))
		if f.Required == (prose.Length{}) && prompt != "" {
			if f.Required = prose.StatedLength(prompt); f.Required != (prose.Length{}) {
				f.Real = int32(prose.Words(m.Content))
			}
		}
		if repeats(prompt, m.Content) {
			f.Suspicions |= repeatsPrompt
		}
		prompt = ""
		shape := prose.Scan(m.Content)
		letters.Add(shape.Letters)
		f.Repeated = max(f.Repeated, shape.Repeated)
		f.Suspicions |= suspect(m.Content, shape)
	}
	if f.Repeated >= repetitive {
		f.Suspicions |= repetition
	}
	f.Language = letters.Language()
	return f
}

var hashPool = sync.Pool{New: func() any { return new([]byte) }}

// hashMessages tells conversations apart. Roles, contents and reasoning are held apart by
// bytes that valid UTF-8 does not have.
func hashMessages(messages []chat.Message) uint64 {
	buf := hashPool.Get().(*[]byte)
	defer hashPool.Put(buf)
	all := (*buf)[:0]
	for _, m := range messages {
		all = append(append(all, m.Role...), 0xFF)
		all = append(append(all, m.Content...), 0xFE)
		if m.Reasoning != "" {
			all = append(append(all, m.Reasoning...), 0xFD)
		}
	}
	*buf = all
	sum := sha256.Sum256(all)
	return binary.LittleEndian.Uint64(sum[:])
}

// leastRepeated is the least length of a prompt, in characters, that no answer begins with by
// chance: "Good morning!" is answered alike.
const leastRepeated = 20

// repeats reports whether an answer begins with the text of its prompt.
func repeats(prompt, answer string) bool {
	prompt, answer = strings.TrimSpace(prompt), strings.TrimSpace(answer)
	return prompt != "" && strings.HasPrefix(answer, prompt) && utf8.RuneCountInString(prompt) >= leastRepeated
}

// suspect finds what can be seen of one answer on its own.
func suspect(text string, shape prose.Shape) (found uint8) {
	if shape.Letters.All() == 0 {
		found |= noWords
	}
	if prose.Refuses(text) {
		found |= refusal
	}
	if shape.Units >= longAnswer && !prose.Finished(text) {
		found |= unfinished
	}
	return found
}
