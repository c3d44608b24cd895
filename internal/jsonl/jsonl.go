// Package jsonl keeps what was paid for, as lines of JSON: a [Log] grows while a run
// goes on and survives its end at any moment, and [Write] writes a file that follows
// from others, whole or not at all.
package jsonl

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"lwtrain/internal/atomicfile"
	"lwtrain/internal/fault"
	"lwtrain/internal/plainjson"
)

// Log is a file of JSON lines that is appended to. It is not safe for concurrent use.
type Log struct{ file *os.File }

// Open reads the lines of a log into see, one after the other, and opens it for more.
// A last line that a crash has cut off is taken away. One that is no T, or that see
// refuses, is an error with its number. A missing file is an empty one.
func Open[T any](path string, see func(T) error) (*Log, error) {
	raw, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	whole, n := 0, 0
	for line := range bytes.Lines(raw) {
		if n++; !bytes.HasSuffix(line, []byte("\n")) {
			break
		}
		var v T
		err := json.Unmarshal(line, &v)
		if err == nil {
			err = see(v)
		}
		if err != nil {
			return nil, fault.Hint(fmt.Errorf("%s:%d: %w", path, n, err),
				"the file was changed: mend the line or take it out, then what it held is made again")
		}
		whole += len(line)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	if err := f.Truncate(int64(whole)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &Log{f}, nil
}

// Append adds a line. It is on the disk when Append returns.
func (l *Log) Append(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if _, err := l.file.Write(append(line, '\n')); err != nil {
		return err
	}
	return l.file.Sync()
}

// Close closes the file.
func (l *Log) Close() error { return l.file.Close() }

// Write writes a file of a line for each element, whole or not at all. Other than in
// a log, <, > and & stand as they are.
func Write[T any](path string, lines []T) error {
	return atomicfile.Write(path, func(w io.Writer) error {
		for _, x := range lines {
			line, err := plainjson.Marshal(x)
			if err != nil {
				return err
			}
			if _, err := w.Write(append(line, '\n')); err != nil {
				return err
			}
		}
		return nil
	})
}
