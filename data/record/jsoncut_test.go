package record

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"unicode/utf8"
)

// FuzzCut: what is cut out of valid JSON is what encoding/json reads.
func FuzzCut(f *testing.F) {
	for _, s := range []string{
		`{"a": 1, "b" : [ {"c":"d\\"} , null,true ], "a":"\"x\"" }`, `{}`, ` { } `, `[]`, `[1,-2.5e3 ,"]", {"}":"{"}]`,
		`"\ud83d\ude00 \u00e4\/\b\f\n\r\t\\\""`,
		`"\ud83d"`, `"\ude00\ud83d\u0041"`, `null`, `{"\u0061":1,"a":2}`, `["\\","\\\""]`, "[\"\\\\\\\\\"]",
		`{"messages":[{"role":"user","content":"嗨\n\n"}]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !json.Valid(raw) || !utf8.Valid(raw) {
			return
		}
		raw = bytes.TrimSpace(raw)
		var wantObject fields
		if object, ok := cutObject(raw); ok != (json.Unmarshal(raw, &wantObject) == nil) || ok && !reflect.DeepEqual(object, wantObject) {
			t.Errorf("object %q: got %q, want %q", raw, object, wantObject)
		}
		var wantList []json.RawMessage
		list, ok := cutList(raw)
		if ok != (json.Unmarshal(raw, &wantList) == nil) || len(list) != len(wantList) {
			t.Fatalf("list %q: got %q, want %q", raw, list, wantList)
		}
		for i, v := range list {
			if !bytes.Equal(v, wantList[i]) {
				t.Errorf("list %q: got %q, want %q", raw, list, wantList)
			}
		}
		if raw[0] == '"' {
			var want string
			if err := json.Unmarshal(raw, &want); err != nil || cutText(raw) != want {
				t.Errorf("text %q: got %q, want %q", raw, cutText(raw), want)
			}
		}
	})
}
