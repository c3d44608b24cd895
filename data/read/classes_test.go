package read

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lwtrain/internal/fault"
)

// columns makes a set of names.
func columns(names ...string) map[string]bool {
	out := map[string]bool{}
	for _, n := range names {
		out[n] = true
	}
	return out
}

func TestValuesOfTablesAreWhatTheyMean(t *testing.T) {
	all := columns("prompt", "completion", "label", "messages", "history", "tools")
	for golden, files := range map[string][]string{
		"classes.jsonl": {"classes.parquet", "classes.arrow"},
		"half.jsonl":    {"half.parquet", "half.arrow"},
	} {
		want, err := readAll("testdata/"+golden, all)
		if err != nil || len(want) < 3 {
			t.Fatalf("%d lines, %v", len(want), err)
		}
		for _, name := range files {
			got, err := readAll("testdata/"+name, all)
			if err != nil || len(got) != len(want) {
				t.Fatalf("%s: %d rows, %v; want %d", name, len(got), err, len(want))
			}
			for i := range want {
				if g, w := compact(t, got[i].Text), compact(t, want[i].Text); g != w {
					t.Errorf("%s, row %d: got\n%s\nwant\n%s", name, i+1, g, w)
				}
			}
		}
	}
}

func TestTheClassesOfColumnsAreTold(t *testing.T) {
	want := []string{"neg", "pos"}
	files := []File{{"a", "testdata/classes.arrow"}, {"b", "testdata/half.parquet"}, {"c", "testdata/classes.parquet"}}
	r, err := Open(files, Options{Columns: columns("prompt", "label")})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for err == nil {
		if got := r.Classes(); len(got) != 1 || !slices.Equal(got["label"], want) {
			t.Fatalf("got %v", got)
		}
		_, err = r.Next()
	}
	if err != io.EOF {
		t.Error(err)
	}
}

func TestFeaturesThatCanNotBeAreErrors(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"no JSON":              {`{"info": `, "which datasets wrote"},
		"no names":             {`{"info": {"features": {"a": {"_type": "ClassLabel"}}}}`, "a ClassLabel without a list of names"},
		"names that are none":  {`{"info": {"features": {"a": {"_type": "ClassLabel", "names": 3}}}}`, "without a list of names"},
		"nested without end":   {`{"info": {"features": ` + strings.Repeat(`{"a": `, 50) + `1` + strings.Repeat(`}`, 52), "nested deeper"},
		"nothing of columns":   {`{}`, ""},
		"other kinds":          {`{"info": {"features": {"a": {"_type": "Value", "dtype": "string"}, "b": 3, "c": []}}}`, ""},
		"a struct of features": {`{"info": {"features": {"a": {"b": {"_type": "Value"}}}}}`, ""},
	} {
		switch f, err := featuresOf(c.text); {
		case c.want == "" && (err != nil || f.member("a").member("b").names() != nil):
			t.Errorf("%s: %v, %v", name, f, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestColumnsAndPagesThatAreNotReadAreNamed(t *testing.T) {
	for name, want := range map[string]string{
		"duration.arrow":    `column "prompt": values of the type duration[us], want text, numbers, dates, lists or structs`,
		"duration.parquet":  `column "prompt": durations, want text`,
		"durations.arrow":   `column "prompt.item.a": values of the type duration[us]`,
		"durations.parquet": `column "prompt.list.element.a": durations`,
		"decimal.arrow":     `column "prompt": values of the type decimal(2, 1)`,
		"decimal.parquet":   `column "prompt": decimal numbers`,
		"fixed.arrow":       `column "prompt": values of the type fixed_size_binary[2]`,
		"interval.arrow":    `column "prompt": values of the type month_day_nano_interval`,
		"int96.parquet":     `column "prompt": numbers of 96 bits`,
		"lz4.parquet":       `pages in the compression LZ4_RAW, want Snappy, gzip, Brotli, zstd or none`,
		"split.parquet":     `column "prompt": values in the encoding BYTE_STREAM_SPLIT, want plain ones`,
	} {
		_, err := readAll("testdata/refused-"+name, columns("prompt"))
		if err == nil || !strings.Contains(err.Error(), want) || !fault.IsUsage(err) || fault.HintOf(err) == "" {
			t.Errorf("%s: %v\nwant %s", name, err, want)
		}
	}
}

func TestAPageWithAnotherChecksumIsBroken(t *testing.T) {
	for name, at := range map[string]string{
		"sums-1.parquet": "number 17 the", // in a text
		"sums-2.parquet": "the text number",
	} {
		text, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), name)
		i := strings.Index(string(text), at)
		if i < 0 {
			t.Fatalf("%s: no %q", name, at)
		}
		for flip, want := range map[byte]string{0: "", 1: "a page whose checksum is "} {
			text[i] ^= flip
			if err := os.WriteFile(path, text, 0o644); err != nil {
				t.Fatal(err)
			}
			rows, err := readAll(path, columns("prompt"))
			switch {
			case want == "" && (err != nil || len(rows) != 40):
				t.Errorf("%s: %d rows, %v", name, len(rows), err)
			case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
				t.Errorf("%s, changed: %v", name, err)
			}
			text[i] ^= flip
		}
	}
}
