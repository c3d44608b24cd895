package prose

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// refusalPhrases begin answers that refuse, in small letters.
var refusalPhrases = []string{
	"i'm sorry, but", "i am sorry, but", "sorry, but i can", "i apologize, but", "i'm unable to", "i am unable to", "i cannot ", "i can't ",
	"i won't be able to", "as an ai", "as a language model", "as a large language model", "i'm just an ai", "i am just an ai",
	"i'm not able to", "i am not able to", "unfortunately, i can",
	"抱歉，我", "很抱歉，", "对不起，我", "非常抱歉", "作为一个ai", "作为一个人工智能", "作为人工智能", "作为ai", "作为一个语言模型", "我无法", "我不能",
}

// Refuses reports whether an answer begins as one that refuses what it was asked.
func Refuses(text string) bool {
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

// Finished reports whether an answer with some text ends as a whole one does: with
// punctuation that closes a sentence, behind it quotes, brackets or markup, or with
// a short line of its own, as a signature or "The End".
func Finished(text string) bool {
	text = strings.TrimSpace(text)
	last := text[strings.LastIndexByte(text, '\n')+1:]
	if strings.Contains(text, "\n") && utf8.RuneCountInString(last) <= 24 && Words(last) <= 6 {
		if !strings.HasSuffix(last, ",") && !strings.HasSuffix(last, "，") {
			return true
		}
	}
	r, _ := utf8.DecodeLastRuneInString(text)
	return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !strings.ContainsRune(",，、;；-–&", r) || strings.HasPrefix(last, "#")
}
