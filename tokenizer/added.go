package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// addedToken is one entry of tokenizer.json's added_tokens: text that becomes
// one id before anything else looks at it.
type addedToken struct {
	ID         int64  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"` // only where no word character touches it
	LStrip     bool   `json:"lstrip"`      // takes the white space before it
	RStrip     bool   `json:"rstrip"`      // takes the white space behind it
	Normalized bool   `json:"normalized"`  // looked for in the normalised text
	Special    bool   `json:"special"`
}

// matcher finds added tokens: at the leftmost place where there is one, the
// longest one.
type matcher struct {
	classes *classTable
	first   [256]bool // bytes that a token starts with
	only    int       // the one such byte if there is just one, else -1
	nodes   []trieNode
	tokens  []addedToken
}

type trieNode struct {
	char        byte
	token       int32 // index into tokens, -1: none ends here
	child, next int32 // first child, next sibling; 0: none
}

// add enters a token under the text it is to be found by.
func (m *matcher) add(text string, token addedToken) {
	if m.nodes == nil {
		m.nodes = []trieNode{{token: -1}}
		m.only = int(text[0])
	}
	if m.only != int(text[0]) {
		m.only = -1
	}
	m.first[text[0]] = true
	node := int32(0)
	for i := 0; i < len(text); i++ {
		next := m.child(node, text[i])
		if next == 0 {
			next = int32(len(m.nodes))
			m.nodes = append(m.nodes, trieNode{char: text[i], token: -1, next: m.nodes[node].child})
			m.nodes[node].child = next
		}
		node = next
	}
	if m.nodes[node].token < 0 {
		m.nodes[node].token = int32(len(m.tokens))
		m.tokens = append(m.tokens, token)
	}
}

func (m *matcher) child(node int32, char byte) int32 {
	for c := m.nodes[node].child; c != 0; c = m.nodes[c].next {
		if m.nodes[c].char == char {
			return c
		}
	}
	return 0
}

// find returns the next token at or behind from; start is -1 if there is none.
func (m *matcher) find(s string, from int) (start, end int, token *addedToken) {
	for i := from; i < len(s); i++ {
		if m.only >= 0 {
			n := strings.IndexByte(s[i:], byte(m.only))
			if n < 0 {
				break
			}
			i += n
		} else if !m.first[s[i]] {
			continue
		}
		node := int32(0)
		for j := i; j < len(s); {
			if node = m.child(node, s[j]); node == 0 {
				break
			}
			j++
			if n := m.nodes[node].token; n >= 0 {
				end, token = j, &m.tokens[n]
			}
		}
		if token != nil {
			return i, end, token
		}
	}
	return -1, 0, nil
}

// split calls piece for each part of s in order: with an added token's id, or
// with -1 and the text between them.
func (m *matcher) split(s string, piece func(id int32, start, end int)) {
	done, from := 0, 0
	for len(m.tokens) > 0 {
		start, end, token := m.find(s, from)
		if start < 0 {
			break
		}
		from = end
		if token.SingleWord && m.touchesWord(s, start, end) {
			continue
		}
		if token.LStrip {
			for start > done {
				r, size := utf8.DecodeLastRuneInString(s[done:start])
				if m.classes.of(r)&space == 0 {
					break
				}
				start -= size
			}
		}
		if token.RStrip {
			end = m.classes.skip(s, end, space, space)
		}
		if done < start {
			piece(-1, done, start)
		}
		piece(int32(token.ID), start, end)
		done = end
	}
	if done < len(s) {
		piece(-1, done, len(s))
	}
}

func (m *matcher) touchesWord(s string, start, end int) bool {
	if start > 0 {
		if r, _ := utf8.DecodeLastRuneInString(s[:start]); m.classes.of(r)&word != 0 {
			return true
		}
	}
	if end == len(s) {
		return false
	}
	class, _ := m.classes.at(s, end)
	return class&word != 0
}
