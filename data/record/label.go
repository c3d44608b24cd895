package record

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"lwtrain/internal/fault"
)

// goodLabels and badLabels are the names of labels, in small letters.
var (
	goodLabels = []string{"true", "1", "1.0", "yes", "good", "desirable", "chosen", "positive", "pos", "thumbs_up", "preferred", "liked"}
	badLabels  = []string{
		"false", "0", "0.0", "-1", "-1.0", "no", "bad", "undesirable", "rejected", "negative", "neg", "thumbs_down", "dispreferred",
		"disliked",
	}
)

// labelOf reads a label: true and false, 1 and 0, or their names. known is false for other values.
func labelOf(text string) (good, known bool) {
	text = strings.ToLower(strings.TrimSpace(text))
	good = slices.Contains(goodLabels, text)
	return good, good || slices.Contains(badLabels, text)
}

// ownLabel returns what a record has as its label, and whether that is one, or something that looks like
// one and says neither: a number between others, as 0.9, or what holds several values. Other texts and
// numbers are classes.
func (l Layout) ownLabel(f fields) (raw json.RawMessage, is bool) {
	_, raw, there := l.find(f, "label")
	if !there || absent(raw) {
		return raw, false
	}
	if raw[0] == '[' || raw[0] == '{' {
		return raw, true
	}
	text := labelText(raw)
	if _, known := labelOf(text); known {
		return raw, true
	}
	_, notWhole := strconv.Atoi(text)
	v, err := strconv.ParseFloat(text, 64)
	return raw, err == nil && notWhole != nil && v == v
}

func labelText(raw json.RawMessage) string {
	if raw[0] == '"' {
		return strings.TrimSpace(cutText(raw))
	}
	return string(raw)
}

// goodLabel reads the label of a record that has one.
func (r *reader) goodLabel(raw json.RawMessage) (bool, error) {
	good, known := labelOf(labelText(raw))
	if !known {
		return false, bad("invalid_label",
			"label is %.40s, want true or false, or 1 or 0; `ignore: [%s]` of the source takes it for no label", raw, r.nameOf("label"))
	}
	return good, nil
}

// refuseBad refuses a conversation whose label says that it is a bad one, where the options
// say that records are conversations.
func (r *reader) refuseBad() error {
	raw, is := r.ownLabel(r.f)
	if !is {
		return nil
	}
	good, err := r.goodLabel(raw)
	if err != nil {
		return err
	}
	if name := r.nameOf("label"); !good {
		return bad("labelled_bad", "%s says that the answer is a bad one, want a good one; `ignore: [%s]` of the source takes all, "+
			"`format: kto` and `side: chosen` the good ones", name, name)
	}
	r.get("label")
	return nil
}

// CheckClasses refuses a column of labels that holds classes whose names are none of labels: as numbers
// they would look like some. classes has their names by column.
func (l Layout) CheckClasses(classes map[string][]string) error {
	if l.Format == preferenceFormat {
		return nil
	}
	for _, column := range l.names["label"] {
		unknown := func(name string) bool { _, known := labelOf(name); return !known }
		if names := classes[column]; slices.ContainsFunc(names, unknown) && !slices.Contains(l.ignored, column) {
			const most = 6
			more := ""
			if len(names) > most {
				names, more = names[:most], fmt.Sprintf(" and %d more", len(names)-most)
			}
			return fault.Usage(fault.Hint(
				fmt.Errorf("%s holds the classes %s%s, want labels of good and bad answers", column, strings.Join(names, ", "), more),
				fmt.Sprintf("`ignore: [%s]` of the source takes it for no label; labels are true and false, or such names as pos and neg",
					column)))
		}
	}
	return nil
}
