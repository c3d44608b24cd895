package configs

import (
	"slices"
	"strings"
	"testing"
)

func TestThePathOfASourceMayBeAList(t *testing.T) {
	for _, c := range []struct{ name, source, shown, wantName, problem string }{
		{"one path", `{path: a/b.jsonl}`, `{name: b, path: a/b.jsonl}`, "b", ""},
		{"a list", `{path: [x.jsonl.gz, "y/*.jsonl"]}`, `{name: x, paths: [x.jsonl.gz, "y/*.jsonl"]}`, "x", ""},
		{"a list under its own key", `{name: own, paths: [x.jsonl]}`, `{name: own, paths: x.jsonl}`, "own", ""},
		{"a folder", `{path: shards/}`, `{name: shards, path: shards/}`, "shards", ""},
		{"a dataset of the hub", `{path: "hf://o/name-v1@main"}`, `{name: name-v1, path: "hf://o/name-v1@main"}`, "name-v1", ""},
		{"an empty list", `{path: []}`, "", "", "missing, want the path of a file of conversations"},
		{"a list of something else", `{path: [{a: b}]}`, "", "", "want text"},
		{"a list with what is held out", `{path: [h.jsonl, x.jsonl]}`, "", "", "h.jsonl, which data.sources[0] trains on"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := "model: {path: m}\ndata:\n  held_out: [{name: h, path: h.jsonl}]\n  sources: [" + c.source + "]\n"
			got, err := Parse("run.yaml", []byte(text), nil, nil)
			if c.problem != "" {
				if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), `"`, ""), c.problem) {
					t.Fatalf("%v, want %s", err, c.problem)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if shown := rendered(got)["data.sources"]; shown != "["+c.shown+"]" || got.Data.Sources[0].Name != c.wantName {
				t.Errorf("%s, want %s", shown, c.shown)
			}
			again, err := Parse("again.yaml", got.Resolved(), nil, nil)
			if err != nil || !slices.Equal(again.Data.Sources[0].AllPaths(), got.Data.Sources[0].AllPaths()) {
				t.Errorf("resolved and read again: %v", err)
			}
		})
	}
}
