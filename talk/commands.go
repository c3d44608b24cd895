package talk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"lwtrain/internal/atomicfile"
	"lwtrain/internal/llm"
	"lwtrain/internal/plainjson"
	"lwtrain/internal/terminal"
)

// commandsHelp is what /help says.
const commandsHelp = `/retry        another answer to the last message
/reset        a new conversation, with the same system message
/system TEXT  another system message, from now on; none without a text
/save FILE    the conversation as a line of JSON that training reads
/quit         the end; so is the end of the input
a line that ends with \ goes on in the next one; // begins a message with a slash`

// command does what a line with a slash says, and reports whether the conversation ends.
func (t *Talk) command(ctx context.Context, line string) (end bool, err error) {
	name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	rest = strings.TrimSpace(rest)
	switch {
	case rest != "" && name != "/system" && name != "/save":
		t.note("(%s takes nothing behind it)", terminal.Printable(name))
	case name == "/quit":
		return true, nil
	case name == "/help":
		t.note("%s", commandsHelp)
	case name == "/reset":
		t.messages = nil
		t.note("(a new conversation)")
	case name == "/system":
		t.System = rest
		t.note("(the system message is changed)")
	case name == "/retry" && len(t.messages) == 0:
		t.note("(there is no message to answer)")
	case name == "/retry":
		before := t.messages
		t.messages = slices.Clone(before[:len(before)-1])
		err := t.answer(ctx)
		if len(t.messages) < len(before) {
			t.messages = before // nothing came
		}
		return false, err
	case name == "/save":
		if err := t.save(rest); err != nil {
			t.note("(not saved: %s)", terminal.Printable(err.Error()))
		} else {
			t.note("(saved in %s)", terminal.Printable(rest))
		}
	default:
		t.note("(%s is no command; /help lists those that there are)", terminal.Printable(name))
	}
	return false, nil
}

// save writes the conversation to a file that is not there yet.
func (t *Talk) save(path string) error {
	if path == "" {
		return errors.New("want the name of a file behind /save")
	}
	if len(t.messages) == 0 {
		return errors.New("nothing was said yet")
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is there, want a file that is not", path)
	}
	raw, err := plainjson.Marshal(struct {
		Messages []llm.Message `json:"messages"`
	}{llm.Messages(t.conversation())})
	if err != nil {
		return err
	}
	return atomicfile.WriteBytes(path, append(raw, '\n'))
}
