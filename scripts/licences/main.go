// Command licences says under which licences lwtrain's dependencies are.
//
//	go run ./scripts/licences GOOS/GOARCH    # prints the texts of all that is in the program there: a release's LICENSES.txt
//
// docs/licences.md is the list of them, made of the same modules.
package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

func main() {
	err := fmt.Errorf("want one argument, such as linux/amd64")
	if len(os.Args) == 2 {
		var text []byte
		if text, err = texts(os.Args[1]); err == nil {
			_, err = os.Stdout.Write(text)
		}
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "licences: %v\n", err)
		os.Exit(1)
	}
}

// platforms are those that releases are made for.
var platforms = []string{"linux/amd64", "linux/arm64", "darwin/arm64"}

// linked is what the program holds that is no Go module.
const linked = `
======== libgomp (GCC's OpenMP runtime), in lwtrain for Linux but not in lwtrain-static

GPL-3.0-or-later with the GCC Runtime Library Exception 3.1, which allows to convey a program that it is linked into under
terms of one's choice: https://www.gnu.org/licenses/gcc-exception-3.1.html
`

// benchmarks are the licences of data that the program holds.
const benchmarks = "eval/tasks/data/*.txt"

// module is a Go module that a program is built from.
type module struct{ path, version, dir string }

// modules are those whose packages the program of a platform holds, or with -test what its tests and scripts need, too.
func modules(platform string, args ...string) ([]module, error) {
	goos, goarch, _ := strings.Cut(platform, "/")
	form := "{{with .Module}}{{if not .Main}}{{.Path}}\t{{.Version}}\t{{.Dir}}{{end}}{{end}}"
	cmd := exec.Command("go", append([]string{"list", "-deps", "-f", form}, args...)...)
	cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list for %s: %w\n%s", platform, err, &stderr)
	}
	var found []module
	for line := range strings.Lines(string(out)) {
		if f := strings.Split(strings.TrimSpace(line), "\t"); len(f) == 3 {
			found = append(found, module{f[0], f[1], f[2]})
		}
	}
	slices.SortFunc(found, func(a, b module) int { return strings.Compare(a.path, b.path) })
	return slices.Compact(found), nil
}

var (
	licenceFile = regexp.MustCompile(`^(?i:LICEN[CS]E|COPYING|NOTICE|THIRD_PARTY_LICENSES)`)
	licenceHead = regexp.MustCompile(`(?m) License$`) // of a README that holds the text
)

// files are a module's licences and notices, by their names in it.
func (m module) files() (names []string, content map[string]string, err error) {
	content = map[string]string{}
	add := func(name string) error {
		raw, err := os.ReadFile(filepath.Join(m.dir, name))
		names, content[name] = append(names, name), string(raw)
		return err
	}
	entries, err := os.ReadDir(m.dir)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		if !licenceFile.MatchString(e.Name()) {
			continue
		}
		err = fs.WalkDir(os.DirFS(m.dir), e.Name(), func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			return add(name)
		})
		if err != nil {
			return nil, nil, err
		}
	}
	if raw, err := os.ReadFile(filepath.Join(m.dir, "README.md")); names == nil && err == nil && licenceHead.Match(raw) {
		return []string{"README.md"}, map[string]string{"README.md": string(raw)}, nil
	}
	if names == nil {
		return nil, nil, fmt.Errorf("%s %s: no licence in %s", m.path, m.version, m.dir)
	}
	return names, content, nil
}

// texts are the licences of all that the program of a platform holds, whole.
func texts(platform string) ([]byte, error) {
	all, err := modules(platform, "./cmd/lwtrain")
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	for _, m := range all {
		fmt.Fprintf(&b, "\n======== %s %s\n", m.path, m.version)
		names, content, err := m.files()
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			fmt.Fprintf(&b, "\n-------- %s\n\n%s", name, content[name])
		}
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, err
	}
	own, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), "LICENSE"))
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(&b, "\n======== Go\n\n%s", own)
	b.WriteString("\n======== Data of benchmarks\n")
	data, err := filepath.Glob(benchmarks)
	if err != nil || data == nil {
		return nil, fmt.Errorf("%s: nothing is there, want texts of licences (%v)", benchmarks, err)
	}
	for _, name := range data {
		raw, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "\n-------- %s\n\n%s", filepath.Base(name), raw)
	}
	if strings.HasPrefix(platform, "linux/") {
		b.WriteString(linked)
	}
	return b.Bytes(), nil
}
