package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

func of(files map[string]string) fstest.MapFS {
	out := fstest.MapFS{}
	for name, text := range files {
		out[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return out
}

// TestTheProjectsSite builds what make docs does.
func TestTheProjectsSite(t *testing.T) {
	files, err := site(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"index.html", "docs/index.html", "docs/commands/sft.html", "docs/options.html", "CHANGELOG.html"} {
		page := string(files[name])
		if !strings.Contains(page, `aria-current="page"`) && !strings.HasPrefix(name, "docs/commands/") && name != "docs/index.html" {
			t.Errorf("%s: the navigation does not show where it is", name)
		}
		if strings.Contains(page, "<script") || strings.Contains(page, "<link") || strings.Contains(page, `src="http`) {
			t.Errorf("%s: it asks for something that is not in it", name)
		}
	}
	for name, page := range files {
		seen := map[string]bool{}
		for _, m := range regexp.MustCompile(` id="([^"]*)"`).FindAllStringSubmatch(string(page), -1) {
			if seen[m[1]] && strings.HasSuffix(name, ".html") {
				t.Errorf("%s: two places are called %s", name, m[1])
			}
			seen[m[1]] = true
		}
	}
}

func TestLinksLeadFromPageToPage(t *testing.T) {
	files, err := site(of(map[string]string{
		"README.md":      "# A\n[all](docs/README.md) [code](a/b.py) [web](https://example.org/x.md)",
		"a/b.py":         "print()",
		"docs/README.md": "# Index\n## Deep\n* [the x](deep/x.md): and [others](../README.md)",
		"docs/deep/x.md": "# X_y: `z`\n| a | b |\n|---|---|\n| 1 | <2> |\n\n## Same\n## Same\n" +
			"[up](../README.md#deep) [here](#same-1) [t](#x_y-z) ![p](p.svg)",
		"docs/deep/p.svg":   "<svg/>",
		"docs/deep/not.txt": "",
	}))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 5 || string(files["a/b.py"]) != "print()" {
		t.Errorf("%d files", len(files))
	}
	for name, wants := range map[string][]string{
		"index.html": {
			`href="docs/index.html"`, `href="a/b.py"`, `href="https://example.org/x.md"`, `<h2>Deep</h2>`,
			`href="docs/deep/x.html">the x</a>`,
		},
		"docs/index.html": {`href="../docs/deep/x.html"`, `href="../index.html">others`},
		"docs/deep/x.html": {
			`href="../../docs/index.html#deep"`, `href="../../docs/deep/x.html#same-1"`, `<h1 id="x_y-z">`, `src="p.svg"`,
			`<td>1</td>`, "<title>X_y: z - lwtrain</title>", `aria-current="page">the x</a>`, `<a href="#same-1">Same</a>`,
		},
	} {
		for _, want := range wants {
			if !strings.Contains(string(files[name]), want) {
				t.Errorf("%s lacks %s:\n%s", name, want, files[name])
			}
		}
	}
}

func TestWhatFailsTheBuild(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"a page that is not there":      {"[a](docs/no.md)", "README.md: a link to docs/no.md, which is no file of the project"},
		"a heading that is not there":   {"[a](docs/x.md#no)", "README.md: a link to docs/x.md#no, which has no heading of that name"},
		"a folder":                      {"[a](docs/)", "README.md: a link to docs/, which is no file of the project"},
		"a picture that is not there":   {"![a](no.svg)", "README.md: a link to no.svg, which is no file of the project"},
		"a file outside of the project": {"[a](../x)", "README.md: a link to ../x, which is no file of the project"},
		"another scheme":                {"[a](mailto:a@b.c)", "README.md: a link to mailto:a@b.c, want a path, http or https"},
		"a page without a link to it":   {"", "docs/x.md: no link of README.md or of a page behind it leads here"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := site(of(map[string]string{"README.md": "# A\n" + c.text, "docs/x.md": "# X"}))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}
