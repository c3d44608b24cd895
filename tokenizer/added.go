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
// longest one. It looks at no byte of a text more often than maxAddedToken times.
type matcher struct {
	classes *classTable
	first   [256]bool // bytes that a token starts with
	only    int       // the one such byte if there is just one, else -1
	tokens  []addedToken

	// A trie: node 0 is the root, and ends has for each node the token that ends there,
	// -1 for none. links has the children, in open addressing: parent<<8 | byte, child.
	ends  []int32
	links []uint64
	shift uint // 64 - log2(len(links))
}

// grow makes room for tokens of n bytes together. It must be called before add.
func (m *matcher) grow(n int) {
	m.ends = append(make([]int32, 0, n+1), -1)
	m.links, m.shift = newPairs(n)
}

// add enters a token under the text it is to be found by.
func (m *matcher) add(text string, token addedToken) {
	if len(m.tokens) == 0 {
		m.only = int(text[0])
	}
	if m.only != int(text[0]) {
		m.only = -1
	}
	m.first[text[0]] = true
	node := int32(0)
	for i := 0; i < len(text); i++ {
		next, at := m.child(node, text[i])
		if next == 0 {
			next = int32(len(m.ends))
			m.ends = append(m.ends, -1)
			m.links[at] = (uint64(node)<<8|uint64(text[i]))<<32 | uint64(next)
		}
		node = next
	}
	if m.ends[node] < 0 {
		m.ends[node] = int32(len(m.tokens))
		m.tokens = append(m.tokens, token)
	}
}

// child is a node's child by a byte, 0 if there is none, and its place in links.
func (m *matcher) child(node int32, char byte) (child int32, at uint64) {
	key := uint64(node)<<8 | uint64(char)
	for at = key * hashMul >> m.shift; ; at = (at + 1) & uint64(len(m.links)-1) {
		switch e := m.links[at]; {
		case e>>32 == key:
			return int32(uint32(e)), at
		case e == noPair:
			return 0, at
		}
	}
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
			if node, _ = m.child(node, s[j]); node == 0 {
				break
			}
			j++
			if n := m.ends[node]; n >= 0 {
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
