package prose

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// What stands around a number is read from it outwards, as in English. Longer pieces stand
// before those that they end with.
var (
	// before a number
	upZH        = strings.Fields("超过 超過 超出 超 大于 大於 多于 多於 多过 高于 高於 长于 至少 最少 最低 起码 起碼 下限 满 滿 达到 不下 不止 逾 > >= =>")
	downZH      = strings.Fields("少于 少於 少过 低于 低於 小于 小於 下于 短于 至多 最多 最高 顶多 不足 不到 上限 < <= =<")
	keepZH      = strings.Fields("控制在 限制在 限制 限") // at most, unless it is about so many, or at least
	upCountZH   = strings.Fields("最低 最少 最小 下限")  // before 字数
	downCountZH = strings.Fields("最高 最多 最大 上限")
	canZH       = strings.Fields("能够 能 得 要 会 可以 可 应该 應該 应当 应 應 该 宜 许 必 用 准")
	notZH       = strings.Fields("不 勿 别 別 莫 没 未")

	nearZH  = strings.Fields("约莫 大约 大約 大概 大致 约 約 左右 接近 将近 將近 近 差不多")
	aboutZH = strings.Fields("在 为 為 是 到 共 计 需要 需 要求 控制 应 應 写 寫 有 字 词 数 數 : ( )")

	// between a number and its unit
	upThenZH   = strings.Fields("以上 +")
	downThenZH = strings.Fields("以内 以內 以下 之内")
	nearThenZH = strings.Fields("左右 上下 前后 前後")
	thenZH     = strings.Fields("之间 之間 多 余 餘 来 來 个 個 的 中文 文 汉 漢 英文 英语 英語 英 单 單 )")

	// directly before the number of no length
	thatZH  = strings.Fields("第 # 这 這 那 此 以下 下面 下列 上述 上面 上文 原文 前面 前 后 後 最后 最後")
	thatOf  = strings.Fields("的 这 這 有 篇 段 本 部 份 封 首")
	vagueZH = strings.Fields("几 幾 数 數 上 成 好 干 半 多")
	wholeZH = strings.Fields("共 总 總 合计 全文")

	joinsZH = strings.Fields("- ~ 至 到 或者 或 ..")
	unitsZH = strings.Fields("字 词 詞 个 個")
)

const (
	upBehindZH   = `以上|起步|起|或更多|\+`
	downBehindZH = `以内|以內|以下|之内|之內|内|內|或更少|封顶`
)

var (
	// behindZH is what may stand behind the unit, or behind the number of 字数, and say a bound.
	behindZH = regexp.MustCompile(`^(?:数|數|符|内容|内容的|篇幅)?[ )]*[字词詞个個]*(?:左右)?(?:(` + upBehindZH + `)|(` + downBehindZH + `))`)
	// noUnitZH is what makes another word of 字 or 词: 字节, 词语.
	noUnitZH = regexp.MustCompile(`^(?:[节節母段典体體幕库庫形画畫号號汇彙性条條根谜謎帖语語组組频頻牌类類云缀綴义義干]|符串|的(?:字典|词典|词汇|列表|清单|词表|单词表))`)
	// countZH is what may stand between 字 and a number behind it: 字数要求：2000.
	countZH = regexp.MustCompile(`^[数數](?:[ "=\[\]|】【」「不]|要求|范围|範圍|` + either(canZH, nearZH, aboutZH, upZH, downZH, keepZH) + `)*`)
	// nearBehindZH is what may stand there and say that it is about so many.
	nearBehindZH = regexp.MustCompile(`^[数數]?[ )]*[字词詞个個]*(?:` + either(nearThenZH) + `)`)
	joinZH       = regexp.MustCompile(`^ ?(?:[字词詞个個] ?)?(?:` + either(joinsZH) + `)+ ?`)
)

func either(lists ...[]string) string {
	var all []string
	for _, list := range lists {
		for _, s := range list {
			all = append(all, regexp.QuoteMeta(s))
		}
	}
	return strings.Join(all, "|")
}

// takeEnd drops the first of some endings that a text has.
func takeEnd(s *string, endings []string) bool {
	for _, e := range endings {
		if rest, ok := strings.CutSuffix(*s, e); ok {
			*s = rest
			return true
		}
	}
	return false
}

// lengthInChinese reads the length around 字 or 词, of texts that are [plain].
func lengthInChinese(before, after string) Length {
	if l, said := countInChinese(after, boundOfCountZH(before)); said {
		return l
	}
	if noUnitZH.MatchString(after) || strings.HasPrefix(after, "/") || strings.HasPrefix(after, "每") {
		return Length{}
	}
	b, near := exactly, nearBehindZH.MatchString(after)
	for more := true; more; {
		before = strings.TrimRight(before, " ")
		switch {
		case takeEnd(&before, upThenZH):
			b = atLeast
		case takeEnd(&before, downThenZH):
			b = atMost
		case takeEnd(&before, []string{"把"}): // 千把字
			if r, _ := utf8.DecodeLastRuneInString(before); timesZH[r] < 100 {
				return Length{}
			}
		case takeEnd(&before, nearThenZH):
			near = true
		default:
			more = takeEnd(&before, thenZH)
		}
	}
	lo, hi, rest := countedCharacters(before)
	switch title := before[len(rest):] == "千" && strings.HasPrefix(after, "文") && !strings.HasPrefix(after, "文章"); {
	case hi == 0, title, isOfThat(rest), isOfPart(rest), isOfTextZH(rest, after):
		return Length{}
	}
	return lengthOf(lo, hi, b.either(boundAround(rest, after, near)))
}

// isOfThat reports whether a number is that of a text that there is, or of a place in it.
func isOfThat(before string) bool {
	return takeEnd(&before, thatZH) || takeEnd(&before, thatOf) && takeEnd(&before, thatZH)
}

// isOfPart reports whether the words before a number say that it is of a part.
func isOfPart(before string) bool {
	clause := before[strings.LastIndexAny(before, ",。;!?\n、")+1:]
	has := func(list []string) bool {
		for _, w := range list {
			if strings.Contains(clause, w) {
				return true
			}
		}
		return false
	}
	return has([]string{"每", "各"}) && !has(wholeZH)
}

// boundAround is the bound that the words before a number and behind it say; near: it is about so many.
func boundAround(before, behind string, near bool) bound {
	b, kept := boundBefore(before)
	m := behindZH.FindStringSubmatch(behind)
	switch {
	case m != nil && kept:
		return boundOf(m[1], m[2]).either(b)
	case m != nil:
		return b.either(boundOf(m[1], m[2]))
	case kept && near: // 控制在2000字左右
		return exactly
	}
	return b
}

// boundBefore is the bound that the words before a number say; kept: the length is to be kept to it, which what stands
// behind it may make another.
func boundBefore(s string) (b bound, kept bool) {
	near := false
	for {
		s = strings.TrimRight(s, " ")
		switch {
		case takeEnd(&s, upZH):
			b = atLeast
		case takeEnd(&s, downZH):
			b = atMost
		case takeEnd(&s, keepZH):
			if near || takeEnd(&s, nearZH) { // 控制在约2000字, 大约控制在2000字
				return exactly, false
			}
			b, kept = atMost, true
		case takeEnd(&s, nearZH):
			near = true
			continue
		case takeEnd(&s, aboutZH):
			continue
		default:
			return exactly, false
		}
		for takeEnd(&s, canZH) {
		}
		return b.unless(takeEnd(&s, notZH)), kept
	}
}

// countedCharacters reads the number that ends a text, or the ends of a range. rest is what
// stands before it.
func countedCharacters(s string) (lo, hi float64, rest string) {
	at := numberStart(s)
	rest = s[:at]
	lower, upper, ok := rangeOfZH(s[at:], false)
	first, _ := utf8.DecodeRuneInString(s[at:])
	before, _ := utf8.DecodeLastRuneInString(rest)
	vague := rest
	switch {
	case !ok, 'a' <= before && before <= 'z', strings.ContainsRune("$#/%", before),
		strings.ContainsRune(".:", before) && endsInDigit(rest[:len(rest)-1]):
		return 0, 0, s
	case timesZH[first] > 0 && first != '十' && takeEnd(&vague, vagueZH): // 几千, 上万
		return 0, 0, s
	}
	from := strings.TrimRight(rest, " ")
	comma := digitsZH[first] > 0 && takeEnd(&from, []string{"、"}) // 两、三千
	joined := comma
	for takeEnd(&from, joinsZH) {
		joined = true
	}
	if joined {
		from = strings.TrimRight(from, " ")
		takeEnd(&from, unitsZH)
	}
	at = numberStart(from)
	if !joined || at == len(from) || comma && endsInDigit(from) {
		return lower.value, upper.value, rest
	}
	other, _, ok := rangeOfZH(from[at:], upper.times > 1)
	if end := from[:at]; !ok || takeEnd(&end, joinsZH) && endsInDigit(end) { // 2020-01-02
		return 0, 0, s
	}
	return other.scaled(upper), upper.value, from[:at]
}

func endsInDigit(s string) bool { return s != "" && isDigit(s[len(s)-1]) }

// boundOfCountZH is what the words before 字数 say that it bounds: 最低字数.
func boundOfCountZH(before string) bound {
	switch {
	case takeEnd(&before, upCountZH):
		return atLeast
	case takeEnd(&before, downCountZH):
		return atMost
	}
	return exactly
}

// countInChinese reads what stands behind 字: 数：2500. said is whether there is such a
// number, front what the words before say that it bounds.
func countInChinese(after string, front bound) (l Length, said bool) {
	words := countZH.FindString(after)
	if words == "" {
		return Length{}, false
	}
	rest := after[len(words):]
	end := numberEnd(rest)
	for end > 0 {
		more := len(joinZH.FindString(rest[end:]))
		size := numberEnd(rest[end+more:])
		if more == 0 || size == 0 {
			break
		}
		end += more + size
	}
	lo, hi, left := countedCharacters(rest[:end])
	if end == 0 || hi == 0 || left != "" || goesOn(rest[end:]) {
		return Length{}, end > 0
	}
	l = lengthOf(lo, hi, front.either(boundAround(words, rest[end:], nearBehindZH.MatchString(rest[end:]))))
	if next := strings.TrimLeft(rest[end:], " ,;字词"); (l.Min == 0 || l.Max == 0) && next != "" { // 数：不少于800，不超过1000
		other, _ := countInChinese("数"+next, exactly)
		if both, ok := l.meets(other); ok {
			l = both
		}
	}
	return l, true
}

// goesOn reports whether a number is part of what stands directly behind it: 500px, 3/4.
func goesOn(s string) bool {
	return s != "" && ('a' <= s[0] && s[0] <= 'z' || strings.IndexByte("/:.,%", s[0]) >= 0 && (s[0] == '%' || len(s) > 1 && isDigit(s[1])))
}
