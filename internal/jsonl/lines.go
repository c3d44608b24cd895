package jsonl

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
)

// Lines shows see the lines of a file that others wrote, one after the other with their numbers, but for
// those of blanks; a mark of byte order before the first is left out. A line of more than most bytes is an
// error. Errors, those of see too, begin with the name of the file and the line.
func Lines(name string, from io.Reader, most int, see func(n int, line []byte) error) error {
	in := bufio.NewReaderSize(from, 1<<16)
	var line []byte
	for n := 1; ; n++ {
		line = line[:0]
		part, err := in.ReadSlice('\n')
		for ; err == bufio.ErrBufferFull && len(line) <= most; part, err = in.ReadSlice('\n') {
			line = append(line, part...)
		}
		ends := err == io.EOF
		if line = append(line, part...); ends {
			err = nil
		}
		if n == 1 {
			line = bytes.TrimPrefix(line, []byte("\uFEFF"))
		}
		switch {
		case err != nil && err != bufio.ErrBufferFull:
		case len(bytes.TrimRight(line, "\r\n")) > most:
			err = fmt.Errorf("a line of more than %d MiB", most>>20)
		case len(bytes.TrimSpace(line)) > 0:
			err = see(n, line)
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %w", name, n, err)
		}
		if ends {
			return nil
		}
	}
}
