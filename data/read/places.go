package read

import (
	"fmt"
	"path"
)

// Places says which file and line a number stands for, where the lines of several
// files are numbered as those of one. Starts has for each file how many numbers are
// before its lines; it may be nil for one file.
type Places struct {
	Files  []File
	Starts []int64
}

// Find is the file that a number stands for, and the line in it.
func (p Places) Find(number int) (File, int) {
	i := 0
	for i+1 < len(p.Starts) && i+1 < len(p.Files) && p.Starts[i+1] < int64(number) {
		i++
	}
	if i < len(p.Starts) {
		number -= int(p.Starts[i])
	}
	return p.Files[i], number
}

// At is file:line.
func (p Places) At(number int) string {
	f, line := p.Find(number)
	return fmt.Sprintf("%s:%d", f.Name, line)
}

// Number is the number of the line of a file, which is named by its path or the last
// part of it; ok is false if it is none of these files.
func (p Places) Number(file string, line int) (_ int, ok bool) {
	for i, f := range p.Files {
		if f.Name != file && path.Base(f.Name) != file {
			continue
		}
		if i < len(p.Starts) {
			return line + int(p.Starts[i]), true
		}
		return line, i == 0
	}
	return line, false
}
