package data

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"lwtrain/chat"
	"lwtrain/internal/testfile"
	"lwtrain/tokenizer"
)

// texts are the samples of a source as the tokenizer of bytes spells them, with its targets
// in brackets.
func texts(t *testing.T, src Source, template *chat.Template) (out []string) {
	t.Helper()
	src.Name, src.LossFactor = "s", 1
	s, err := Build(t.Context(), options(t.TempDir(), src), template, Run{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := range s.Len() {
		x, err := s.Sample(i)
		if err != nil {
			t.Fatal(err)
		}
		text, at := "", int32(0)
		spell := func(to int32) string {
			part := tokenizer.Bytes().Decode(x.IDs[at:to], false)
			at = to
			return part
		}
		for _, r := range x.Target {
			text += spell(r[0]) + "[" + spell(r[1]) + "]"
		}
		out = append(out, text+spell(int32(len(x.IDs))))
	}
	return out
}

func TestARecordIsTheSameWhateverItLiesIn(t *testing.T) {
	const lines = `{"instruction":"Say \"hi\"","input":"","output":"Hello, friend"}
{"instruction":"Count","input":"to 3\nor 4","output":"1, 2, 3 中 😀"}
`
	wide := []byte{0xFF, 0xFE}
	for _, unit := range utf16.Encode([]rune(strings.ReplaceAll(lines, "\n", "\r\n"))) {
		wide = append(wide, byte(unit), byte(unit>>8))
	}
	rows := "instruction,input,output,id\n\"Say \"\"hi\"\"\",\"\",\"Hello, friend\",1\nCount,\"to 3\nor 4\",\"1, 2, 3 中 😀\",2\n"
	pretty := strings.NewReplacer("{", "{\n  ", ",\"", ",\n  \"", "}", "\n}").Replace(lines)
	want := []string{
		"<|im_start|>user\nSay \"hi\"<|im_end|>\n<|im_start|>assistant\n[Hello, friend<|im_end|>]\n",
		"<|im_start|>user\nCount\nto 3\nor 4<|im_end|>\n<|im_start|>assistant\n[1, 2, 3 中 😀<|im_end|>]\n",
	}
	for name, text := range map[string]string{
		"data.jsonl": lines, "array.json": "[" + strings.Join(strings.Split(strings.TrimSpace(lines), "\n"), ",") + "]",
		"pretty.json": pretty, "commas.jsonl": strings.ReplaceAll(lines, "}\n", "},\n"), "one.jsonl": strings.ReplaceAll(lines, "\n", ""),
		"wide.jsonl": string(wide), "data.csv": rows, "data.csv.gz": rows, "marked.csv": "\ufeff" + strings.ReplaceAll(rows, "\n", "\r\n"),
		"data.tsv": strings.NewReplacer(",\"\",\"Hello, friend\",", "\t\t\"Hello, friend\"\t", "\",\"", "\"\t\"",
			"instruction,input,output,id",
			"instruction\tinput\toutput\tid", "Count,", "Count\t", "\",", "\"\t").Replace(rows),
		"mislabelled.gz.txt": lines, "data.txt": lines,
	} {
		t.Run(name, func(t *testing.T) {
			path := testfile.Put(t, filepath.Join(t.TempDir(), name), text)
			got := texts(t, Source{Path: path}, template(t, "chatml"))
			if !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

const toolsTemplate = `{%- if tools %}{{- '<|im_start|>system\n' + (tools | tojson) + '<|im_end|>\n' }}{%- endif %}
{%- for m in messages %}{{- '<|im_start|>' + m.role + '\n' }}{%- if m.content %}{{- m.content }}{%- endif %}
{%- for c in m.tool_calls or [] %}{{- '<call>' + c.function.name + ' ' + (c.function.arguments | tojson) + '</call>' }}{%- endfor %}
{{- '<|im_end|>\n' }}{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}`

func TestCallsInTablesHaveWhatTheyHadInJSON(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tools.jinja")
	if err := os.WriteFile(path, []byte(toolsTemplate), 0o644); err != nil {
		t.Fatal(err)
	}
	const tide = "<|im_start|>system\n" +
		`[{"type": ` +
		`"function", "function": {"name": "tide", "parameters": {"type": "object", "properties": {"port": {"type": "string"}}}}}]` +
		"<|im_end|>\n<|im_start|>user\nTide in Brest?<|im_end|>\n<|im_start|>assistant\n[<call>tide {\"port\": " +
		"\"Brest\"}</call><|im_end|>]\n" +
		"<|im_start|>tool\n4 m<|im_end|>\n<|im_start|>assistant\n[Four metres.<|im_end|>]\n"
	for _, table := range []string{"testdata/calls.parquet", "testdata/calls.arrow"} {
		got := texts(t, Source{Path: table}, template(t, path))
		if len(got) != 2 || got[0] != tide || !strings.Contains(got[1], `[<call>wind {"lat": 48.0, "lon": -4.0}</call><|im_end|>]`) {
			t.Errorf("%s: %q, want %q and a call with 48.0", table, got, tide)
		}
		kept := texts(t, Source{Path: table, Nulls: "keep"}, template(t, path))
		if !strings.Contains(kept[0], `[<call>tide {"port": "Brest", "lat": null, "lon": null}</call><|im_end|>]`) {
			t.Errorf("%s: %q, want the nulls that are kept", table, kept)
		}
	}
}

func TestASavedDatasetIsItsSplitAndNoCache(t *testing.T) {
	o := options(t.TempDir(), Source{Name: "s", Path: "testdata/saved", LossFactor: 1})
	s := build(t, o)
	if got := s.Sources()[0].Notes; s.Len() != 4 || !slices.Equal(got, []string{"the split train is taken, of train, test"}) {
		t.Errorf("%d samples, notes %q; want 4 of the split train", s.Len(), got)
	}
	for i := range s.Len() {
		if at := s.Origin(i); !strings.Contains(at, "saved/train/data-00000-of-00001.arrow:") {
			t.Errorf("sample %d is of %s", i, at)
		}
	}
}

func TestTheLengthThatAPromptAsksForIsInTheStatistics(t *testing.T) {
	dir := t.TempDir()
	asked := map[string]int{
		"Write a twenty-five thousand word novella.": 25000, "Write 10 500 words on tides.": 10500, "写一篇2-3千字的文章。": 3000,
		"Write a 2-3k word story.": 3000, "请写三到五千字的小说。": 5000, "Translate these 300 words: sea, tide.": 0,
	}
	var lines []string
	for prompt := range asked {
		lines = append(lines, talk(prompt, "tide tide"))
	}
	o := options(dir, write(t, dir, "a", lines...))
	stats, err := build(t, o).Stats(o)
	if err != nil {
		t.Fatal(err)
	}
	var got, want []int
	for _, p := range stats.Mix.Required.Points {
		got = append(got, p.Required)
	}
	for _, n := range asked {
		if n > 0 {
			want = append(want, n)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("asked for %d words, want %d", got, want)
	}
}
