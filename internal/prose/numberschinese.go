package prose

import (
	"slices"
	"strings"
	"unicode/utf8"
)

var digitsZH = map[rune]float64{
	'零': 0, '〇': 0, '一': 1, '二': 2, '两': 2, '兩': 2, '三': 3, '四': 4, '五': 5, '六': 6, '七': 7, '八': 8, '九': 9,
	'壹': 1, '贰': 2, '貳': 2, '叁': 3, '肆': 4, '伍': 5, '陆': 6, '柒': 7, '捌': 8, '玖': 9,
}

var timesZH = map[rune]float64{
	'十': 10, '拾': 10, '百': 100, '佰': 100, '千': 1000, '仟': 1000, 'k': 1000, '万': 1e4, '萬': 1e4, 'w': 1e4,
}

// numberInChinese reports whether a text has a digit.
func numberInChinese(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool {
		if r < utf8.RuneSelf {
			return '0' <= r && r <= '9'
		}
		_, digit := digitsZH[r]
		return digit || timesZH[r] > 0 || '０' <= r && r <= '９'
	})
}

// numberStart is where the number begins that ends a plain text: everything that may be
// of one is taken.
func numberStart(s string) int {
	at := len(s)
	for at > 0 {
		r, size := utf8.DecodeLastRuneInString(s[:at])
		if !inNumberZH(s, at-size, r) {
			break
		}
		at -= size
	}
	return at
}

// numberEnd is where the number ends that a plain text begins with.
func numberEnd(s string) int {
	for i, r := range s {
		if !inNumberZH(s, i, r) {
			return i
		}
	}
	return len(s)
}

// inNumberZH reports whether the character at a place may be of a number.
func inNumberZH(s string, at int, r rune) bool {
	digitBefore := at > 0 && isDigit(s[at-1])
	next, _ := utf8.DecodeRuneInString(s[at+utf8.RuneLen(max(r, 1)):])
	_, digit := digitsZH[r]
	switch {
	case '0' <= r && r <= '9', digit, r == '几', string(r) == cutMark:
		return true
	case r == 'k' || r == 'w':
		return (digitBefore || at > 1 && s[at-1] == ' ' && isDigit(s[at-2])) && !('a' <= next && next <= 'z')
	case timesZH[r] > 0:
		return true
	case r == ' ':
		return digitBefore && ('0' <= next && next <= '9' || timesZH[next] > 0)
	}
	return strings.ContainsRune(",.'_", r) && digitBefore && '0' <= next && next <= '9'
}

// digitZH is a piece of a Chinese number: a figure or a digit, or what multiplies it.
type digitZH struct {
	value  float64
	times  bool
	figure bool // in digits 0 to 9
}

// rangeOfZH reads one number, of two neighbouring digits both ends: 三五千 is 3000 to 5000. 1.5 is
// one where decimals says that something multiplies it.
func rangeOfZH(s string, decimals bool) (lo, hi number, ok bool) {
	list, ok := digitsOfZH(s, decimals)
	if !ok {
		return lo, hi, false
	}
	single := func(d digitZH) bool { return !d.times && !d.figure && d.value > 0 }
	for i := 0; i+2 < len(list); i++ {
		if single(list[i]) && single(list[i+1]) && list[i+2].times && list[i].value < list[i+1].value {
			lo, okLo := numberZH(slices.Delete(slices.Clone(list), i+1, i+2))
			hi, okHi := numberZH(slices.Delete(slices.Clone(list), i, i+1))
			return lo, hi, okLo && okHi
		}
	}
	lo, ok = numberZH(list)
	return lo, lo, ok
}

func digitsOfZH(s string, decimals bool) (list []digitZH, ok bool) {
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		v, digit := digitsZH[r]
		switch {
		case r == ' ':
		case isDigit(s[i]):
			size = figureEnd(s[i:], true)
			next, _ := utf8.DecodeRuneInString(strings.TrimLeft(s[i+size:], " "))
			text, multiplied := s[i:i+size], decimals || timesZH[next] > 0
			v = figure(text, multiplied)
			if inList := !multiplied && strings.Contains(text, ".") && v != figure(text, true); v == 0 || inList { // 1.500字
				return nil, false
			}
			list = append(list, digitZH{v, false, true})
		case digit:
			list = append(list, digitZH{value: v})
		case timesZH[r] > 0:
			list = append(list, digitZH{timesZH[r], true, false})
		default:
			return nil, false
		}
		i += size
	}
	return list, len(list) > 0
}

// numberZH reads one number: 2000, 1.5万, 1万2千, 一万二千, 两千五 (2500), 一千零五, 二〇〇〇; 千 alone
// is a thousand. All else is none.
func numberZH(list []digitZH) (n number, ok bool) {
	if len(list) > 2 && !slices.ContainsFunc(list, func(d digitZH) bool { return d.times || d.figure }) {
		for _, d := range list {
			n.value = n.value*10 + d.value
		}
		n.times = 1
		return n, true
	}
	total, part, last := 0.0, 0.0, 1e4 // of tens of thousands; below them; the last multiplier
	var digit *digitZH
	var zero bool // stands behind it
	for i, d := range list {
		switch {
		case !d.times && d.value == 0: // 零
			if digit != nil || i == 0 {
				return n, false
			}
			zero = true
		case !d.times:
			if digit != nil {
				return n, false
			}
			digit = &d
		case d.value == 1e4:
			if digit != nil {
				part += digit.value
			} else if i == 0 {
				part = 1
			}
			if total > 0 || part == 0 {
				return n, false
			}
			total, part, last, digit, zero = part*d.value, 0, d.value, nil, false
		default:
			one := 1.0
			if digit != nil {
				one = digit.value
			} else if i > 0 && d.value != 10 {
				return n, false
			}
			if d.value >= last && !(last == 1e4 && d.value < 1e4) {
				return n, false
			}
			part, last, digit, zero = part+one*d.value, d.value, nil, false
		}
	}
	if digit != nil {
		before := len(list) > 1 && list[len(list)-2].times
		switch {
		case before && !zero && last >= 100 && digit.value < 10:
			part += digit.value * last / 10
		case before && digit.value >= last:
			return n, false
		default:
			part += digit.value
		}
	}
	n = number{total + part, 1}
	for i := len(list) - 1; i >= 0 && list[i].times && list[i].value > 10; i-- {
		n.times *= list[i].value
	}
	return n, n.value > 0
}
