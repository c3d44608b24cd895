package data

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"lwtrain/internal/fault"
	"lwtrain/tokenizer"
)

// Pair is a preference: two samples that answer the same prompt, by their index
// in the store. Their targets are the tokens of the answers, and none of the
// prompt's own assistant turns.
type Pair struct{ Chosen, Rejected int }

// Pairs lists the pairs to train on, in the order of the sources; nil unless the
// store was built of pairs ([Run.Pairs]).
func (s *Store) Pairs() []Pair { return s.pairsOf(s.train) }

// HeldOutPairs lists the pairs that are held out.
func (s *Store) HeldOutPairs() []Pair { return s.pairsOf(s.heldOut) }

// HeldOutPrompts lists the held-out samples with a prompt of their own: of a pair
// only the chosen one.
func (s *Store) HeldOutPrompts() []int {
	if !s.paired {
		return s.heldOut
	}
	var out []int
	for _, p := range s.HeldOutPairs() {
		out = append(out, p.Chosen)
	}
	return out
}

func (s *Store) pairsOf(samples []int) []Pair {
	if !s.paired {
		return nil
	}
	out := make([]Pair, len(samples)/2)
	for i := range out {
		out[i] = Pair{samples[2*i], samples[2*i+1]}
	}
	return out
}

// refuseCutting refuses options that would cut an answer: what is left of a pair
// would be another preference.
func (o Options) refuseCutting() error {
	if o.TooLong == "error" || o.TooLong == "skip" {
		return nil
	}
	return fault.Usage(fault.Hint(fmt.Errorf("data.too_long: %s, want error or skip: a pair is whole or not there", o.TooLong),
		"data.too_long: skip counts the pairs of which a side is longer than data.max_length"))
}

// preference is a record of a pair: each side's messages, the first shared of
// which are the prompt.
type preference struct {
	prompt           []tokenizer.Message
	chosen, rejected []tokenizer.Message // without the prompt
	tools            json.RawMessage
}

// parsePair reads a record with the keys chosen and rejected, each text, a message
// or a list of messages. The prompt comes from prompt (text or messages), messages,
// conversations or instruction and input; without any of them it is the messages
// that both lists begin with. A message is {"role", "content"} or ShareGPT's
// {"from", "value"}.
func parsePair(line []byte) (preference, error) {
	var p preference
	record, err := parseObject(line)
	if err != nil {
		return p, err
	}
	sides := [2][]tokenizer.Message{}
	for i, key := range []string{"chosen", "rejected"} {
		raw, ok := record[key]
		if !ok {
			return p, bad("no_pair", "a record without the key %s (%s), want chosen and rejected", key, keysOf(record))
		}
		if sides[i], err = parseMessages(key, raw, "assistant"); err != nil {
			return p, err
		}
	}
	p.chosen, p.rejected = sides[0], sides[1]
	if p.prompt, err = parsePrompt(record); err != nil {
		return p, err
	}
	if err := p.separate(); err != nil {
		return p, err
	}
	if raw, ok := record["tools"]; ok && string(raw) != "null" && string(raw) != "[]" && string(raw) != `""` {
		p.tools = raw
	}
	return p, p.check()
}

// promptKeys are the keys of a prompt, with the keys that may add to it.
var promptKeys = []string{"prompt", "messages", "conversations", "instruction"}

// parsePrompt returns the messages that a record gives for both sides, nil if
// there are none.
func parsePrompt(record map[string]json.RawMessage) (out []tokenizer.Message, err error) {
	from := ""
	for _, key := range promptKeys {
		if raw, ok := record[key]; !ok || string(raw) == "null" {
			continue
		} else if from != "" {
			return nil, bad("invalid_prompt", "a prompt under %s and another under %s, want one of them", from, key)
		} else if out, err = parseMessages(key, raw, "user"); err != nil {
			return nil, err
		}
		from = key
	}
	text := func(key string) (s string, err error) {
		if raw, ok := record[key]; ok && string(raw) != "null" {
			if json.Unmarshal(raw, &s) != nil {
				return "", bad("invalid_prompt", "%s is %s, want text", key, kindOf(raw))
			}
		}
		return s, nil
	}
	if from == "instruction" {
		if _, err := text("instruction"); err != nil {
			return nil, err
		}
		input, err := text("input")
		if err != nil {
			return nil, err
		}
		if input != "" {
			out[0].Content += "\n" + input
		}
		if raw, ok := record["history"]; ok && string(raw) != "null" {
			var turns [][]string
			if json.Unmarshal(raw, &turns) != nil {
				return nil, bad("invalid_prompt", "history is no list of [question, answer]")
			}
			var before []tokenizer.Message
			for i, t := range turns {
				if len(t) != 2 {
					return nil, bad("invalid_prompt", "history[%d] has %d texts, want a question and an answer", i, len(t))
				}
				before = append(before, tokenizer.Message{Role: "user", Content: t[0]}, tokenizer.Message{Role: "assistant", Content: t[1]})
			}
			out = append(before, out...)
		}
	}
	system, err := text("system")
	if err != nil {
		return nil, err
	}
	if system != "" && len(out) > 0 && out[0].Role != "system" {
		out = append([]tokenizer.Message{{Role: "system", Content: system}}, out...)
	}
	return out, nil
}

// parseMessages reads text, a message or a list of messages. Text is a message of
// the given role.
func parseMessages(key string, raw json.RawMessage, role string) ([]tokenizer.Message, error) {
	var list []json.RawMessage
	switch raw[0] {
	case '"':
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return nil, bad("invalid_messages", "%s: %v", key, err)
		}
		return []tokenizer.Message{{Role: role, Content: text}}, nil
	case '{':
		list = []json.RawMessage{raw}
	default:
		if err := json.Unmarshal(raw, &list); err != nil || list == nil {
			return nil, bad("invalid_messages", "%s is %s, want text, a message or a list of messages", key, kindOf(raw))
		}
	}
	out := make([]tokenizer.Message, len(list))
	for i, raw := range list {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(raw, &fields); err != nil || fields == nil {
			return nil, bad("invalid_messages", "%s[%d] is %s, want {\"role\": ..., \"content\": ...}", key, i, kindOf(raw))
		}
		var err error
		if out[i], err = parseMessage(openAI(fields)); err != nil {
			return nil, bad("invalid_messages", "%s[%d]: %v", key, i, err)
		}
	}
	return out, nil
}

// shareGPT is what ShareGPT calls the roles.
var shareGPT = map[string]string{"human": "user", "gpt": "assistant"}

// openAI gives the fields of one of ShareGPT's messages the usual names.
func openAI(fields map[string]json.RawMessage) map[string]json.RawMessage {
	from, value := fields["from"], fields["value"]
	if fields["role"] != nil || from == nil || value == nil {
		return fields
	}
	delete(fields, "from")
	delete(fields, "value")
	var role string
	if json.Unmarshal(from, &role) == nil && shareGPT[role] != "" {
		from = json.RawMessage(`"` + shareGPT[role] + `"`)
	}
	fields["role"], fields["content"] = from, value
	return fields
}

// separate takes the prompt off the two sides, which may repeat it, or finds it as
// what they begin with.
func (p *preference) separate() error {
	if p.prompt != nil && len(p.prompt) == 0 {
		return bad("empty_prompt", "the prompt has no messages, want at least one")
	}
	if p.prompt == nil {
		n := 0
		for n < min(len(p.chosen), len(p.rejected)) && equal(p.chosen[n], p.rejected[n]) {
			n++
		}
		if n == len(p.chosen) && n == len(p.rejected) { // equal answers, which check tells
			n = max(0, n-1)
		}
		p.prompt, p.chosen, p.rejected = p.chosen[:n:n], p.chosen[n:], p.rejected[n:]
		if n == 0 && len(p.chosen) > 0 && p.chosen[0].Role == "assistant" {
			return bad("no_prompt", "no prompt: none of %s, and nothing in common before the answers", strings.Join(promptKeys, ", "))
		}
		return nil
	}
	for _, side := range []*[]tokenizer.Message{&p.chosen, &p.rejected} {
		if n := len(p.prompt); len(*side) > n && slices.EqualFunc(p.prompt, (*side)[:n], equal) {
			*side = (*side)[n:]
		}
	}
	return nil
}

func equal(a, b tokenizer.Message) bool { return reflect.DeepEqual(a, b) }

// check refuses what is no preference.
func (p *preference) check() error {
	if len(p.prompt) == 0 {
		return bad("prompts_differ", "chosen and rejected begin with different messages, want the same prompt")
	}
	if last := p.prompt[len(p.prompt)-1]; last.Role == "assistant" {
		return bad("invalid_prompt", "the prompt ends with a message of the assistant, want one that is to be answered")
	}
	for i, side := range [][]tokenizer.Message{p.chosen, p.rejected} {
		key := []string{"chosen", "rejected"}[i]
		if len(side) == 0 {
			return bad("empty_answer", "%s has no answer behind the prompt", key)
		}
		if side[0].Role != "assistant" {
			return bad("prompts_differ", "%s goes on with a message of the %s behind the shared prompt, want the assistant's", key, side[0].Role)
		}
		if last := side[len(side)-1]; last.Role != "assistant" {
			return bad("no_answer", "%s ends with a message of the %s, want the assistant's", key, last.Role)
		} else if strings.TrimSpace(last.Content) == "" && last.Extra["tool_calls"] == nil {
			return bad("empty_answer", "the answer of %s is empty", key)
		}
	}
	if slices.EqualFunc(p.chosen, p.rejected, equal) {
		return bad("equal_answers", "chosen and rejected are the same")
	}
	return nil
}

// tokenisePair turns a record of a pair into its two sides.
func (t *toolChats) tokenisePair(l line) ([]record, error) {
	if l.tooLong {
		return nil, tooManyBytes()
	}
	p, err := parsePair(l.text)
	if err != nil {
		return nil, err
	}
	chat, err := t.of(p.tools)
	if err != nil {
		return nil, err
	}
	var out []record
	for _, side := range [][]tokenizer.Message{p.chosen, p.rejected} {
		messages := append(p.prompt[:len(p.prompt):len(p.prompt)], side...)
		r, err := rendered(chat, messages, len(p.prompt), l.number)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	if a, b := out[0].beginning(), out[1].beginning(); !slices.Equal(a, b) {
		return nil, bad("prompts_differ", "the template renders another prompt for rejected than for chosen")
	}
	return out, nil
}

// beginning is the ids before the first target.
func (r record) beginning() []int32 {
	if len(r.target) == 0 {
		return r.ids
	}
	return r.ids[:r.target[0][0]]
}

// usablePairs is usable for a source of pairs: it lists the entries of the chosen
// sides, and drops a pair of which either side cannot be used.
func (s *Store) usablePairs(source int, entries []entry, opts Options, noLoss bool) []int {
	stats := &s.sources[source]
	var out []int
	for k := 0; k+1 < len(entries); k += 2 {
		chosen, rejected := entries[k], entries[k+1]
		switch {
		case chosen.Targets == 0 || rejected.Targets == 0:
			stats.lose("no_target", chosen.Tokens+rejected.Tokens)
		case opts.TooLong == "skip" && max(chosen.Tokens, rejected.Tokens) > int32(opts.MaxLength):
			stats.lose("too_long", chosen.Tokens+rejected.Tokens)
		case noLoss:
			stats.drop("loss_factor_0", 1)
		default:
			out = append(out, k)
		}
	}
	return out
}
