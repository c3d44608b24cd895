package configs

import (
	"strings"
	"testing"
)

const twoSources = `
model: {path: m}
data:
  sources:
  - {name: a, path: a.jsonl, samples: 3}
  - {path: b.jsonl}
  held_out:
  - {path: h.jsonl}
dpo: {loss_type: [sigmoid, ipo], loss_weights: [1, 1]}
`

func TestElementsOfListsAreChangedByArguments(t *testing.T) {
	const a, b = "{name: a, path: a.jsonl, samples: 3}", "{name: b, path: b.jsonl}"
	for name, c := range map[string]struct {
		arguments []string
		key, want string
	}{
		"a key of a source": {[]string{"data.sources[0].samples=5"}, "data.sources",
			"[{name: a, path: a.jsonl, samples: 5}, " + b + "]"},
		"a source by its name": {[]string{"data.sources[a].samples=5", "data.sources[b].train_on=last"}, "data.sources",
			"[{name: a, path: a.jsonl, samples: 5}, {name: b, path: b.jsonl, train_on: last}]"},
		"a list in a section of a source": {[]string{"data.sources[1].filter.languages=[en, zh]"}, "data.sources",
			"[" + a + ", {name: b, path: b.jsonl, filter: {languages: [en, zh]}}]"},
		"a path renames a source without a name": {[]string{"data.sources[0].path=n/x.jsonl", "data.sources[1].path=n/why.jsonl"},
			"data.sources", "[{name: a, path: n/x.jsonl, samples: 3}, {name: why, path: n/why.jsonl}]"},
		"a new source behind the last": {[]string{"data.sources[2].samples=7", "data.sources[2].path=c.jsonl"}, "data.sources",
			"[" + a + ", " + b + ", {name: c, path: c.jsonl, samples: 7}]"},
		"a whole source": {[]string{"data.sources[0]={path: z.jsonl, repeat: 2}"}, "data.sources",
			"[{name: z, path: z.jsonl, repeat: 2.0}, " + b + "]"},
		"a held-out source": {[]string{"data.held_out[0].path=i.jsonl"}, "data.held_out", "[{name: i, path: i.jsonl}]"},
		"a value of a list": {[]string{"dpo.loss_type[1]=hinge"}, "dpo.loss_type", "[sigmoid, hinge]"},
		"a list that is given whole afterwards": {[]string{"data.sources[0].samples=5", "data.sources=[{path: q.jsonl}]"}, "data.sources",
			"[{name: q, path: q.jsonl}]"},
		"a list that is given whole before": {[]string{"data.sources=[{path: q.jsonl}]", "data.sources[0].samples=5"}, "data.sources",
			"[{name: q, path: q.jsonl, samples: 5}]"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := rendered(parsed(t, twoSources, c.arguments...))[c.key]; got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestOriginsNameTheKeysOfAnElementThatArgumentsChange(t *testing.T) {
	c := parsed(t, twoSources, "data.sources[0].samples=5", "data.sources[2].path=c.jsonl")
	for key, want := range map[string]string{
		"data.sources": "C:5", "data.sources[0].path": "C:5", "data.sources[0].samples": "argument", "data.sources[1].path": "C:6",
		"data.sources[2].path": "argument",
	} {
		if got := c.Origin(key).String(); got != want {
			t.Errorf("%s comes from %s, want %s", key, got, want)
		}
	}
	text := string(c.Resolved())
	for _, want := range []string{
		"- {name: a, path: a.jsonl, samples: 5}  # C:5; samples: argument\n", "- {name: b, path: b.jsonl}  # C:6\n",
		"- {name: c, path: c.jsonl}  # argument\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if again := parsed(t, text); rendered(again)["data.sources"] != rendered(c)["data.sources"] {
		t.Errorf("read again it has %s", rendered(again)["data.sources"])
	}
}

func TestAWrongElementIsRefusedWithTheRightSpelling(t *testing.T) {
	for argument, want := range map[string]string{
		"data.sources[3].samples=5":              "data.sources has 2 elements, want an index from 0 to 1, or 2 for a new one",
		"data.sources[-1].samples=5":             "data.sources has 2 elements, want an index from 0 to 1, or 2 for a new one",
		"data.sources[c].samples=5":              `"c" in brackets, want an index from 0 to 2, or a name: a or b`,
		"data.sources.samples=5":                 "a key of a list's element, want its index before it: data.sources[0].samples, from 0 on",
		"data.sources.0.samples=5":               "a key of a list's element, want its index before it: data.sources[0].samples, from 0 on",
		"data.held_out.sources[0].path=x.jsonl":  "a key of a list's element, want its index before it: data.held_out[0].path, from 0 on",
		"data.sources[2].samples=5":              "data.sources[2].path: missing, want the path of a file of conversations",
		"data.sources[0].sample=5":               "unknown key; did you mean samples?",
		"data.sources[0].filter=5":               "a section, want one of its keys: data.sources[0].filter.stated_length ...",
		"data.sources[0].samples.x=5":            "samples has no keys below it, want data.sources[0].samples=...",
		"data.sources[0].samples=many":           `data.sources[0].samples: "many", want a whole number`,
		"data.sources[0].filter.languages[0]=en": "an element of a list in a list, want all of it: data.sources[0].filter.languages=[...]",
		"data.sources[0]=5":                      `"5", want {name: ..., path: ...}, or one of its keys: data.sources[0].path=...`,
		"sample.prompts[0]=5":                    "sample.prompts is no list (0), want sample.prompts=...",
		"dpo.loss_type[0].x=5":                   "a key of a value, want dpo.loss_type[0]=...",
		"dpo.loss_type[7]=ipo":                   "dpo.loss_type has 2 elements, want an index from 0 to 1, or 2 for a new one",
		"data.sources[0=5":                       "unknown key",
		"data.sources[]=5":                       "unknown key",
	} {
		t.Run(argument, func(t *testing.T) {
			got := strings.Join(problems(t, twoSources, argument), "\n")
			if !strings.Contains(got, want) || !strings.HasPrefix(got, "argument "+argument) {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
	got := strings.Join(problems(t, smallest, "data.held_out[0].path=h.jsonl"), "\n")
	if want := "data.held_out is no list (0.02), want data.held_out=[{path: ...}]"; !strings.Contains(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
}
