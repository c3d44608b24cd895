package record

import (
	"lwtrain/chat"
	"lwtrain/internal/prose"
)

// Sketch is what a conversation's near copies are known by.
type Sketch = prose.Sketch

// minhash sketches all that is said in a conversation.
func minhash(messages []chat.Message) *Sketch {
	texts := make([]string, 0, 2*len(messages))
	for _, m := range messages {
		texts = append(texts, m.Content, m.Reasoning)
	}
	return prose.SketchOf(func() uint64 { return hashMessages(messages) }, texts...)
}
