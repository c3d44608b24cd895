package configs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// printable keeps control characters, which a key or a file's name may hold,
// away from the terminal.
func printable(s string) string {
	const most = 200
	if len(s) > most {
		s = s[:most] + "..."
	}
	return strings.Map(func(r rune) rune {
		if control(r) {
			return '?'
		}
		return r
	}, s)
}

func control(r rune) bool {
	return r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029
}

func quoted(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "..."
	}
	return strconv.Quote(s)
}

func oneOf(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// float writes a number that YAML 1.1 and 1.2 both read as a number, and as one
// with a fraction: 1.0e-05, 4.0.
func float(v float64) string {
	s := strconv.FormatFloat(v, 'g', -1, 64)
	mantissa, exponent, ok := strings.Cut(s, "e")
	if !strings.Contains(mantissa, ".") {
		mantissa += ".0"
	}
	if ok {
		return mantissa + "e" + exponent
	}
	return mantissa
}

// plain is text that needs no quotes; reserved words do.
var (
	plain    = regexp.MustCompile(`^(\.{0,2}/)?[A-Za-z_][A-Za-z0-9_./+-]*(:[A-Za-z0-9_./+-]+)*$`)
	reserved = regexp.MustCompile(`(?i)^(null|true|false|yes|no|on|off|y|n)$`)
)

// drive is what "D:\_x" and "D:\Lib" in double quotes come to.
var drive = regexp.MustCompile(`^[A-Za-z]:.*[\x{a0}\x{2028}\x{2029}]`)

// scalar writes text as YAML: plain, or in JSON's quotes, which YAML shares.
func scalar(s string) string {
	if plain.MatchString(s) && !reserved.MatchString(s) {
		return s
	}
	if drive.MatchString(s) { // in double quotes it looks like one whose backslashes were lost
		return "'" + strings.ReplaceAll(s, "'", "''") + "'"
	}
	return quoteJSON(s)
}

func quoteJSON(s string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic(fmt.Sprintf("configs: %v", err)) // a string always encodes
	}
	// JSON leaves these as they are, YAML's readers do not
	return strings.NewReplacer("\x7f", `\x7f`, "\u0085", `\x85`, "\ufeff", `\ufeff`).Replace(strings.TrimSuffix(b.String(), "\n"))
}

// jsonLike writes what freeMap reads.
func jsonLike(v any) string {
	switch x := v.(type) {
	case nil:
		return "null"
	case string:
		return scalar(x)
	case float64:
		return float(x)
	case []any:
		out := make([]string, len(x))
		for i, e := range x {
			out[i] = jsonLike(e)
		}
		return "[" + strings.Join(out, ", ") + "]"
	case map[string]any:
		var out []string
		for _, k := range slices.Sorted(maps.Keys(x)) {
			out = append(out, scalar(k)+": "+jsonLike(x[k]))
		}
		return "{" + strings.Join(out, ", ") + "}"
	}
	return fmt.Sprint(v)
}
