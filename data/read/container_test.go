package read

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lwtrain/internal/fault"
)

// tableNames are the columns of testdata/table.jsonl, which tables.py wrote.
var tableNames = map[string]bool{"id": true, "unsigned": true, "score": true, "good": true, "source": true, "history": true,
	"messages": true, "tools": true, "prompt": true}

func tables(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, pattern := range []string{"testdata/table-*.parquet", "testdata/table-*.arrow"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v, %v", pattern, found, err)
		}
		out = append(out, found...)
	}
	return out
}

// readAll reads the records of a file.
func readAll(path string, names map[string]bool) (out []Line, err error) {
	return readOpened(Open([]File{{path, path}}, Options{Columns: names}))
}

func readOpened(r *Reader, err error) (out []Line, _ error) {
	if err != nil {
		return nil, err
	}
	defer r.Close()
	for {
		l, err := r.Next()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		out = append(out, l)
	}
}

func exact(t *testing.T, text []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber() // 9007199254740993 is another number than ...992
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

func TestRowsOfTablesAreWhatPyarrowWrote(t *testing.T) {
	want, err := readAll("testdata/table.jsonl", tableNames)
	if err != nil || len(want) != 12 {
		t.Fatalf("%d lines, %v", len(want), err)
	}
	for _, path := range tables(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			got, err := readOpened(Open([]File{{path, path}}, Options{Columns: tableNames, KeepNulls: true}))
			if err != nil || len(got) != len(want) {
				t.Fatalf("%d rows, %v; want %d", len(got), err, len(want))
			}
			for i := range got {
				g, w := fmt.Sprintf("%#v", exact(t, got[i].Text)), fmt.Sprintf("%#v", exact(t, want[i].Text))
				if g != w || got[i].Number != i+1 {
					t.Errorf("row %d has the number %d:\n%s\nwant\n%s", i+1, got[i].Number, g, w)
				}
			}
			some, err := readAll(path, map[string]bool{"prompt": true})
			if err != nil || string(some[3].Text) != `{"prompt":"p3"}` {
				t.Errorf("one column: %v, %v", some, err)
			}
			_, err = readAll(path, map[string]bool{"nothing": true})
			if err == nil || !strings.Contains(err.Error(), `the columns are "id", "unsigned"`) || !fault.IsUsage(err) {
				t.Errorf("no column that is wanted: %v", err)
			}
		})
	}
}

// TestNestedObjectsAreWhatPyarrowGives compares, byte by byte, with what json.dumps made of the
// rows.
func TestNestedObjectsAreWhatPyarrowGives(t *testing.T) {
	names := map[string]bool{"messages": true, "tools": true, "mapped": true, "numbers": true, "singles": true, "times": true}
	for golden, keep := range map[string]bool{"testdata/nested.jsonl": false, "testdata/nested-keep.jsonl": true} {
		want, err := readAll(golden, names)
		if err != nil || len(want) != 3 {
			t.Fatalf("%d lines, %v", len(want), err)
		}
		for _, path := range []string{"testdata/nested.parquet", "testdata/nested.arrow"} {
			r, err := Open([]File{{path, path}}, Options{Columns: names, KeepNulls: keep})
			if err != nil {
				t.Fatal(err)
			}
			for i := range want {
				got, err := r.Next()
				if g, w := compact(t, got.Text), compact(t, want[i].Text); err != nil || g != w {
					t.Errorf("%s, row %d, %v: got\n%s\nwant\n%s", path, i+1, err, g, w)
				}
			}
			r.Close()
		}
	}
}

func compact(t *testing.T, text []byte) string {
	t.Helper()
	var out bytes.Buffer
	if err := json.Compact(&out, text); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return out.String()
}

// TestBrokenTablesAreErrors cuts and changes the files at every place. What is
// read of them is an error of the file, or rows; never a panic, and never an
// endless loop.
func TestBrokenTablesAreErrors(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "broken")
	all := map[string]bool{"mapped": true, "numbers": true, "singles": true, "times": true}
	maps.Copy(all, tableNames)
	for _, table := range append(tables(t), "testdata/nested.parquet", "testdata/nested.arrow") {
		whole, err := os.ReadFile(table)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(filepath.Base(table), func(t *testing.T) {
			try := func(text []byte, what string, at int, wantErr bool) {
				if err := os.WriteFile(path, text, 0o644); err != nil {
					t.Fatal(err)
				}
				rows, err := readAll(path, all)
				switch {
				case err == nil && wantErr:
					t.Errorf("%s at %d: %d rows, want an error", what, at, len(rows))
				case err != nil && (!fault.IsUsage(err) || !strings.HasPrefix(err.Error(), path+":")):
					t.Errorf("%s at %d: %v, want the file's name and exit status 2", what, at, err)
				}
			}
			isStream := strings.Contains(table, "stream")
			for n := 12; n < len(whole); n += 1 + len(whole)/100 {
				try(whole[:n], "cut", n, !isStream)
			}
			for at := 8; at < len(whole); at += 1 + len(whole)/density {
				text := slices.Clone(whole)
				text[at] ^= 0xFF
				try(text, "changed", at, false)
				text[at] = whole[at] ^ 1
				try(text, "one bit changed", at, false)
			}
		})
	}
}

// density is how many places of a file are changed.
const density = 250

func TestContainersThatAreNotReadAreNamed(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"gzip":            {"\x1f\x8b\x08abc", "a compressed file"},
		"Feather 1":       {"FEA1abc", "first Feather format"},
		"encrypted":       {"PAREabcdefghijkl", "an encrypted Parquet file"},
		"a short Parquet": {"PAR1", "a broken Parquet file: it ends after 4 bytes"},
		"no Parquet":      {"PAR1" + strings.Repeat("x", 100), "its end is missing"},
		"a long footer":   {"PAR1" + strings.Repeat("x", 50) + "\xff\x00\x00\x00PAR1", "its end is missing"},
		"no Arrow":        {"ARROW1\x00\x00" + strings.Repeat("x", 100), "its end is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x")
			if err := os.WriteFile(path, []byte(c.text), 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := readAll(path, tableNames); err == nil || !strings.Contains(err.Error(), c.want) || !fault.IsUsage(err) ||
				fault.HintOf(err) == "" {
				t.Errorf("got %v, want %q with a hint", err, c.want)
			}
		})
	}
}

func TestElementsOfAnArrayAreReadOneByOne(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"on lines of their own":         {"[\n {\"a\": 1},\n {\"a\":\n 2}\n]\n", `2:{"a": 1} 3:{"a": 2}`},
		"on one line":                   {`[{"a":1},{"b":2},3]`, `1:{"a":1} 2:{"b":2} 3:3`},
		"behind a byte order mark":      {"\ufeff [1 ,\n2]", "1:1 2:2"},
		"with brackets in text":         {`[{"a":"]}\"[{"},"],"]`, `1:{"a":"]}\"[{"} 2:"],"`},
		"nested":                        {`[[1,[2]],{"a":{"b":[]}}]`, `1:[1,[2]] 2:{"a":{"b":[]}}`},
		"none":                          {" [ ] ", ""},
		"one that is too long":          {`[1,"` + strings.Repeat("x", 100) + `",2]`, "1:1 2:too long 3:2"},
		"no end":                        {`[1,2`, "1:1 broken: ends in the middle"},
		"an end in the text":            {`["abc`, "broken: ends in the middle"},
		"an end behind a comma":         {`[1,`, "1:1 broken: ends in the middle"},
		"a comma too many":              {`[1,]`, "1:1 broken: where a record should begin"},
		"two commas":                    {`[1,,2]`, "1:1 broken: where a record should begin"},
		"no comma":                      {`[{}{}]`, `1:{} broken: behind a record`},
		"something behind the array":    {"[1]\n2", "1:1 broken: behind the array"},
		"another array behind it":       {"[1]\n[2]", "1:1 broken: a second array"},
		"a bracket that closes nothing": {`[1}]`, "1:1 broken: behind a record"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newJSONArray(strings.NewReader(c.text))
			a.most = 60
			var got []string
			var err error
			for {
				var l Line
				if l, err = a.next(); err != nil {
					break
				}
				text := strings.Join(strings.Fields(string(l.Text)), " ")
				if l.TooLong {
					text = "too long"
				}
				got = append(got, fmt.Sprintf("%d:%s", l.Number, text))
			}
			want, problem, isBroken := strings.Cut(c.want, "broken: ")
			var b *brokenFile
			if strings.Join(got, " ") != strings.TrimSpace(want) || isBroken != errors.As(err, &b) || isBroken &&
				!strings.Contains(err.Error(), problem) || !isBroken && err != io.EOF {
				t.Errorf("got %q, %v; want %q", got, err, c.want)
			}
			if _, again := a.next(); again != err {
				t.Errorf("the error is %v the second time", again)
			}
		})
	}
}

// FuzzArray wants what encoding/json finds in a valid array, and of any text no
// element that is longer than allowed, and no number twice.
func FuzzArray(f *testing.F) {
	f.Add([]byte(`[{"a": [1, "]\\\""]}, 2.5e3 , null, "x"]`), 40)
	f.Add([]byte("\ufeff[\n\n]\n"), 4)
	f.Add([]byte(`[1,{"a":"`), 8)
	f.Fuzz(func(t *testing.T, text []byte, most int) {
		a := newJSONArray(bytes.NewReader(text))
		a.most = max(1, most)
		var got [][]byte
		last, long := 0, false
		var err error
		for {
			var l Line
			if l, err = a.next(); err != nil {
				break
			}
			if l.Number <= last || len(l.Text) > a.most || l.TooLong && len(l.Text) > 0 {
				t.Fatalf("element %d after %d: %q", l.Number, last, l.Text)
			}
			last, long = l.Number, long || l.TooLong
			got = append(got, l.Text)
		}
		var want []json.RawMessage
		if json.Unmarshal(text, &want) != nil || long || want == nil {
			return
		}
		if err != io.EOF || len(got) != len(want) || a.position() != int64(len(text)) {
			t.Fatalf("%d elements, %v, %d bytes; want %d of %d bytes in %q", len(got), err, a.position(), len(want), len(text), text)
		}
		for i := range got {
			if !bytes.Equal(got[i], want[i]) {
				t.Fatalf("element %d is %q, want %q", i, got[i], want[i])
			}
		}
	})
}
