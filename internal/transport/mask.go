package transport

import (
	"net/url"
	"strings"
)

const (
	leastKey = 6 // characters: a shorter one is a word such as none, and no secret
	masking  = "[key]"
)

// Mask returns what a server said without the key that it was sent, also where that is
// escaped as in JSON or in an address, or where its end is cut off.
func Mask(said, key string) string {
	if len(key) < leastKey || said == "" {
		return said
	}
	for _, form := range []string{key, strings.ReplaceAll(key, "/", `\/`), url.QueryEscape(key), url.PathEscape(key)} {
		said = strings.ReplaceAll(said, form, masking)
	}
	for n := len(key) - 1; n >= max(leastKey+2, 2*len(key)/3); n-- {
		said = strings.ReplaceAll(said, key[:n], masking)
	}
	return said
}

// maskedError is an error that does not show a key.
type maskedError struct {
	error
	text string
}

// Masked is err with a text that does not show the key.
func Masked(err error, key string) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if without := Mask(text, key); without != text {
		return maskedError{err, without}
	}
	return err
}

func (e maskedError) Error() string { return e.text }
func (e maskedError) Unwrap() error { return e.error }
