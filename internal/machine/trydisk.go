package machine

import (
	"errors"
	"os"
	"time"
)

// TryDisk writes a file of 1 MiB to a folder, flushes and removes it. It returns how long
// the flush took.
func TryDisk(dir string) (took time.Duration, err error) {
	f, err := os.CreateTemp(dir, ".lwtrain-doctor-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	if _, err := f.Write(make([]byte, 1<<20)); err != nil {
		return 0, err
	}
	began := time.Now()
	err = f.Sync()
	return time.Since(began), err
}
