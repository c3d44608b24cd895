package store

import (
	"fmt"
	"os"
	"slices"
)

// aheadBytes is how much is read at a time of what is asked for in order.
const aheadBytes = 1 << 17

// ahead reads on behind what it is asked for, so many bytes at a time: fast where that comes in the order of the file.
type ahead struct {
	f     *os.File
	size  int // 0: nothing is read on
	from  int64
	block []byte
}

// bytes are n bytes of the file, until it is asked again.
func (a *ahead) bytes(at int64, n int) ([]byte, error) {
	if at < a.from || at+int64(n) > a.from+int64(len(a.block)) {
		want := max(n, a.size)
		a.block = slices.Grow(a.block[:0], want)[:want]
		got, err := a.f.ReadAt(a.block, at)
		if a.from, a.block = at, a.block[:got]; got < n {
			return nil, fmt.Errorf("%s: %w", a.f.Name(), err)
		}
	}
	return a.block[at-a.from:][:n], nil
}
