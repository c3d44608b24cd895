package data

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"lwtrain/internal/fault"
)

func TestPromptsAreReadFromRecordsOfAnyForm(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct{ record, want string }{
		"text":          {`{"prompt": "Write 300 words."}`, "user Write 300 words. | 300"},
		"with a length": {`{"prompt": "Write 300 words.", "length": 500}`, "user Write 300 words. | 500"},
		"without one":   {`{"prompt": "Write.", "length": null}`, "user Write. | 0"},
		"messages with an answer": {`{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}`,
			"user q | 0"},
		"messages with a turn before": {`{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}, ` +
			`{"role": "user", "content": "800 words on r"}]}`, "user q; assistant a; user 800 words on r | 800"},
		"an instruction and its system":  {`{"instruction": "i", "input": "j", "output": "o", "system": "s"}`, "system s; user i\nj | 0"},
		"a pair":                         {`{"prompt": "q", "chosen": "a", "rejected": "b"}`, "user q | 0"},
		"nothing that asks":              {`{"text": "q"}`, "error: no_prompt"},
		"an answer alone":                {`{"messages": [{"role": "assistant", "content": "a"}]}`, "error: no_prompt"},
		"an empty one":                   {`{"prompt": " "}`, "error: empty_prompt"},
		"a length that is none":          {`{"prompt": "q", "length": "long"}`, "error: invalid_length"},
		"a negative length":              {`{"prompt": "q", "length": -3}`, "error: invalid_length"},
		"a range":                        {`{"prompt": "300 words.", "min_words": 5, "max_words": "9"}`, "user 300 words. | 0, 5 to 9"},
		"one end of a range":             {`{"prompt": "q", "min_words": 5, "length": null}`, "user q | 0, 5 to 0"},
		"a range whose ends are crossed": {`{"prompt": "q", "min_words": 5, "max_words": 4}`, "error: invalid_length"},
		"a range beside a length":        {`{"prompt": "q", "length": 8, "max_words": 9}`, "error: invalid_length"},
		"tools":                          {`{"prompt": "q", "tools": [{"name": "f"}]}`, "error: tools"},
		"broken JSON":                    {`{"prompt": "q"`, "error: invalid_json"},
	} {
		t.Run(name, func(t *testing.T) {
			src := write(t, dir, strings.ReplaceAll(name, " ", "_"), c.record)
			got, dropped, err := Prompts(context.Background(), src, nil, "length", true)
			if err != nil {
				t.Fatal(err)
			}
			text := ""
			for reason := range dropped {
				text = "error: " + reason
			}
			for _, p := range got {
				var parts []string
				for _, m := range p.Messages {
					parts = append(parts, m.Role+" "+m.Content)
				}
				text += strings.Join(parts, "; ") + fmt.Sprint(" | ", p.Required)
				if p.Ranged() {
					text += fmt.Sprintf(", %d to %d", p.Least, p.Most)
				}
				if !strings.HasSuffix(p.Origin, ":1") {
					t.Errorf("from %s", p.Origin)
				}
			}
			if text != c.want {
				t.Errorf("got %q, want %q", text, c.want)
			}
			if _, _, err := Prompts(context.Background(), src, nil, "length", false); strings.HasPrefix(c.want,
				"error: ") != fault.IsUsage(err) {
				t.Errorf("without skipping: %v", err)
			}
		})
	}
}
