package sift

import (
	"fmt"
	"strconv"
	"strings"

	"lwtrain/internal/prose"
)

// Filter says which answers are taken. Each field is a key of the YAML: package configs shows its
// comment to users and checks values by its tags.
type Filter struct {
	// of answers whose instruction states a length, the least S_l (LongBench-Write); 0: any
	MinLengthScore float64 `yaml:"min_length_score" min:"0" max:"100"`
	// of answers whose instruction states none, the fewest words
	MinWords int `yaml:"min_words" min:"0"`
	// the share of windows of eight words (or Chinese characters) that may have come before in the answer; 1: any
	MaxRepeated float64 `yaml:"max_repeated" min:"0" max:"1"`
	// leave out what ends in a loop, or holds a long run of one character
	Loops bool `yaml:"loops"`
	// only answers that end as whole texts do: with punctuation, behind it quotes, brackets or markup, or with a short last line
	Finished bool `yaml:"finished"`
	// only answers in the language that the instruction asks for
	Language bool `yaml:"language"`
	// take away headings and labels of the plan that stand by themselves (Paragraph 3, 段落3), as LongWriter's authors did
	Strip bool `yaml:"strip"`
	// leave out what has words of the plan or of a prompt (Word Count: 400, Main Point, $STEP$, to be continued)
	Leftovers bool `yaml:"leftovers"`
	// leave out what refuses, as a whole or in a paragraph, and what has the text of an error
	Refusals bool `yaml:"refusals"`
	// which answers are left out as copies of earlier ones, or of their instruction: exact ones (but for case, blanks and
	// punctuation), or near ones too (MinHash, near_share of their five-grams in common)
	Dedup string `yaml:"dedup" enum:"none|exact|near"`
	// of dedup: near
	NearShare float64 `yaml:"near_share" min:"0.6" max:"1"`
}

// DefaultFilter is what holds where nothing else is said.
func DefaultFilter() Filter {
	return Filter{
		MinLengthScore: 60, MinWords: 2000, MaxRepeated: 0.2, Loops: true, Finished: true, Language: true, Strip: true,
		Leftovers: true, Refusals: true, Dedup: "near", NearShare: 0.8,
	}
}

// Answer is what was written to an instruction.
type Answer struct {
	Instruction Instruction
	Text        string
}

// Judged is what became of an answer.
type Judged struct {
	Verdict
	Text     string   // what is to be learnt: the answer, stripped where that is asked for
	Stripped []string // what was taken away
}

// Judge judges answers, in their order: the first of those that are alike is taken.
func (o Filter) Judge(all []Answer) []Judged {
	judged := make([]Judged, len(all))
	verdicts := make([]Verdict, len(all))
	texts := make([]string, len(all))
	for i, a := range all {
		judged[i] = o.one(a)
		verdicts[i], texts[i] = judged[i].Verdict, judged[i].Text
	}
	copies(o.Dedup, o.NearShare, texts, verdicts, "answer")
	for i, v := range verdicts {
		judged[i].Verdict = v
	}
	return judged
}

// one judges an answer by itself and its instruction.
func (o Filter) one(a Answer) Judged {
	j := Judged{Text: a.Text}
	if o.Strip {
		j.Text, j.Stripped = Strip(a.Text)
	}
	shape := prose.Scan(j.Text)
	if shape.Letters.All() == 0 {
		j.Verdict = Verdict{NoText, "no letters"}
		return j
	}
	for _, rule := range []func(Answer, string, prose.Shape) Verdict{
		o.refusal, o.leftover, o.echo, o.language, o.repetition, o.length, o.end,
	} {
		if j.Verdict = rule(a, j.Text, shape); j.Reason != "" {
			return j
		}
	}
	return j
}

func (o Filter) refusal(_ Answer, text string, _ prose.Shape) (v Verdict) {
	if o.Refusals {
		return Paragraph(text)
	}
	return v
}

func (o Filter) leftover(a Answer, text string, _ prose.Shape) (v Verdict) {
	if !o.Leftovers {
		return v
	}
	if found := leftoverIn(text, a.Instruction.Text); found != "" {
		return Verdict{Leftover, excerpt(found)}
	}
	return v
}

func (o Filter) echo(a Answer, text string, _ prose.Shape) (v Verdict) {
	switch {
	case o.Dedup == "none":
	case keyOf(a.Instruction.Text) == keyOf(text):
		return Verdict{Echo, "the same as its instruction"}
	case o.Dedup == "near":
		if share := sketchOf(a.Instruction.Text).Share(sketchOf(text)); share >= o.NearShare {
			return Verdict{Echo, fmt.Sprintf("%.2f of its five-grams are those of its instruction, want less than %g", share, o.NearShare)}
		}
	}
	return v
}

// language wants a Chinese answer where Chinese is asked for, and an English one where English is;
// one of both has to have more words of it. Of what asks for several, or another, any is fine.
func (o Filter) language(a Answer, _ string, shape prose.Shape) (v Verdict) {
	const lettersOfWord = 5 // English ones to a word, about
	asked, real := prose.AskedLanguage(a.Instruction.Text), shape.Letters.Language()
	chinese := shape.Letters.Chinese > shape.Letters.Latin/lettersOfWord
	fits := real == asked || real == prose.Mixed && chinese == (asked == prose.Chinese)
	if !o.Language || asked > prose.Chinese || fits {
		return v
	}
	return Verdict{Language, fmt.Sprintf("the answer is of the language %s, want %s", prose.Languages[real], prose.Languages[asked])}
}

// A character may be so often in a row, blanks between aside, and one that rules and dotted lines are
// made of.
const (
	longestRun, longestRule = 64, 400

	ofRules = "-=_*.·•…—─━═~#|"
)

func (o Filter) repetition(_ Answer, text string, shape prose.Shape) (v Verdict) {
	if share := float64(shape.Repeated) / 10000; share > o.MaxRepeated {
		return Verdict{Repetition, fmt.Sprintf("%.2f of its windows of eight came before in it, want at most %g", share, o.MaxRepeated)}
	}
	if !o.Loops {
		return v
	}
	if at := prose.LoopStart(text); at >= 0 {
		return Verdict{Loop, fmt.Sprintf("it ends in a loop from word %d of %d on", at+1, shape.Units)}
	}
	r, n := prose.LongestRun(text)
	most := longestRun
	if strings.ContainsRune(ofRules, r) {
		most = longestRule
	}
	if n > most {
		return Verdict{Loop, fmt.Sprintf("%q %d times in a row, want at most %d", r, n, most)}
	}
	return v
}

func (o Filter) length(a Answer, text string, _ prose.Shape) (v Verdict) {
	words, asked := prose.Words(text), a.Instruction.Asked()
	if asked == 0 {
		if words < o.MinWords {
			return Verdict{TooShort, fmt.Sprintf("%d words, want at least %d", words, o.MinWords)}
		}
		return v
	}
	if score := a.Instruction.Score(words); score < o.MinLengthScore {
		const form = "%d words where %s are asked for: S_l is %.1f, want at least %g"
		many := strconv.Itoa(asked)
		if least := a.Instruction.Least; least > 0 && least < asked {
			many = fmt.Sprintf("%d to %d", least, asked)
		}
		return Verdict{LengthOff, fmt.Sprintf(form, words, many, score, o.MinLengthScore)}
	}
	return v
}

func (o Filter) end(_ Answer, text string, _ prose.Shape) (v Verdict) {
	if o.Finished && !prose.Finished(text) {
		return Verdict{Unfinished, "it ends with: " + ending(text)}
	}
	return v
}
