// Package fault carries two facts about an error from where it arises to where
// it is shown: a hint (the way out, printed under the error) and whether the
// error lies in what was asked for (exit status 2, nothing was written) rather
// than in the running of it (exit status 1).
package fault

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }

// Hint returns err with a way out attached. A nil err stays nil. The hint is
// one sentence, lower case, without a full stop.
func Hint(err error, hint string) error {
	if err == nil || hint == "" {
		return err
	}
	return hinted{err, hint}
}

// HintOf returns the outermost hint of err, or "".
func HintOf(err error) string {
	var h hinted
	if errors.As(err, &h) {
		return h.hint
	}
	return ""
}

// Disk gives errors of a disk that takes nothing more a hint, unless they have
// one.
func Disk(err error) error {
	switch {
	case err == nil || HintOf(err) != "":
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		return Hint(err, "make room on the disk or write to another one; nothing that was there before has changed")
	case errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS):
		return Hint(err, "this folder cannot be written to; give another one")
	}
	return err
}

// Temp gives errors of the folder for temporary files a hint that names it.
func Temp(err error) error {
	if err == nil || HintOf(err) != "" {
		return err
	}
	return Hint(err, "temporary files go into "+os.TempDir()+", which has to be there, and writable: TMPDIR names another folder")
}

type usage struct{ error }

func (u usage) Unwrap() error { return u.error }

// Usage marks err as a mistake in what was asked for: a wrong key, a missing
// file, impossible values. A nil err stays nil.
func Usage(err error) error {
	if err == nil {
		return nil
	}
	return usage{err}
}

// IsUsage reports whether err, or an error it wraps, was marked by [Usage].
func IsUsage(err error) bool {
	var u usage
	return errors.As(err, &u)
}

// Excerpt is the beginning of what a server or a program said, on one line.
func Excerpt(raw []byte) string {
	const most = 200 // bytes
	text := strings.Join(strings.Fields(strings.ToValidUTF8(string(raw[:min(len(raw), most)]), "?")), " ")
	if len(raw) > most {
		text += "..."
	}
	if text == "" {
		return "nothing more"
	}
	return text
}
