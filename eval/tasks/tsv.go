package tasks

import "strings"

// longestValue is what Python's csv module reads at most of one value, in characters.
const longestValue = 131072

// readTSV parts a text into rows and values as Python's csv module does with tabs: a value that begins with a
// double quote goes on to the next one, over the ends of lines, which it leaves out; two are one in it. ok is false
// where a carriage return stands within a line, or a value is too long.
func readTSV(text string) (rows [][]string, ok bool) {
	const (
		start  = iota // of a value
		plain         // in a value without quotes
		quoted        // in one with quotes
		closed        // behind the quote that ends one
		behind        // a carriage return
	)
	var row []string
	var value strings.Builder
	length, state := 0, start
	save := func() {
		row = append(row, value.String())
		value.Reset()
		length = 0
	}
	for line := range strings.SplitSeq(text, "\n") {
		if state == start && line == "" {
			rows = append(rows, nil)
			continue
		}
		for i, r := range line {
			switch {
			case state == behind:
				if r != '\r' {
					return nil, false
				}
			case r == '\r' && state != quoted:
				if state == start && len(row) == 0 && i == 0 {
					state = behind // a line of nothing else has no value
					continue
				}
				save()
				state = behind
			case r == '\t' && state != quoted:
				save()
				state = start
			case r == '"' && state == start, r == '"' && state == closed:
				if state == closed {
					value.WriteByte('"')
					length++
				}
				state = quoted
			case r == '"' && state == quoted:
				state = closed
			default:
				if state != quoted {
					state = plain
				}
				value.WriteRune(r)
				if length++; length > longestValue {
					return nil, false
				}
			}
		}
		if state == quoted {
			continue
		}
		if state != behind {
			save()
		}
		rows, row, state = append(rows, row), nil, start
	}
	if state == quoted {
		save()
		rows = append(rows, row)
	}
	return rows, true
}
