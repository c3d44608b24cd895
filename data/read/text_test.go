package read

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"lwtrain/internal/fault"
	"lwtrain/internal/testfile"
)

// alpaca are columns that records may have.
var alpaca = map[string]bool{"instruction": true, "input": true, "output": true, "prompt": true, "completion": true, "messages": true}

// readText reads a file that holds some bytes, as number:text.
func readText(t *testing.T, raw []byte) (string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := readAll(path, alpaca)
	var out []string
	for _, l := range got {
		text := strings.Join(strings.Fields(string(l.Text)), " ")
		if l.Bad != "" {
			text = "bad: " + l.Bad
		}
		out = append(out, fmt.Sprintf("%d:%s", l.Number, text))
	}
	return strings.Join(out, " "), err
}

// inForm writes a text in UTF-16 or UTF-32.
func inForm(text string, f form, mark bool) []byte {
	var out []byte
	add := func(unit uint32) {
		b := make([]byte, 4)
		if f.size == 2 {
			f.order.PutUint16(b, uint16(unit))
		} else {
			f.order.PutUint32(b, unit)
		}
		out = append(out, b[:f.size]...)
	}
	if mark {
		text = "\ufeff" + text
	}
	for _, r := range text {
		if high, low := utf16.EncodeRune(r); f.size == 2 && high != '\ufffd' {
			add(uint32(high))
			add(uint32(low))
		} else {
			add(uint32(r))
		}
	}
	return out
}

var forms = map[string]form{
	"UTF-16LE": *formOf([]byte("\xff\xfe")), "UTF-16BE": *formOf([]byte("\xfe\xff")),
	"UTF-32LE": *formOf([]byte("\xff\xfe\x00\x00")), "UTF-32BE": *formOf([]byte("\x00\x00\xfe\xff")),
}

func TestOtherFormsOfUnicodeAreRead(t *testing.T) {
	for _, text := range []string{
		"{\"prompt\": \"né 中文 😀\"}\r\n\r\n{\"prompt\": \"b\u2028\"}\r\n", "[{\"prompt\": \"né 中文 😀\"},\n\n{\"prompt\": \"b\u2028\"}]",
		"{\n\"prompt\": \"né 中文 😀\"}\n{\"prompt\": \"b\u2028\"}", "prompt,completion\nné 中文 😀,\"b\u2028\"\n" +
			strings.Repeat("a,b\n", 40_000),
	} {
		want, err := readText(t, []byte(text))
		if err != nil || want == "" {
			t.Fatalf("%q: %v", text, err)
		}
		for name, f := range forms {
			for _, mark := range []bool{true, false} {
				raw := inForm(text, f, mark)
				if got, err := readText(t, raw); err != nil || got != want {
					t.Errorf("%s, mark %v: %.60q of %.20q, %v; want %.60q", name, mark, got, text, err, want)
				}
				if got, err := readText(t, testfile.Packed(t, ".gz", string(raw))); err != nil || got != want {
					t.Errorf("%s, mark %v, compressed: %.60q, %v; want %.60q", name, mark, got, err, want)
				}
			}
		}
	}
}

func TestHalfACharacterIsNoUTF8(t *testing.T) {
	for name, raw := range map[string]string{
		"half a pair at the end":   "\xff\xfe{\x00\x3d\xd8",
		"half a pair before a":     "\xff\xfe{\x00\x3d\xd8a\x00",
		"the other half alone":     "\xff\xfe{\x00\x00\xdca\x00",
		"a byte too few":           "\xff\xfe{\x00a",
		"a surrogate in UTF-32":    "\xff\xfe\x00\x00\x00\xd8\x00\x00",
		"a number that is too big": "\xff\xfe\x00\x00\xff\xff\xff\xff",
	} {
		f := formOf([]byte(raw))
		text, err := io.ReadAll(&toUTF8{form: *f, from: strings.NewReader(raw)})
		if err != nil || !bytes.Contains(text, []byte{0xFF}) {
			t.Errorf("%s: %q, %v, want a byte that is no UTF-8", name, text, err)
		}
	}
}

func TestObjectsAreReadHoweverTheyStandOnLines(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"one a line":                      {"{\"a\":1}\n{\"a\":2}\n", `1:{"a":1} 2:{"a":2}`},
		"several lines each":              {"{\n  \"a\": [\n    1\n  ]\n}\n{\n  \"a\": 2\n}\n", `1:{ "a": [ 1 ] } 6:{ "a": 2 }`},
		"behind a byte order mark":        {"\ufeff{\n\"a\":1}\n{\"a\":2}", `1:{ "a":1} 3:{"a":2}`},
		"with commas first":               {"{ \"a\": 1\n, \"b\": 2\n}", `1:{ "a": 1 , "b": 2 }`},
		"a list of the first on lines":    {"{\"a\": [\n{\"b\": 1}\n]}\n{\"a\": []}", `1:{"a": [ {"b": 1} ]} 4:{"a": []}`},
		"all on one line":                 {`{"a":1}{"a":2} {"a":"}{"}`, `1:{"a":1} 2:{"a":2} 3:{"a":"}{"}`},
		"with commas between them":        {"{\"a\":1},\n{\"a\":2},\n", `1:{"a":1} 2:{"a":2}`},
		"pretty ones with commas between": {"{\n\"a\":1\n},\n{\n\"a\":2\n}", `1:{ "a":1 } 4:{ "a":2 }`},
		"the first line is cut":           {"{\"a\": [\n{\"a\":2}\n{\"a\":3}\n", `1:{"a": [ 2:{"a":2} 3:{"a":3}`},
		"the first line is cut in a text": {"{\"a\": \"b\n{\"a\":2}\n", `1:{"a": "b 2:{"a":2}`},
		"one record of several lines":     {"{\n\"a\": 1}", `1:{ "a": 1}`},
		"a text line first":               {"# records\n{\"a\":1}\n", `1:# records 2:{"a":1}`},
		"several lines, and the end cut":  {"{\n\"a\": 1}\n{\n\"a\": ", `1:{ "a": 1} error: :4: broken JSON: a record ends in the middle`},
		"several lines, and a word":       {"{\n\"a\": 1}\nword", `1:{ "a": 1} error: :3: broken JSON: 'w' where a record should begin`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readText(t, []byte(c.text))
			want, problem, _ := strings.Cut(c.want, " error: ")
			if got != want || (err == nil) != (problem == "") || err != nil && !strings.Contains(err.Error(), problem) {
				t.Errorf("got %q, %v; want %q", got, err, c.want)
			}
		})
	}
}

// What is in the rows is what Python's csv.DictReader finds.
func TestCSVIsReadByItsFirstRow(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"commas and quotes": {"instruction,input,output\n\"Say hi\",\"\",\"Hello, friend\"\nCount,to 3,\"1, 2, 3\"\n",
			`2:{"instruction":"Say hi","input":"","output":"Hello, friend"} 3:{"instruction":"Count","input":"to 3","output":"1, 2, 3"}`},
		"tabs":             {"prompt\tcompletion\nSay hi\tHello, you\n", `2:{"prompt":"Say hi","completion":"Hello, you"}`},
		"semicolons":       {"prompt;completion\na,b;c\n", `2:{"prompt":"a,b","completion":"c"}`},
		"bars":             {"prompt|completion\na|c\n", `2:{"prompt":"a","completion":"c"}`},
		"Excel's own line": {"sep=;\r\nprompt;completion\r\na;b\r\n", `3:{"prompt":"a","completion":"b"}`},
		"carriage returns alone": {"prompt,completion\ra,\"b\r\r\nc\"\r\rd,e",
			`2:{"prompt":"a","completion":"b\n\nc"} 6:{"prompt":"d","completion":"e"}`},
		"one within the first row":   {"\"prompt\",\"a\rb\"\nc,d\n", `2:{"prompt":"c"}`},
		"one in a row":               {"prompt,completion\na,b\rc,d\n", `2:bad: a row of 3 fields, want 2, as the first row has`},
		"a byte order mark and CRLF": {"\ufeffprompt,completion\r\na,b\r\n", `2:{"prompt":"a","completion":"b"}`},
		"a quoted first row":         {"\"prompt\",\"completion\"\na,b\n", `2:{"prompt":"a","completion":"b"}`},
		"line ends in a field": {"prompt,completion\n\"a\nb\n\",c\n\nd,e\n",
			`2:{"prompt":"a\nb\n","completion":"c"} 6:{"prompt":"d","completion":"e"}`},
		"doubled quotes":            {"prompt,completion\n\"say \"\"hi\"\"\",b\n", `2:{"prompt":"say \"hi\"","completion":"b"}`},
		"columns that nobody reads": {"id,prompt,completion,x\n1,a,b,c\n", `2:{"prompt":"a","completion":"b"}`},
		"blanks around the names":   {"prompt, completion\na, b\n", `2:{"prompt":"a","completion":" b"}`},
		"rows of nothing":           {"prompt,completion\na,b\n,\n\n,\n", `2:{"prompt":"a","completion":"b"}`},
		"a column alone":            {"prompt\na\nb c\n", `2:{"prompt":"a"} 3:{"prompt":"b c"}`},
		"JSON in a column":          {"messages\n\"[{\"\"role\"\": \"\"user\"\"}]\"\n", `2:{"messages":"[{\"role\": \"user\"}]"}`},
		"a field too few": {"prompt,completion\na\nb,c\n",
			`2:bad: a row of 1 fields, want 2, as the first row has 3:{"prompt":"b","completion":"c"}`},
		"a field too many":           {"prompt,completion\na,b,c\n", `2:bad: a row of 3 fields, want 2, as the first row has`},
		"bytes that are no UTF-8":    {"prompt,completion\na\xff,b\n", "2:{\"prompt\":\"a\xff\",\"completion\":\"b\"}"},
		"a quote that is not closed": {"prompt,completion\n\"a,b\nc,d\n", ` error: :2: broken CSV: a field in quotes that is not closed`},
		"text behind a quote": {"prompt,completion\n\"a\" b,c\n",
			` error: :2: broken CSV: a field in quotes that is not closed, or goes on`},
		"a quote within": {"prompt,completion\nx,y\na \"b\",c\n",
			`2:{"prompt":"x","completion":"y"} error: :3: broken CSV: a quote in a field without quotes (column 3)`},
		"two columns of one name": {"prompt,prompt\na,b\n", ` error: :1: two columns "prompt", want one`},
		"no names in the first row": {"Say hi,Hello\nCount,1 2 3\n",
			` error: :1: the first row of CSV names the columns: the columns are "Say hi", "Hello", want messages`},
		"other names": {"q;a\nb;c\n",
			` error: :1: the first row of CSV names the columns: the columns are "q", "a", want messages`},
		"a text": {"Once upon a time\nthere was\n",
			` error: :1: a text that begins with "Once upon a time", want JSONL`},
		"a list of YAML":              {"- messages:\n  - role: user\n", ` error: :1: a text that begins with "- messages:", want JSONL`},
		"names in quotes as in JSONL": {"\"prompt\"\n\"a\"\n", `2:{"prompt":"a"}`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readText(t, []byte(c.text))
			want, problem, _ := strings.Cut(c.want, " error: ")
			if got != want || (err == nil) != (problem == "") || err != nil && !strings.Contains(err.Error(), problem) {
				t.Errorf("got %q, %v; want %q", got, err, c.want)
			}
			if err != nil && (!fault.IsUsage(err) || fault.HintOf(err) == "") {
				t.Errorf("%v has no hint", err)
			}
		})
	}
}

func TestARowThatNeverEndsIsNotHeld(t *testing.T) {
	for _, c := range []struct {
		of   byte
		want string
	}{{'x', "a row of more than 64 MiB"}, {',', "a row with ',' more than 4194304 times"}} {
		endless := io.MultiReader(strings.NewReader("prompt,completion\na"), &repeated{c.of, 3 * MaxLine})
		rows, err := newCSVRows(endless, dialect{comma: ','}, alpaca)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = rows.next(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
		if at := rows.position(); at > 2*MaxLine {
			t.Errorf("%d bytes are read", at)
		}
	}
}

// repeated is a byte n times.
type repeated struct {
	of byte
	n  int
}

func (r *repeated) Read(b []byte) (int, error) {
	n := min(len(b), r.n)
	for i := range b[:n] {
		b[i] = r.of
	}
	if r.n -= n; n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// emptyZstd is what zstd makes of nothing.
const emptyZstd = "\x28\xb5\x2f\xfd\x24\x00\x01\x00\x00\x99\xe9\xd8\x51"

func TestOtherFilesAreNamedByTheirBytes(t *testing.T) {
	zip := "PK\x03\x04\x14\x00\x06\x00\x08\x00"
	for name, c := range map[string]struct{ raw, want string }{
		"nothing":             {"", "an empty file (0 bytes), want records"},
		"nothing, compressed": {string(testfile.Packed(t, ".gz", "")), "a compressed file with nothing in it, want records"},
		"nothing in zstd":     {emptyZstd, "a compressed file with nothing in it, want records"},
		"Excel":               {zip + "[Content_Types].xml \x00 xl/workbook.xml", "a file of Excel (.xlsx)"},
		"old Excel":           {"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x00", "a file of Excel or Word from before 2007"},
		"Word":                {zip + "[Content_Types].xml word/document.xml", "a file of Word"},
		"LibreOffice":         {zip + "mimetypeapplication/vnd.oasis.opendocument.spreadsheet", "a file of OpenDocument"},
		"zip":                 {zip + "data.jsonl", "a compressed file (zip)"},
		"bzip2":               {"BZh91AY&SY", "a compressed file (bzip2)"},
		"xz":                  {"\xfd7zXZ\x00", "a compressed file (xz)"},
		"lz4":                 {"\x04\x22\x4d\x18d", "a compressed file (lz4)"},
		"lzma":                {"]\x00\x00\x80\x00", "a compressed file (lzma)"},
		"compress":            {"\x1f\x9d\x90", "a compressed file (compress)"},
		"snappy":              {"\xff\x06\x00\x00sNaPpY", "a compressed file (snappy)"},
		"tar":                 {strings.Repeat("x", 257) + "ustar\x0000", "a tar archive"},
		"a page of the web":   {"\n<!DOCTYPE html><html>", "a page of the web (HTML)"},
		"pickle":              {"\x80\x04\x95\x10", "a pickle of Python"},
		"SQLite":              {"SQLite format 3\x00", "a database of SQLite"},
		"Excel, compressed":   {string(testfile.Packed(t, ".gz", zip+"xl/")), "with zip in it"},
		"a page, compressed":  {string(testfile.Packed(t, ".gz", "<html>")), "with a page of the web (HTML), want a file of data in it"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := readText(t, []byte(c.raw)); err == nil || !strings.Contains(err.Error(), c.want) || !fault.IsUsage(err) ||
				fault.HintOf(err) == "" {
				t.Errorf("got %v, want %q with a hint", err, c.want)
			}
		})
	}
}

func TestCompressedFilesInSeveralPartsAreReadWhole(t *testing.T) {
	line := func(n int) string { return fmt.Sprintf("{\"prompt\": \"%d\"}\n", n) }
	skippable := "\x5a\x2a\x4d\x18\x05\x00\x00\x00hello"
	var block bytes.Buffer
	w, err := zstd.NewWriter(&block, zstd.WithEncoderConcurrency(2))
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, line(3))
	w.Close()
	var named bytes.Buffer
	z := gzip.NewWriter(&named)
	z.Name, z.Comment = "data.jsonl", "with a name in its head"
	io.WriteString(z, line(3))
	z.Close()
	gz := func(n int) []byte { return testfile.Packed(t, ".gz", line(n)) }
	zst := func(n int) []byte { return testfile.Packed(t, ".zst", line(n)) }
	for name, raw := range map[string][]byte{
		"zstd with a frame to be passed over first": slices.Concat([]byte(skippable), zst(1), zst(2), block.Bytes()),
		"zstd with one between":                     slices.Concat(zst(1), []byte(skippable), zst(2), block.Bytes(), []byte(skippable)),
		"zstd with two first":                       slices.Concat([]byte(skippable), []byte(skippable), zst(1), zst(2), zst(3)),
		"gzip with several members":                 slices.Concat(gz(1), gz(2), named.Bytes()),
		"gzip with an empty member first":           slices.Concat(testfile.Packed(t, ".gz", ""), gz(1), gz(2), gz(3)),
		"zstd with an empty frame first":            slices.Concat([]byte(emptyZstd), zst(1), zst(2), zst(3)),
		"gzip with a line over two members": slices.Concat(gz(1), testfile.Packed(t, ".gz", line(2)[:5]), testfile.Packed(t, ".gz",
			line(2)[5:]), gz(3)),
		"no compression, whatever the file is called": []byte(line(1) + line(2) + line(3)),
	} {
		t.Run(name, func(t *testing.T) {
			const want = `1:{"prompt": "1"} 2:{"prompt": "2"} 3:{"prompt": "3"}`
			if got, err := readText(t, raw); err != nil || got != want {
				t.Errorf("got %s, %v; want %s", got, err, want)
			}
		})
	}
}

// FuzzText wants an error of the file or lines in their order, whatever a text is, and of
// every form of Unicode the same.
func FuzzText(f *testing.F) {
	for _, s := range []string{
		"prompt,completion\n\"a\nb\",c\n", "sep=;\nprompt;x\n1;2\n", "{\n\"a\": [1]},\n{\"b\": 2}", "{\"a\":1}{\"a\":2}",
		"[{\"prompt\": 1}]",
		"\xff\xfe{\x00}\x00", "p\x00r\x00", "prompt\n\"", "\ufeffprompt\tx\r\na\tb", "{\"a\": \"x", "sep=,", "sep=;\n\nprompt",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		l, err := ofText(bytes.NewReader(raw), raw[:min(len(raw), 1<<12)], alpaca)
		for last := 0; err == nil; {
			var x Line
			if x, err = l.next(); err == nil && (x.Number <= last || x.Bad != "" && len(x.Text) > 0) {
				t.Fatalf("line %d after %d: %q %s", x.Number, last, x.Text, x.Bad)
			}
			last = x.Number
		}
		if err == nil || strings.Contains(err.Error(), "\n") {
			t.Fatalf("the end is %v", err)
		}
	})
}
