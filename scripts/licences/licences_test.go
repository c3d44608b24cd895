package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

//go:generate go test -run TestTheDocumentIsThatOfTheModules -update

var update = flag.Bool("update", false, "write docs/licences.md anew")

const document = "docs/licences.md"

// head is what of docs/licences.md is no module.
const head = "# Licences of the dependencies\n\n" +
	`lwtrain's own licence is its owner's to choose, and is not set yet. This page lists what lwtrain is built from, made of the
modules that the compiler takes and of the texts that lie in them. An archive of ` + "`make release`" + ` has all of these texts in
LICENSES.txt, by the same program (` + "`scripts/licences/main.go`" + `).

## In the program

Where a module's files hold the licences of parts that it took over, these are named behind its own.

| module | version | licence | in the program for |
|---|---|---|---|
`

const others = `
The READMEs of gorgonia and tensor call their licence "a variant of Apache 2.0": the same, but that nobody but a "Significant
Contributor" may "commercially profit directly from the package", while one may "from a derivative of Gorgonia (for example, if
you use Gorgonia as a library in your product)". The licence texts in both are Apache 2.0 without that sentence.

## Libraries in C

| library | licence | how it comes into the program |
|---|---|---|
| libgomp, GCC's OpenMP runtime | GPL-3.0-or-later with the GCC Runtime Library Exception 3.1 | ` +
	"linked into `lwtrain` of the archives for Linux; a build of one's own takes the system's; not in `lwtrain-static`, nor for macOS |" + `
| glibc (libc, libm, libdl, libpthread) | LGPL-2.1-or-later | the system's, when the program starts; not in ` + "`lwtrain-static`" + ` |
| oneDNN | Apache-2.0 | the system's, looked for when the program starts; ships with none of the archives; in the image of the Dockerfile |

## Data in the program

Prompts of benchmarks ship in the program, under MIT (LIFEBench, HelloBench) and Apache-2.0 (the others that ship):
[eval-tasks.md](eval-tasks.md) says which of each, and their texts lie in the sources beside them, under eval/tasks/data, and in
LICENSES.txt.

## Beside the program

` + "`engine.kind: torch`" + ` runs a Python that is yours; nothing of it ships: PyTorch (BSD-3-Clause), transformers (Apache-2.0),
safetensors (Apache-2.0), NumPy (BSD-3-Clause).

## For tests and documents alone

| module | version | licence |
|---|---|---|
`

// page is docs/licences.md.
func page(t *testing.T) string {
	var b strings.Builder
	b.WriteString(head)
	on := map[module][]string{}
	for _, platform := range platforms {
		found, err := modules(platform, "./cmd/lwtrain")
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range found {
			on[m] = append(on[m], platform)
		}
	}
	beside, err := modules(platforms[0], "-test", "./...")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range sorted(on) {
		where := "all"
		if len(on[m]) < len(platforms) {
			where = strings.Join(on[m], ", ")
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", m.path, m.version, licence(t, m), where)
	}
	fmt.Fprintf(&b, "| the standard library of Go | | BSD-3-Clause | all |\n%s", others)
	for _, m := range beside {
		if on[m] == nil {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", m.path, m.version, licence(t, m))
		}
	}
	return b.String()
}

func sorted(on map[module][]string) []module {
	var out []module
	for m := range on {
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b module) int { return strings.Compare(a.path, b.path) })
	return out
}

// licence is what a module's files are, its own one first.
func licence(t *testing.T, m module) string {
	names, content, err := m.files()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, name := range names {
		for _, kind := range kindsOf(content[name]) {
			if !slices.Contains(found, kind) {
				found = append(found, kind)
			}
		}
	}
	if found == nil {
		t.Errorf("%s: a licence that kinds does not know: %v", m.path, names)
		return ""
	}
	if len(found) > 1 {
		return found[0] + "; parts " + strings.Join(found[1:], ", ")
	}
	return found[0]
}

// kinds are licences by what only their texts say.
var kinds = []struct{ name, says string }{
	{"Apache-2.0", "Apache License Version 2.0"},
	{"MIT", "Permission is hereby granted, free of charge"},
	{"BSD-3-Clause", "may be used to endorse or promote products"},
	{"BSD-2-Clause", "Redistributions in binary form must reproduce"},
	{"ISC", "Permission to use, copy, modify, and/or distribute this software for any purpose"},
	{"MPL-2.0", "Mozilla Public License"},
}

var blanks = regexp.MustCompile(`[\s,;*#/]+`)

// kindsOf are the licences whose words a text has, in their order; BSD-2-Clause only where there is no third clause.
func kindsOf(text string) []string {
	even := func(s string) string { return strings.ToLower(blanks.ReplaceAllString(s, " ")) }
	text = even(text)
	at := map[string]int{}
	var found []string
	for _, k := range kinds {
		i := strings.Index(text, even(k.says))
		if i < 0 || k.name == "BSD-2-Clause" && slices.Contains(found, "BSD-3-Clause") {
			continue
		}
		at[k.name] = i
		found = append(found, k.name)
	}
	slices.SortStableFunc(found, func(a, b string) int { return at[a] - at[b] })
	return found
}

func TestTheDocumentIsThatOfTheModules(t *testing.T) {
	t.Chdir("../..")
	want := page(t)
	got, err := os.ReadFile(document)
	switch {
	case t.Failed() || err == nil && string(got) == want:
	case *update:
		if err := os.WriteFile(document, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s is not what the modules say; `go generate ./scripts/licences` writes it anew", document)
	}
}

func TestTextsHaveWhatTheProgramHolds(t *testing.T) {
	t.Chdir("../..")
	linux, err := texts("linux/arm64")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"\n======== github.com/spf13/cobra v", "\n-------- THIRD_PARTY_LICENSES/", "\n======== Go\n\nCopyright",
		"\n======== libgomp", "\n-------- MIT-HelloBench.txt",
		"\n======== github.com/JohnCGriffin/overflow v",
	} {
		if !strings.Contains(string(linux), want) {
			t.Errorf("the texts lack %q", want)
		}
	}
	mac, err := texts("darwin/arm64")
	if err != nil || strings.Contains(string(mac), "libgomp") || strings.Contains(string(mac), "yuin/goldmark") {
		t.Errorf("the texts for macOS name what is not in it: %v", err)
	}
}

func TestLicencesAreKnownByTheirWords(t *testing.T) {
	three := "Redistributions in binary\n * form must reproduce ... Neither the name ... may be used to endorse\nor promote products"
	for name, c := range map[string]struct {
		text string
		want string
	}{
		"three clauses":               {three, "BSD-3-Clause"},
		"two clauses":                 {"Redistributions in binary form must reproduce the above", "BSD-2-Clause"},
		"words that are set in lines": {"Permission is hereby\n  granted, free of charge", "MIT"},
		"the order of the text":       {"permission is hereby granted, free of charge\nApache License\nVersion 2.0", "MIT Apache-2.0"},
		"none":                        {"All rights reserved.", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := strings.Join(kindsOf(c.text), " "); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
