package prose

import (
	"regexp"
	"strings"
)

// A prompt names lengths of texts that there are, as of an essay to proofread: no length of
// the answer. Each rule is a few words directly before the number.

var (
	textEN = set("text texts essay article book novel novella story document passage report paper letter speech manuscript poem email " +
		"post thesis dissertation script transcript")
	thereEN = set("this that these those my our his her their following attached above original existing current")
	// objectEN are, with textEN, between what is done to a text and its length: translate this text of.
	objectEN = set("a an the this that these those my our your his her their following attached above original existing current whole " +
		"entire short long of -")
	workEN = set("translate proofread edit revise correct critique summarize summarise condense shorten abridge rewrite paraphrase " +
		"rephrase polish reduce cut trim improve annotate analyze analyse")
	hereEN   = set("here below attached")
	makeEN   = set("write compose create produce generate in for as into")
	partOfEN = set("chapter section part scene act prologue epilogue beginning opening start end ending introduction intro conclusion " +
		"outline summary synopsis plan review critique analysis excerpt words translation")
	hasEN    = set("is are was were has have had contains contained")
	knewEN   = set("wrote knows knew learned learnt worth")
	nearlyEN = set("about around approximately approx roughly circa nearly almost exactly over some already now currently only just ~ a an")
	changeEN = set("reduce cut shorten condense trim compress shrink expand extend increase lengthen grow raise")

	// toEN stands behind the start of a change: from 2000 words to 500 words.
	toEN = regexp.MustCompile(`^s? (?:down |up )?to (?:about |around |at most |at least )?`)
	// namedEN is what goes on behind the name of a place: chapter 12 words of wisdom.
	namedEN = regexp.MustCompile(`^s (?:of (?:wisdom|advice|the)|matters?|means?|say|tell|read)\b`)
)

// isOfText reports whether a number of words is that of a text that there is, or of words
// that are known or read.
func (c counted) isOfText(after string) bool {
	b := c.front
	b.skip(nearlyEN)
	switch verb := b.at(0).text; {
	case knewEN[verb], verb == "written" && (hasEN[b.at(1).text] || b.at(1).text == "ve"): // I wrote 300 words
		return true
	case hasEN[verb] && strings.HasPrefix(after, "s") && c.bound != atMost: // my novel has 80,000 words
		return textEN[b.at(1).text] && (thereEN[b.at(2).text] || thereEN[b.at(3).text] && !clauseEN[b.at(2).text])
	case verb == "from" && toEN.MatchString(after) && startsNumberWord(after[len(toEN.FindString(after)):]):
		return true
	case placeEN[verb] && namedEN.MatchString(after):
		return true
	}
	return c.asksForTime() || c.isOfObject()
}

// isChange reports whether the two ends of a range are what a text has and what it is to have.
func (c counted) isChange() bool {
	if c.front.at(0).text != "from" {
		return false
	}
	for n := 1; n < len(c.front.list) && !clauseEN[c.front.at(n).text]; n++ {
		if changeEN[c.front.at(n).text] {
			return true
		}
	}
	return c.lo > c.hi
}

// startsNumberWord reports whether a number begins a text.
func startsNumberWord(s string) bool {
	list := tokens(s)
	return len(list) > 0 && list[0].kind != otherToken && (list[0].kind != jointToken || startsNumber(list))
}

// asksForTime reports whether the clause asks how long something takes: how long does it take
// to read 1000 words?
func (c counted) asksForTime() bool {
	b := c.front
	b.skip(nearlyEN)
	if b.at(0).text == "in" {
		return false
	}
	n := 0
	for n < len(b.list) && !clauseEN[b.at(n).text] && b.at(n).text != ":" {
		n++
	}
	return n > 1 && b.at(n-1).text == "how" && (b.at(n-2).text == "long" || b.at(n-2).text == "many")
}

// isOfObject reads back over the words for a text to what is done to it: translate this text of,
// here is my essay (, the first chapter of a.
func (c counted) isOfObject() bool {
	b := c.front
	open := b.at(0).text == "("
	if open {
		b.drop(1)
	}
	first, text := "", false // of those words; of them a text
	var there bool           // it is this text, not any
	for n := b.at(0).text; objectEN[n] || textEN[n]; n = b.at(0).text {
		first, text, there = n, text || textEN[n], there || thereEN[n]
		b.drop(1)
	}
	verb, before := b.at(0).text, b.at(1).text
	switch {
	case first == "":
		return false
	case hasEN[verb] && hereEN[before], verb == "s" && before == "'" && hereEN[b.at(2).text]: // here's my essay of
		return text || there
	case open:
		return false
	case first == "of" && verb == ")": // the first chapter (2000 words) of a
		for b.at(0).text != "(" && len(b.list) > 0 {
			b.drop(1)
		}
		b.drop(min(1, len(b.list)))
		return partOfEN[b.at(0).text]
	case first == "of" && partOfEN[verb]: // an outline of a
		return len(b.list) < len(c.front.list)-1
	case workEN[verb] && first != "of":
		return true
	}
	return there && text && c.front.at(0).text == "of" && !makeEN[verb] // this book of
}

var (
	kindsZH  = strings.Fields("一篇 一段 一本 一部 一份 一封 一首 篇 段 本 部 份 封 首")
	wroteZH  = strings.Fields("写了 寫了 写过 已写 已寫 写好了 完成了")
	haveZH   = strings.Fields("共有 已有 有 长达 長達")
	aroundZH = strings.Fields("约 大约 約 大約 将近 接近 近 差不多")
	mustZH   = append([]string{"必须", "必須", "需", "须", "至少", "最少", "起码", "最多", "至多"}, canZH...)
	// thisZH is a text that there is.
	thisZH = regexp.MustCompile(`[这這那此该該][一两几]?[篇本部段份封首个個]|我的|该文|此文|原文|原稿|本书|本書`)
	// toZH stands behind the start of a change: 从2000字缩写到500字.
	toZH = regexp.MustCompile(`^[^,。;!?\n]{0,8}?[到至成为為]`)
)

// isOfTextZH reports whether a number is that of a text that there is: 这篇文章有5000字.
func isOfTextZH(before, after string) bool {
	for takeEnd(&before, aroundZH) {
	}
	rest := before
	takeEnd(&rest, kindsZH)
	switch {
	case takeEnd(&rest, wroteZH):
		return true
	case takeEnd(&before, []string{"从", "從", "由"}):
		return toZH.MatchString(after)
	case takeEnd(&before, haveZH) && !takeEnd(&before, mustZH):
		clause := before[strings.LastIndexAny(before, ",。;!?\n")+1:]
		return thisZH.MatchString(clause) && !strings.HasPrefix(after, "的要求") && !strings.HasPrefix(after, "的限制")
	}
	return false
}
