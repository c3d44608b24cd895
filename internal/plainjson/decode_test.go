package plainjson

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestNumbersThatATypeCanNotHoldAreNamed(t *testing.T) {
	for text, want := range map[string]string{
		`{"n": 99999999999999999999}`:    "n is 99999999999999999999, want an integer from -9223372036854775808 to 9223372036854775807",
		`{"small": 128}`:                 "small is 128, want an integer from -128 to 127",
		`{"few": -1}`:                    "few is -1, want an integer from 0 to 65535",
		`{"at": {"p": 1e400}}`:           "at.p is 1e400, want a number that its type can hold",
		`{"n": 1.5}`:                     "n is 1.5, want an integer",
		`{"n": 1e3}`:                     "n is 1e3, want an integer",
		`{"n": "1"}`:                     "n is text, want an integer",
		`{"at": {"p": true}}`:            "at.p is true or false, want a number",
		`{"n": 7, "small": 1, "few": 2}`: "",
	} {
		var v struct {
			N     int     `json:"n"`
			Small int8    `json:"small"`
			Few   *uint16 `json:"few"`
			At    struct {
				P float64 `json:"p"`
			} `json:"at"`
		}
		got := ""
		if err := Unmarshal([]byte(text), &v); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func TestWhatIsBrokenIsSaidInWordsWithItsPlace(t *testing.T) {
	for text, want := range map[string]string{
		"":                "line 1: nothing is there, want JSON",
		" \n":             "line 1: nothing is there, want JSON",
		`{"a": `:          "line 1: broken JSON: it ends in the middle, after 6 bytes",
		`{"a": "x`:        "line 1: broken JSON: it ends in the middle, after 8 bytes",
		"{\n\"a\": }":     "line 2: broken JSON at byte 6: '}', want a value",
		"{\n\"a\": 1,\n}": "line 2: broken JSON at byte 7: a comma before '}', want none there",
		`{"a": [1, 2,]}`:  "line 1: broken JSON at byte 12: a comma before ']', want none there",
		`{"a" 1}`:         "line 1: broken JSON at byte 6: '1', want a colon behind the key",
		`{"a": 1 "b": 2}`: "line 1: broken JSON at byte 9: '\"', want a comma or }",
		`[1 2]`:           "line 1: broken JSON at byte 4: '2', want a comma or ]",
		`{} x`:            "line 1: broken JSON at byte 4: 'x', want nothing behind the value",
		`{a: 1}`:          "line 1: broken JSON at byte 2: 'a', want a key in double quotes",
		`{'a': 1}`:        "line 1: broken JSON at byte 2: a single quote, as Python's repr writes it, want JSON (json.dumps)",
		`{"a": NaN}`:      "line 1: broken JSON at byte 7: NaN, which Python writes and JSON does not have, want null or what it has",
		`[-Infinity]`: "line 1: broken JSON at byte 2: -Infinity, which Python writes and JSON does not have, want null or " +
			"what it has",
		`{"a": "\x"}`:              `line 1: broken JSON at byte 9: 'x', want one of "\/bfnrtu behind \`,
		`{"a": "\'"}`:              `line 1: broken JSON at byte 9: '\'', want one of "\/bfnrtu behind \`,
		`"\u12g4"`:                 `line 1: broken JSON at byte 6: 'g', want four hexadecimal digits behind \u`,
		"\"a\tb\"":                 `line 1: broken JSON at byte 3: '\t', want it as an escape, such as \n`,
		"[1.]":                     "line 1: broken JSON at byte 4: ']', want a digit",
		"[01]":                     "line 1: broken JSON at byte 3: '1', want a comma or ]",
		"[trve]":                   "line 1: broken JSON at byte 4: 'v', want true",
		"// a comment\n{}":         "line 1: broken JSON at byte 1: a comment, which JSON does not have, want a value",
		"[\x00]":                   "line 1: broken JSON at byte 2: '\\x00', want a value",
		"é":                        "line 1: broken JSON at byte 1: 'é', want a value",
		strings.Repeat("[", 10001): "line 1: broken JSON at byte 10001: '[', want fewer lists and objects in each other",
		`{"a": "x"}`:               "line 1: a is text, want a list",
		"{\"a\": [{\"b\": {}},\n{\"b\": {\"c\": [1, 2]}}]}": "line 2: a[1].b.c is a list, want an integer",
		`{"a": [{"b": {"c": 1.5}}]}`:                        "line 1: a[0].b.c is 1.5, want an integer",
		`[]`:                                                "line 1: the value is a list, want an object",
		`{"in": "x"}`:                                       "line 1: in is text, want an integer",
		`{"n": []}`:                                         "line 1: n is a list, want a number",
	} {
		type inner struct {
			In int `json:"in"`
		}
		var v struct {
			A []struct{ B map[string]int } `json:"a"`
			inner
			N json.Number `json:"n"`
		}
		err := Decode([]byte(text), 1<<20, &v)
		if err == nil || err.Error() != want {
			t.Errorf("%.40q: got %v, want %s", text, err, want)
		}
	}
}
