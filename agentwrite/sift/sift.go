// Package sift says which instructions and which answers become training data, as LongWriter's
// authors chose theirs (arXiv:2408.07055, section 3.2), and why each of the others does not.
//
// [Select] is about instructions, [Filter] about the answers to them. Both are Options of the
// YAML and judge lists in their order: what is left out has one reason, the first that holds, and
// evidence that a person can check. They read nothing but their arguments, draw nothing by chance, and
// take time and memory in proportion to the texts.
package sift

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"lwtrain/internal/prose"
)

// Verdict is what became of an instruction or of an answer.
type Verdict struct {
	Reason   string // why it is left out; "": it is taken
	Evidence string // what was found, in words
}

// The reasons why an instruction or an answer is left out.
const (
	NoText        = "no_text"        // it has no letters
	Language      = "language"       // it is none of the languages that are taken; an answer's is not its instruction's
	Duplicate     = "duplicate"      // it is an earlier one, but for case, blanks and punctuation
	NearDuplicate = "near_duplicate" // it is nearly an earlier one

	NoLength    = "no_length"     // the instruction states none
	TooShortAsk = "too_short_ask" // it asks for fewer words
	TooLongAsk  = "too_long_ask"  // it asks for more words
	Toxic       = "toxic"         // it has words of the list of toxic ones
	Scraping    = "scraping"      // it is after data: prompts of systems, texts word for word, records by the hundred
	NotLong     = "not_long"      // a model says that it needs no thousands of words
	NoVerdict   = "no_verdict"    // the model's reply says neither yes nor no
	Surplus     = "surplus"       // there are enough of its language, or in all

	TooShort   = "too_short"  // the answer has fewer words
	LengthOff  = "length"     // its length is too far from what was asked for
	Repetition = "repetition" // too much of it came before in it
	Loop       = "loop"       // it ends in a loop, or holds a long run of one character
	Unfinished = "unfinished" // it does not end as a whole text does
	Leftover   = "leftover"   // it has words of the plan or of a prompt
	Refusal    = "refusal"    // it, or a part of it, refuses
	ErrorText  = "error_text" // it has the text of an error
	Echo       = "echo"       // it is nearly the instruction
)

// keyOf is what a text has in common with its copies: letters in small ones, digits and signs of
// half width, without blanks and punctuation.
func keyOf(text string) [sha256.Size]byte {
	h := sha256.New()
	var buffer [4096]byte
	n := 0
	for _, r := range text {
		switch {
		case '！' <= r && r <= '～':
			r += '!' - '！'
		case r < utf8.RuneSelf:
		case unicode.Is(unicode.Cf, r):
			continue
		}
		if r != '+' && r != '#' && (unicode.IsSpace(r) || unicode.IsPunct(r) || r == '`') {
			continue
		}
		if n > len(buffer)-utf8.UTFMax {
			h.Write(buffer[:n])
			n = 0
		}
		n += utf8.EncodeRune(buffer[n:], unicode.ToLower(r))
	}
	h.Write(buffer[:n])
	return [sha256.Size]byte(h.Sum(nil))
}

// copies gives those of some texts a reason that are copies of earlier ones without any.
func copies(mode string, share float64, texts []string, verdicts []Verdict, what string) {
	if mode == "none" {
		return
	}
	first := map[[sha256.Size]byte]int{}
	var left []int
	var sketches []*prose.Sketch
	for i, text := range texts {
		if verdicts[i].Reason != "" {
			continue
		}
		key := keyOf(text)
		if at, there := first[key]; there {
			verdicts[i] = Verdict{Duplicate, fmt.Sprintf("the same as %s %d", what, at+1)}
			continue
		}
		first[key] = i
		if mode == "near" {
			left = append(left, i)
			sketches = append(sketches, sketchOf(text))
		}
	}
	for k, of := range prose.NearCopies(sketches, func(a, b int) bool { return sketches[a].Share(sketches[b]) >= share }) {
		if of >= 0 {
			verdicts[left[k]] = Verdict{NearDuplicate, fmt.Sprintf("%.2f of its five-grams are those of %s %d, want less than %g",
				sketches[k].Share(sketches[of]), what, left[of]+1, share)}
		}
	}
}

func sketchOf(text string) *prose.Sketch {
	return prose.SketchOf(func() uint64 {
		var sum uint64
		for _, r := range text {
			sum = sum*31 + uint64(r)
		}
		return sum
	}, text)
}

// excerpt is the beginning of a text on one line.
func excerpt(s string) string { return prose.Beginning(strings.Join(strings.Fields(s), " "), 80) }
