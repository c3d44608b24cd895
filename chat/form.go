package chat

import (
	"slices"
	"strings"
)

// turnForm is what probing found out about a template's assistant turns.
type turnForm struct {
	// headers are the texts that an answer may begin behind, longest first: the
	// generation prompt, and what turns share with it where the template writes
	// them otherwise (a <think> that only the prompt has).
	headers []string
	// prefixes do the same for a template without a generation prompt of its own
	// (Llama 2, Mistral): what follows a user's or tool's text, from its end on.
	prefixes []string
	ends     []int32 // tokens that end a turn
	// closes: the last turn has no end in the template (GLM-4, where the next
	// role token is the end), so that the ids get eos behind them.
	closes bool
	eos    int32
	// byRole: a turn ends where the next begins (GLM-4), so that any role's token
	// ends it.
	byRole bool
	// endless: the template's generation blocks hold no token that ends a turn.
	endless bool
	// filled: the template fails where a message has calls and no content, so that it gets an empty one.
	filled bool
}

// begin returns where the answer begins in the template's text before it.
func (f *turnForm) begin(gap string) (int, bool) {
	for _, h := range f.headers {
		if n := strings.Index(gap, h); n >= 0 {
			return n + len(h), strings.LastIndex(gap, h) == n
		}
	}
	best := 0
	for _, p := range f.prefixes {
		if strings.HasPrefix(gap, p) {
			best = max(best, len(p))
		}
	}
	return best, best > 0
}

func (f *turnForm) addEnd(id int32) {
	if !slices.Contains(f.ends, id) {
		f.ends = append(f.ends, id)
	}
}
