// Package jsonl keeps what was paid for, as lines of JSON: a [Log] grows while a run
// goes on and survives its end at any moment, and [Write] writes a file that follows
// from others, whole or not at all. [Lines] reads files that others wrote.
package jsonl

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"regexp"
	"sync"
	"syscall"
	"time"

	"lwtrain/internal/atomicfile"
	"lwtrain/internal/fault"
	"lwtrain/internal/plainjson"
)

// Log is a file of JSON lines that is appended to. It is not safe for concurrent use.
//
// The last member of each line is its check: the CRC-32C of the rest, in hexadecimal. It
// finds what a disk or a hand has changed, and does not prove who wrote the line.
type Log struct {
	file *os.File

	mu     sync.Mutex
	timer  *time.Timer // brings lines of [Log.Add] to the disk; nil: all are there
	failed error       // of that
}

// Open reads the lines of a log into see, one after the other with their checks, and
// opens it for more. A last line that a crash has cut off is taken away. One that is no T,
// whose check is wrong, or that see refuses, is an error with its number. Lines without a
// check ("") are taken where none before them has one and they hold nothing but a T. A
// missing file is an empty one. No other process opens the
// log until it is closed.
func Open[T any](path string, see func(line T, check string) error) (*Log, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND|syscall.O_NONBLOCK, 0o644)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() { // reading a pipe would wait for ever
		return nil, errors.Join(fault.Usage(fmt.Errorf("%s: not a regular file, want a log of JSON lines", path)), err, f.Close())
	}
	if err := readLog(f, see); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &Log{file: f}, nil
}

// Read is what [Open] reads, of a log that is left as it is, and that another process may be writing to.
func Read[T any](path string, see func(line T, check string) error) error {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return errors.Join(fault.Usage(fmt.Errorf("%s: not a regular file, want a log of JSON lines", path)), err)
	}
	_, err = readLines(f, see)
	return err
}

// readLog is Open's reading. What it refuses is left as it is.
func readLog[T any](f *os.File, see func(line T, check string) error) error {
	path := f.Name()
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) { // a file system without locks is taken as it is
		return fault.Usage(fault.Hint(fmt.Errorf("%s: another process writes to this file", path),
			"wait for it, stop it, or name another file"))
	}
	whole, err := readLines(f, see)
	if err != nil {
		return err
	}
	return f.Truncate(whole)
}

// readLines reads the whole lines of a log, and returns how many bytes they are.
func readLines[T any](f *os.File, see func(line T, check string) error) (whole int64, err error) {
	path := f.Name()
	raw, err := io.ReadAll(f)
	if err != nil {
		return 0, err
	}
	n, checks := 0, false
	for line := range bytes.Lines(raw) {
		if n++; !bytes.HasSuffix(line, []byte("\n")) {
			break
		}
		var v T
		err := plainjson.Unmarshal(line, &v)
		check, right := verify(line)
		switch checks = checks || check != ""; {
		case err != nil:
		case !right:
			err = errors.New("the line does not have the check that it ends with")
		case check == "" && checks:
			err = errors.New("the line does not end with its check, as one before it does")
		case check == "": // from an earlier version, which wrote nothing else: a damaged check is something else
			strict := json.NewDecoder(bytes.NewReader(line))
			strict.DisallowUnknownFields()
			if strict.Decode(new(T)) != nil {
				err = errors.New("the line does not end with its check, and has other keys than lines of earlier versions")
			}
		}
		if err == nil {
			err = see(v, check)
		}
		if err != nil {
			return 0, fault.Hint(fmt.Errorf("%s:%d: %w", path, n, err),
				"the file was changed: mend the line or take it out, then what it held is made again")
		}
		whole += int64(len(line))
	}
	return whole, nil
}

// Append adds a line, the object v, and returns its check. It is on the disk when Append
// returns.
func (l *Log) Append(v any) (check string, err error) {
	if check, err = l.write(v); err != nil {
		return "", err
	}
	return check, fault.Disk(l.file.Sync())
}

// soon is how long a line may wait for others to go to the disk with.
const soon = 100 * time.Millisecond

// Add adds a line, which goes to the disk soon, with those that follow it: a process that is killed loses
// nothing, a machine whose power fails the lines of that time. What went wrong then is the error of the next
// Add, or of Close.
func (l *Log) Add(v any) (check string, err error) {
	if check, err = l.write(v); err != nil {
		return "", err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer == nil {
		l.timer = time.AfterFunc(soon, l.sync)
	}
	return check, l.failed
}

// sync brings to the disk what Add has added.
func (l *Log) sync() {
	l.mu.Lock()
	l.timer = nil
	l.mu.Unlock()
	err := fault.Disk(l.file.Sync())
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed == nil {
		l.failed = err
	}
}

// write adds a line to the file.
func (l *Log) write(v any) (check string, err error) {
	line, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	check = checkOf(line)
	if _, err := l.file.Write(fmt.Appendf(line[:len(line)-1], `,"check":"%s"}`+"\n", check)); err != nil {
		return "", fault.Disk(err)
	}
	return check, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checkOf(object []byte) string { return fmt.Sprintf("%08x", crc32.Checksum(object, castagnoli)) }

var checked = regexp.MustCompile(`,"check":"([0-9a-f]{8})"}\n$`)

// verify returns the check of a line, and whether it is right; "" and true where there is
// none.
func verify(line []byte) (check string, right bool) {
	at := checked.FindSubmatchIndex(line)
	if at == nil {
		return "", true
	}
	check = string(line[at[2]:at[3]])
	return check, check == checkOf(append(line[:at[0]:at[0]], '}'))
}

// Close closes the file.
func (l *Log) Close() error {
	l.mu.Lock()
	waiting := l.timer != nil && l.timer.Stop()
	l.mu.Unlock()
	if waiting {
		l.sync()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(l.failed, l.file.Close())
}

// Write writes a file of a line for each element, whole or not at all. Other than in
// a log, <, > and & stand as they are.
func Write[T any](path string, lines []T) error {
	return fault.Disk(atomicfile.Write(path, func(w io.Writer) error {
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
	}))
}
