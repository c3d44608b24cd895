package plainjson

import (
	"encoding/json"
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
		if err := InWords(json.Unmarshal([]byte(text), &v)); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
