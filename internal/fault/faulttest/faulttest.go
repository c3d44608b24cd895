// Package faulttest holds errors against what they must say. It is for tests alone.
package faulttest

import (
	"strings"
	"testing"
)

// Want checks the text of an error, in which DIR stands for dir.
func Want(t *testing.T, err error, dir, want string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %q", want)
	}
	if have := strings.ReplaceAll(err.Error(), dir, "DIR"); have != want {
		t.Errorf("error\n\t%s\nwant\n\t%s", have, want)
	}
}
