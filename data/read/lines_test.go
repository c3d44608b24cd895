package read

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestLinesAreReadWhateverTheirEnds(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"with a last line end", "a\nb\n", "1:a 2:b"},
		{"without one", "a\nb", "1:a 2:b"},
		{"from Windows, with a byte order mark", "\ufeffa\r\nb\r\n", "1:a 2:b"},
		{"of two files with byte order marks", "\ufeffa\n\ufeffb\n", "1:a 2:b"},
		{"with blank lines between", "\n a\n\n\t\nb\n", "2: a 5:b"},
		{"with one that is too long", "a\n" + strings.Repeat("x", 50) + "\nb\n", "1:a 2:too long 3:b"},
		{"with a last one that is too long", "a\n" + strings.Repeat("x", 50), "1:a 2:too long"},
		{"empty", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newJSONLines(strings.NewReader(c.text))
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
				if x.TooLong {
					x.Text = []byte("too long")
				}
				got = append(got, fmt.Sprintf("%d:%s", x.Number, x.Text))
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// FuzzLines wants that every byte is read once, lines are counted from 1, and
// none is longer than allowed.
func FuzzLines(f *testing.F) {
	f.Add([]byte("\xef\xbb\xbf{}\r\n\n  \n{\"a\":1}"), 8)
	f.Add([]byte("0123456789\n1\n"), 4)
	f.Fuzz(func(t *testing.T, text []byte, most int) {
		l := newJSONLines(bytes.NewReader(text))
		l.r, l.most = bufio.NewReaderSize(bytes.NewReader(text), 16), max(1, most)
		for last := 0; ; {
			x, err := l.next()
			if err != nil {
				break
			}
			if x.Number <= last || len(x.Text) > l.most || bytes.ContainsRune(x.Text, '\n') || x.TooLong && len(x.Text) > 0 {
				t.Fatalf("line %d after %d: %q", x.Number, last, x.Text)
			}
			last = x.Number
		}
		if l.read != int64(len(text)) || l.number > 1+bytes.Count(text, []byte("\n")) {
			t.Fatalf("%d of %d bytes in %d lines", l.read, len(text), l.number)
		}
	})
}
