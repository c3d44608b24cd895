package pairs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"lwtrain/internal/fault"
)

// appendFile is a file of JSON lines that grows while a run goes on. A line is on
// the disk when add returns: it may have been paid for.
type appendFile struct{ *os.File }

// openAppend reads the lines of a file and opens it for more. A last line that a
// crash has cut off is taken away; any other that can't be read is an error.
func openAppend[T any](path string, see func(T) error) (*appendFile, error) {
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
			return nil, fault.Hint(fmt.Errorf("%s:%d: %w", path, n, err), "the file was changed: mend the line or take it out, then what it held is made again")
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
	return &appendFile{f}, nil
}

func (f *appendFile) add(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if _, err := f.Write(append(line, '\n')); err != nil {
		return err
	}
	return f.Sync()
}
