package jinja

import (
	"encoding/json"
	"os"
	"reflect"
	"testing"
	"time"
)

// fixedNow is the clock of the golden files.
var fixedNow = time.Date(2025, 3, 7, 9, 5, 1, 0, time.UTC)

// renderJSON renders with variables given as JSON, strings of messages marked
// by their message.
func renderJSON(t *Template, vars map[string]json.RawMessage) (Output, error) {
	in := map[string]any{}
	for name, v := range vars {
		in[name] = v
	}
	var messages []json.RawMessage
	if json.Unmarshal(vars["messages"], &messages) == nil && messages != nil {
		marked := make([]any, len(messages))
		for i, m := range messages {
			marked[i] = From{Source: i, Value: m}
		}
		in["messages"] = marked
	}
	return t.Render(in, Options{Now: fixedNow})
}

// TestRealTemplates compares with what transformers renders from templates that
// are not ours to commit; testdata/real.py makes the file.
func TestRealTemplates(t *testing.T) {
	path := os.Getenv("LWTRAIN_TEST_TEMPLATES")
	if path == "" {
		t.Skip("LWTRAIN_TEST_TEMPLATES does not name a file made by testdata/real.py")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var templates []struct {
		Name, Template string
		Cases          []struct {
			Conversation, Want, Error string
			Vars                      map[string]json.RawMessage
			Generation                [][2]int
		}
	}
	if err := json.Unmarshal(data, &templates); err != nil {
		t.Fatal(err)
	}
	equal, refused, all, whole := 0, 0, 0, 0
	for _, tc := range templates {
		parsed, err := Parse(tc.Name, tc.Template)
		if err != nil {
			t.Error(err)
			continue
		}
		bad := 0
		for _, c := range tc.Cases {
			all++
			out, err := renderJSON(parsed, c.Vars)
			switch {
			case c.Error != "" && err != nil:
				refused++
			case c.Error != "":
				bad++
				t.Errorf("%s, %s: rendered, but transformers says %s", tc.Name, c.Conversation, c.Error)
			case err != nil:
				bad++
				t.Errorf("%s, %s: %v", tc.Name, c.Conversation, err)
			case out.Text != c.Want:
				bad++
				t.Errorf("%s, %s:\ngot  %q\nwant %q", tc.Name, c.Conversation, out.Text, c.Want)
			default:
				equal++
				got := [][2]int{}
				for _, s := range out.Generation {
					got = append(got, [2]int{s.Start, s.End})
				}
				if want := nonEmpty(c.Generation); !reflect.DeepEqual(got, want) {
					t.Errorf("%s, %s: generation spans %v, want %v", tc.Name, c.Conversation, got, want)
				}
			}
		}
		if bad == 0 {
			whole++
		}
	}
	t.Logf("%d of %d templates; of %d renderings %d equal, %d refused by both", whole, len(templates), all, equal, refused)
}

func nonEmpty(spans [][2]int) [][2]int {
	out := [][2]int{}
	for _, s := range spans {
		if s[0] < s[1] {
			out = append(out, s)
		}
	}
	return out
}
