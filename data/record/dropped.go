package record

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"lwtrain/chat"
	"lwtrain/internal/fault"
)

// Error is the error of a record that is not used.
type Error struct {
	Reason   string // in snake case: such records are counted by it
	Detail   string // for people
	Unwanted bool   // a filter passes it over; it is counted, and never stops a run
}

func (e *Error) Error() string { return e.Detail }

func bad(reason, format string, args ...any) error {
	return &Error{reason, fmt.Sprintf(format, args...), false}
}

func unwanted(reason, format string, args ...any) error {
	return &Error{reason, fmt.Sprintf(format, args...), true}
}

// Dropped counts the records that are not used, for one reason.
type Dropped struct {
	Reason string    `json:"reason"`
	Count  int       `json:"count"`
	First  []Problem `json:"first"` // at most MostNamed of them
}

// Problem is a record by the number of its line, and why it is not used.
type Problem struct {
	Line   int    `json:"line"`
	Detail string `json:"detail"`
}

// excerpt is what is kept of an error, which may show what is in its record.
func excerpt(detail string) string {
	const most = 600 // bytes
	if len(detail) <= most {
		return detail
	}
	return strings.ToValidUTF8(detail[:most], "") + "..."
}

// mostUnread is how many keys are counted apart.
const mostUnread = 100

// MostNamed is how many records are named of those that can not be used.
const MostNamed = 10

// mostBad is how many records that can not be used are counted where nearly all are such: lines
// of three bytes, packed to a thousandth, would be for hours.
const mostBad = 10_000_000

// Drops are the records of a source that are not used, by reason in the order of
// their first lines.
type Drops struct {
	Dropped []Dropped `json:"dropped"` // can not be used
	Passed  []Dropped `json:"passed"`  // are passed over by a filter
	// Unread are keys of records that are used, which nothing reads and no template writes.
	Unread []Unread `json:"unread,omitempty"`
}

// Unread counts the records that have a key which nothing reads.
type Unread struct {
	Key   string `json:"key"`
	Count int    `json:"count"`
	Line  int    `json:"line"` // of the first
}

// AddUnread counts n records with a key that nothing reads, the first of which is on a line.
func (d *Drops) AddUnread(key string, line, n int) {
	key = fmt.Sprintf("%.80s", key)
	find := func() int { return slices.IndexFunc(d.Unread, func(x Unread) bool { return x.Key == key }) }
	i := find()
	if i < 0 && len(d.Unread) >= mostUnread { // a file of nothing but different keys
		key = "other keys"
		i = find()
	}
	if i < 0 {
		i = len(d.Unread)
		d.Unread = append(d.Unread, Unread{Key: key, Line: line})
	}
	d.Unread[i].Count += n
}

// Add counts the record of a line, whose error is one of [Renderer.Tokenise] or
// [Layout.Prompt].
func (d *Drops) Add(line int, err error) {
	reason := "invalid"
	var record *Error
	var talk *chat.ConversationError
	switch {
	case errors.As(err, &record):
		reason = record.Reason
	case errors.As(err, &talk):
		reason = strings.ReplaceAll(string(talk.Reason), " ", "_")
	}
	list := &d.Dropped
	if record != nil && record.Unwanted {
		list = &d.Passed
	}
	i := slices.IndexFunc(*list, func(x Dropped) bool { return x.Reason == reason })
	if i < 0 {
		i = len(*list)
		*list = append(*list, Dropped{Reason: reason})
	}
	x := &(*list)[i]
	if x.Count++; x.Count <= MostNamed {
		x.First = append(x.First, Problem{line, excerpt(err.Error())})
	}
}

// Hopeless says so where of so many records more than mostBad, and more than nine of ten, can
// not be used: what is read is no file of conversations.
func (d *Drops) Hopeless(records int) error {
	bad := 0
	for _, x := range d.Dropped {
		bad += x.Count
	}
	if bad <= mostBad || bad/9 <= records/10 {
		return nil
	}
	first := d.Dropped[0].First[0]
	err := fmt.Errorf("of its first %d records %d can not be used, the first in line %d (%s): want a file of conversations",
		records, bad, first.Line, first.Detail)
	return fault.Usage(fault.Hint(err, "a file with so many others among its records is to be sifted first"))
}
