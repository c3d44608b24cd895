package jinja

import (
	"encoding/json"
	"os"
	"reflect"
	"testing"
)

// TestRendersAsTransformersDoes compares small templates with what Jinja2, set
// up by transformers, made of them; testdata/golden.py makes the file.
func TestRendersAsTransformersDoes(t *testing.T) {
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Vars  map[string]json.RawMessage
		Cases []struct {
			Template, Want, Error string
			Generation            [][2]int
		}
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	for _, c := range golden.Cases {
		t.Run(c.Template, func(t *testing.T) {
			var out Output
			parsed, err := Parse("golden", c.Template)
			if err == nil {
				out, err = renderJSON(parsed, golden.Vars)
			}
			switch {
			case c.Error != "" && err == nil:
				t.Fatalf("rendered %q, transformers says %s", out.Text, c.Error)
			case c.Error != "":
				return
			case err != nil:
				t.Fatal(err)
			case out.Text != c.Want:
				t.Fatalf("got  %q\nwant %q", out.Text, c.Want)
			}
			got := [][2]int{}
			for _, s := range out.Generation {
				got = append(got, [2]int{s.Start, s.End})
			}
			if want := nonEmpty(c.Generation); !reflect.DeepEqual(got, want) {
				t.Errorf("generation spans %v, want %v", got, want)
			}
		})
	}
}
