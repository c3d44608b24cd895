package rundir

import (
	"strings"
	"testing"
)

func TestWhatMakesAnotherRun(t *testing.T) {
	with := func(contents ...string) Identity {
		id := Identity{Contents: map[string]string{}, Settings: map[string]string{"seed": "1"}}
		for i := 0; i < len(contents); i += 2 {
			id.Contents[contents[i]] = contents[i+1]
		}
		return id
	}
	for name, c := range map[string]struct {
		then, now Identity
		want      string
	}{
		"nothing":       {with("model", "a"), with("model", "a"), ""},
		"another model": {with("model", "a"), with("model", "b"), "content of model: a then, b now"},
		"a source more": {with(), with("source 2", "a"), "content of source 2: nothing then, a now"},
		"other files of the tokenizer": {with(TokenizerFiles, "a"), with(TokenizerFiles, "b"),
			"content of tokenizer files: a then, b now"},
		"files that an earlier version named not": {with(), with(TokenizerFiles, "b"), ""},
		"no files of a tokenizer any more":        {with(TokenizerFiles, "a"), with(), "content of tokenizer files: a then, nothing now"},
	} {
		err := Same("dir", c.then, c.now)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasSuffix(err.Error(), "dir holds another run: "+c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
