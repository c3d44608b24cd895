package jsonl

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"
)

func TestLinesOfAFile(t *testing.T) {
	const most = 1 << 20
	long := strings.Repeat("a", most)
	for _, c := range []struct{ name, text, want string }{
		{"with an end at the last one and without", "a\nb", "1 a|2 b|"},
		{"ends of Windows, and blank lines, which count", "a\r\n\r\n \nb\r\n", "1 a|4 b|"},
		{"a mark of byte order", "\uFEFFa\n\uFEFFb\n", "1 a|2 \uFEFFb|"},
		{"nothing", "", ""},
		{"a line as long as may be", "a\n" + long + "\r\nb", "1 a|2 " + long + "|3 b|"},
		{"a longer one", "a\n" + long + "a\nb", "1 a|f:2: a line of more than 1 MiB"},
		{"one without an end", strings.Repeat(long, 3), "f:1: a line of more than 1 MiB"},
		{"one that is refused", "a\nno\nb", "1 a|f:2: refused"},
	} {
		var got strings.Builder
		err := Lines("f", iotest.HalfReader(strings.NewReader(c.text)), most, func(n int, line []byte) error {
			if string(line) == "no\n" {
				return errors.New("refused")
			}
			fmt.Fprintf(&got, "%d %s|", n, strings.TrimRight(string(line), "\r\n"))
			return nil
		})
		if err != nil {
			got.WriteString(err.Error())
		}
		if got.String() != c.want {
			t.Errorf("%s: got %.80q, want %.80q", c.name, got.String(), c.want)
		}
	}
	broken := errors.New("the disk is gone")
	err := Lines("f", iotest.ErrReader(broken), most, func(int, []byte) error { return nil })
	if !errors.Is(err, broken) || err.Error() != "f:1: the disk is gone" {
		t.Errorf("got %v", err)
	}
}
