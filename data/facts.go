package data

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"lwtrain/chat"
)

// facts is what statistics need of a conversation's text, found while it is
// tokenised, so that the text is read once.
type facts struct {
	Hash        uint64 // of roles and contents
	PromptWords int32  // of all messages but the assistant's, by [Words]
	PromptChars int32
	AnswerChars int32
	Required    Length // that the first prompt with a length asks for
	Real        int32  // words of the answer to that prompt
	Repeated    uint16 // of 10,000 eight-grams of an answer, those seen before; the worst answer's
	Language    uint8  // index into languages
	Suspicions  uint8  // bits: 1 << index into suspicions
}

// languages are told apart by the letters of the answers: zh has at least 70 %
// Chinese characters, en at least 90 % Latin letters (French is en, too), mixed
// is made of those two, other has more than 30 % of another script, or no
// letters.
var languages = []string{"en", "zh", "mixed", "other"}

const (
	langEN = iota
	langZH
	langMixed
	langOther
)

// suspicions are what a conversation may be suspected of.
var suspicions = []string{"unfinished", "refusal", "repetition", "no_words", "special_tokens"}

const (
	unfinished    = 1 << iota // a long one whose end closes no sentence
	refusal                   // it begins with one of refusalPhrases
	repetition                // at least repetitive of its eight-grams came before
	noWords                   // neither a word nor any other letter
	specialTokens             // a message spells tokens of the template, such as <|im_end|>
)

const (
	longAnswer = 100  // words from which an end without punctuation is suspicious
	gram       = 8    // words, or characters of scripts without blanks
	leastGrams = 64   // below, repetition says nothing
	repetitive = 2000 // of 10,000
)

// examine finds the facts of a conversation.
func examine(messages []chat.Message) facts {
	f := facts{Hash: hashMessages(messages)}
	var letters scripts
	prompt := ""
	for _, m := range messages {
		if m.Role != "assistant" {
			f.PromptWords += int32(Words(m.Content))
			f.PromptChars += int32(utf8.RuneCountInString(m.Content))
			if m.Role == "user" {
				prompt = m.Content
			}
			continue
		}
		f.AnswerChars += int32(utf8.RuneCountInString(m.Content))
		if f.Required == (Length{}) && prompt != "" {
			if f.Required = StatedLength(prompt); f.Required != (Length{}) {
				f.Real = int32(Words(m.Content))
			}
		}
		prompt = ""
		own, words, repeated := scan(m.Content)
		letters.add(own)
		f.Repeated = max(f.Repeated, repeated)
		f.Suspicions |= suspect(m.Content, words, own)
	}
	if f.Repeated >= repetitive {
		f.Suspicions |= repetition
	}
	f.Language = letters.language()
	return f
}

var hashPool = sync.Pool{New: func() any { return new([]byte) }}

// hashMessages tells conversations apart. Roles and contents are held apart by
// bytes that valid UTF-8 does not have.
func hashMessages(messages []chat.Message) uint64 {
	buf := hashPool.Get().(*[]byte)
	defer hashPool.Put(buf)
	all := (*buf)[:0]
	for _, m := range messages {
		all = append(append(all, m.Role...), 0xFF)
		all = append(append(all, m.Content...), 0xFE)
	}
	*buf = all
	sum := sha256.Sum256(all)
	return binary.LittleEndian.Uint64(sum[:])
}

// suspect finds what can be seen of one answer on its own.
func suspect(text string, words int, letters scripts) (found uint8) {
	if letters.all() == 0 {
		found |= noWords
	}
	if refuses(text) {
		found |= refusal
	}
	if words >= longAnswer && !closed(text) {
		found |= unfinished
	}
	return found
}

// refusalPhrases begin answers that refuse, in small letters.
var refusalPhrases = []string{
	"i'm sorry, but", "i am sorry, but", "sorry, but i can", "i apologize, but", "i'm unable to", "i am unable to", "i cannot ", "i can't ", "i won't be able to",
	"as an ai", "as a language model", "as a large language model", "i'm just an ai", "i am just an ai", "i'm not able to", "i am not able to", "unfortunately, i can",
	"抱歉，我", "很抱歉，", "对不起，我", "非常抱歉", "作为一个ai", "作为一个人工智能", "作为人工智能", "作为ai", "作为一个语言模型", "我无法", "我不能",
}

func refuses(text string) bool {
	text = strings.TrimLeft(text, " \t\r\n\"'“*")
	if text == "" || text[0] < utf8.RuneSelf && !strings.ContainsRune("iasu", rune(text[0]|0x20)) {
		return false // most answers, at once: no phrase begins so
	}
	start := strings.ToLower(head(text, 64))
	start = strings.ReplaceAll(start, "’", "'")
	for _, p := range refusalPhrases {
		if strings.HasPrefix(start, p) {
			return true
		}
	}
	return false
}

// closed reports whether a text ends as a finished one does: with punctuation
// that closes a sentence, behind it quotes, brackets or markup, or with a short
// line of its own, as a signature or "The End".
func closed(text string) bool {
	text = strings.TrimSpace(text)
	last := text[strings.LastIndexByte(text, '\n')+1:]
	if strings.Contains(text, "\n") && utf8.RuneCountInString(last) <= 24 && Words(last) <= 6 && !strings.HasSuffix(last, ",") && !strings.HasSuffix(last, "，") {
		return true
	}
	r, _ := utf8.DecodeLastRuneInString(text)
	return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !strings.ContainsRune(",，、;；-–&", r) || strings.HasPrefix(last, "#")
}

// scripts counts letters.
type scripts struct{ chinese, latin, other int }

func (s *scripts) add(o scripts) {
	s.chinese, s.latin, s.other = s.chinese+o.chinese, s.latin+o.latin, s.other+o.other
}

func (s scripts) all() int { return s.chinese + s.latin + s.other }

func (s scripts) language() uint8 {
	share := func(n int) float64 { return float64(n) / float64(s.all()) }
	switch {
	case s.all() == 0 || share(s.other) > 0.3:
		return langOther
	case share(s.chinese) >= 0.7:
		return langZH
	case share(s.latin) >= 0.9:
		return langEN
	}
	return langMixed
}

// grams is the memory of scan.
type grams struct {
	units []uint64 // a hash of each word, or of each character of a script without blanks
	seen  []uint64 // an open hash table
}

var gramPool = sync.Pool{New: func() any { return &grams{} }}

// Repeated is the share of a text's eight-grams (of words, or of characters where
// words have no blanks) that came before in it: 0 for a text that goes on, near 1
// for one that is caught in a loop.
func Repeated(text string) float64 {
	_, _, repeated := scan(text)
	return float64(repeated) / 10000
}

// scan counts the letters of an answer, its words (every run of letters and
// digits, and every character of a script without blanks), and how many of
// 10,000 of its eight-grams came before in it.
func scan(text string) (letters scripts, words int, repeated uint16) {
	g := gramPool.Get().(*grams)
	defer gramPool.Put(g)
	letters = g.split(text)
	return letters, len(g.units), g.repeated()
}

// split finds the units of a text, and counts its letters.
func (g *grams) split(text string) (letters scripts) {
	g.units = g.units[:0]
	const prime = 1099511628211 // FNV's
	word, inWord := uint64(0), false
	end := func() {
		if inWord {
			g.units = append(g.units, word)
			word, inWord = 0, false
		}
	}
	for i := 0; i < len(text); {
		r, size := rune(text[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(text[i:])
		}
		i += size
		switch {
		case 'a' <= r|0x20 && r|0x20 <= 'z' && r < utf8.RuneSelf:
			letters.latin++
			word, inWord = (word^uint64(r|0x20))*prime, true
		case '0' <= r && r <= '9':
			word, inWord = (word^uint64(r))*prime, true
		case 0x4E00 <= r && r <= 0x9FFF:
			letters.chinese++
			end()
			g.units = append(g.units, uint64(r)*prime)
		case r < utf8.RuneSelf || !unicode.IsLetter(r):
			end()
		default:
			if unicode.Is(unicode.Latin, r) {
				letters.latin++
			} else {
				letters.other++
			}
			if 0x3040 <= r && r <= 0x30FF || unicode.Is(unicode.Thai, r) {
				end()
				g.units = append(g.units, uint64(r)*prime)
			} else {
				word, inWord = (word^uint64(r))*prime, true
			}
		}
	}
	end()
	return letters
}

const hashBase = 0x9E3779B97F4A7C15

// oldest is hashBase^(gram-1), the factor of a window's first unit.
var oldest = func() uint64 {
	power := uint64(1)
	for range gram - 1 {
		power *= hashBase
	}
	return power
}()

// repeated counts the windows of units that came before.
func (g *grams) repeated() uint16 {
	n := len(g.units) - gram + 1
	if n < leastGrams {
		return 0
	}
	size := 1
	for size < 2*n {
		size *= 2
	}
	if cap(g.seen) < size {
		g.seen = make([]uint64, size)
	}
	g.seen = g.seen[:size]
	clear(g.seen)
	// A polynomial of a window's units, so that the next window's follows from it.
	again, sum := 0, uint64(0)
	for _, u := range g.units[:gram-1] {
		sum = (sum + u) * hashBase
	}
	for i, u := range g.units[gram-1:] {
		sum += u
		h := sum
		sum = (sum - g.units[i]*oldest) * hashBase
		h ^= h >> 32
		h *= hashBase
		h ^= h >> 29
		h |= 1 // 0 is an empty place
		at := int(h>>1) & (size - 1)
		for g.seen[at] != 0 && g.seen[at] != h {
			at = (at + 1) & (size - 1)
		}
		if g.seen[at] == h {
			again++
		}
		g.seen[at] = h
	}
	return uint16(again * 10000 / n)
}
