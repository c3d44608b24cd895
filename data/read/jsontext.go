package read

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"time"
)

// Rows of Parquet and Arrow become the text of JSON objects, so that a line
// has one meaning whatever it lies in: that which Python's json.dumps gives the row that
// pyarrow reads. Numbers are written exactly, and bytes of text as they are, so that what is
// no UTF-8 is found where all lines are checked. A row that has become longer than MaxLine is too long
// whatever follows: the rest of it need not be there.

const (
	dateLayout      = "2006-01-02"
	timeLayout      = "15:04:05"
	timestampLayout = dateLayout + " " + timeLayout
)

const hexDigits = "0123456789abcdef"

// appendText writes a string of JSON.
func appendText[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s) && len(dst) <= MaxLine; i++ {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		dst = append(append(dst, s[from:i]...), '\\')
		from = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, c)
		case '\n':
			dst = append(dst, 'n')
		case '\t':
			dst = append(dst, 't')
		case '\r':
			dst = append(dst, 'r')
		default:
			dst = append(dst, 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(append(dst, s[from:min(len(s), from+MaxLine)]...), '"')
}

// appendFloat writes a number as Python does, 48.0 apart from 48, or null for what is none.
func appendFloat(dst []byte, v float64) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return append(dst, "null"...)
	}
	from := len(dst)
	dst = strconv.AppendFloat(dst, v, 'e', -1, 64)
	e := bytes.IndexByte(dst[from:], 'e')
	if exponent, _ := strconv.Atoi(string(dst[from+e+1:])); exponent < -4 || exponent >= 16 {
		return dst
	}
	dst = strconv.AppendFloat(dst[:from], v, 'f', -1, 64)
	if bytes.IndexByte(dst[from:], '.') < 0 {
		dst = append(dst, ".0"...)
	}
	return dst
}

// halfOf is the number that the bits of a float16 are (IEEE 754). The library's own is wrong below 2^-14.
func halfOf(bits uint16) float64 {
	exponent, fraction := int(bits>>10&31), float64(bits&1023)
	v := math.Ldexp(fraction, -24)
	switch exponent {
	case 0:
	case 31:
		v = math.NaN() // or infinite
	default:
		v = math.Ldexp(1024+fraction, exponent-25)
	}
	if bits>>15 == 1 {
		v = -v
	}
	return v
}

// appendTime writes a date or a time as Python does, and with how it differs from UTC where
// the column says so: 2024-05-01 12:00:00.500000+00:00.
func appendTime(dst []byte, t time.Time, layout string, zoned bool) []byte {
	switch n := t.Nanosecond(); {
	case n%1000 != 0:
		layout += ".000000000"
	case n != 0:
		layout += ".000000"
	}
	if zoned {
		layout += "-07:00"
	}
	return appendText(dst, t.UTC().Format(layout))
}

// appendJSON writes a value of a column of JSON as what it is; what is none stays a text.
func appendJSON[T string | []byte](dst []byte, s T) []byte {
	if len(s) > MaxLine || !json.Valid([]byte(s)) {
		return appendText(dst, s)
	}
	return append(dst, s...)
}

// appendMember writes a key and its value. In objects within a row a table has every key
// everywhere: one that is null is none unless nulls are kept.
func appendMember(dst []byte, name string, keepNulls bool, value func([]byte) []byte) []byte {
	before := len(dst)
	dst = appendKey(dst, name)
	from := len(dst)
	if dst = value(dst); !keepNulls && len(dst) > from && string(dst[from:]) == "null" {
		return dst[:before]
	}
	return dst
}

// appendKey writes a key, with a comma if it is not the first of its object.
func appendKey(dst []byte, name string) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	return append(appendText(dst, name), ':')
}
