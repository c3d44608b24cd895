package data

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestLinesAreReadWhateverTheirEnds(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"with a last line end", "a\nb\n", "1:a 2:b"},
		{"without one", "a\nb", "1:a 2:b"},
		{"from Windows, with a byte order mark", "\ufeffa\r\nb\r\n", "1:a 2:b"},
		{"with blank lines between", "\n a\n\n\t\nb\n", "2: a 5:b"},
		{"with one that is too long", "a\n" + strings.Repeat("x", 50) + "\nb\n", "1:a 2:too long 3:b"},
		{"with a last one that is too long", "a\n" + strings.Repeat("x", 50), "1:a 2:too long"},
		{"empty", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLines(strings.NewReader(c.text))
			l.most = 20
			var got []string
			for {
				x, err := l.next()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if x.tooLong {
					x.text = []byte("too long")
				}
				got = append(got, fmt.Sprintf("%d:%s", x.number, x.text))
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func FuzzParseRecord(f *testing.F) {
	f.Add([]byte(talk("a", "b")))
	f.Add([]byte(`{"messages":[{"role":"assistant","content":null,"tool_calls":[{"id":9007199254740993}]}],"tools":[{}]}`))
	f.Add([]byte(`{"messages":[{"role":"user","content":"\ud83d\ude00\\ud83d"}]}`))
	f.Add([]byte("\xff"))
	f.Add([]byte(`{"conversations":[{"from":"human","value":"q"},{"from":"function_call","value":"{\"name\":\"f\",\"arguments\":{}}"},{"from":"observation","value":"1"},{"from":"gpt","value":[{"type":"text","text":"a"}],"train":false}],"tools":"[]"}`))
	f.Add([]byte(`{"instruction":"a","input":"b","output":"c","history":[["d","e"]],"system":"f"}`))
	f.Add([]byte(`{"prompt":"a","chosen":"b","rejected":{"role":"assistant","content":"c"}}`))
	f.Add([]byte(`{"chosen":"\n\nHuman: a\n\nAssistant: b","rejected":"\n\nHuman: a\n\nAssistant: c"}`))
	f.Add([]byte(`{"prompt":"a","completion":"b","label":true}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		l := Source{}.layout()
		l.settle([]line{{text: text}})
		e, err := l.parse(text)
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without text")
			}
			return
		}
		if (e.kind == chosen) != (e.rejected != nil) {
			t.Errorf("kind %d, rejected %v", e.kind, e.rejected)
		}
		for _, m := range e.messages {
			if m.Role == "" || !utf8.ValidString(m.Content) {
				t.Errorf("role %q, content %q", m.Role, m.Content)
			}
		}
	})
}

// FuzzLines wants that every byte is read once, lines are counted from 1, and
// none is longer than allowed.
func FuzzLines(f *testing.F) {
	f.Add([]byte("\xef\xbb\xbf{}\r\n\n  \n{\"a\":1}"), 8)
	f.Add([]byte("0123456789\n1\n"), 4)
	f.Fuzz(func(t *testing.T, text []byte, most int) {
		l := newLines(bytes.NewReader(text))
		l.r, l.most = bufio.NewReaderSize(bytes.NewReader(text), 16), max(1, most)
		for last := 0; ; {
			x, err := l.next()
			if err != nil {
				break
			}
			if x.number <= last || len(x.text) > l.most || bytes.ContainsRune(x.text, '\n') || x.tooLong && len(x.text) > 0 {
				t.Fatalf("line %d after %d: %q", x.number, last, x.text)
			}
			last = x.number
		}
		if l.read != int64(len(text)) || l.number > 1+bytes.Count(text, []byte("\n")) {
			t.Fatalf("%d of %d bytes in %d lines", l.read, len(text), l.number)
		}
	})
}
