// Command site makes the folder site of the project's documents: plain HTML that opens from the disk.
//
//	go run ./scripts/site    # in the root of the project
//
// Pages lie as their sources do: docs/eval.md is site/docs/eval.html, a README.md index.html. The navigation is what
// docs/README.md lists. A link to what is not there fails the build, and so does a page that no link leads to.
package main

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/yuin/goldmark/ast"
)

// start is where readers begin, and index what the navigation is made of.
const (
	start = "README.md"
	index = "docs/README.md"
)

//go:embed page.html
var pageHTML string

var layout = template.Must(template.New("page").Parse(pageHTML))

func main() {
	files, err := site(os.DirFS("."))
	if err == nil {
		err = write("site", files)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("site/index.html and %d other files\n", len(files)-1)
}

// write makes a folder hold files and nothing else.
func write(dir string, files map[string][]byte) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	for name, content := range files {
		to := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// site is every file of the site, by its path below it. Its error has a line for each link that is wrong.
func site(project fs.FS) (map[string][]byte, error) {
	b := &builder{project: project, pages: map[string]*page{}, files: map[string][]byte{}}
	names, err := documents(project)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if b.pages[name], err = read(project, name); err != nil {
			return nil, err
		}
	}
	for _, name := range names {
		b.follow(b.pages[name])
	}
	b.unreached(names)
	if b.wrong != nil {
		return nil, errors.Join(b.wrong...)
	}
	for _, name := range names {
		if err := b.render(b.pages[name]); err != nil {
			return nil, err
		}
	}
	return b.files, nil
}

// documents are the Markdown files that become pages.
func documents(project fs.FS) ([]string, error) {
	top, err := fs.Glob(project, "*.md")
	if err != nil {
		return nil, err
	}
	return top, fs.WalkDir(project, "docs", func(name string, d fs.DirEntry, err error) error {
		if err == nil && path.Ext(name) == ".md" {
			top = append(top, name)
		}
		return err
	})
}

// builder is a site on its way.
type builder struct {
	project fs.FS
	pages   map[string]*page  // by their sources
	files   map[string][]byte // by their paths in the site
	wrong   []error
}

// follow points a page's links at the site, notes what is wrong with them, and copies files that are no pages.
func (b *builder) follow(p *page) {
	bad := func(to string, why string) {
		b.wrong = append(b.wrong, fmt.Errorf("%s: a link to %s, %s", p.source, to, why))
	}
	for _, at := range p.destinations() {
		to := string(*at)
		u, err := url.Parse(to)
		if err != nil {
			bad(to, err.Error())
			continue
		}
		if u.Scheme != "" || u.Host != "" {
			if u.Scheme != "https" && u.Scheme != "http" {
				bad(to, "want a path, http or https")
			}
			continue
		}
		target := p.source
		if u.Path != "" {
			target = path.Join(path.Dir(p.source), u.Path)
		}
		if linked := b.pages[target]; linked != nil {
			if u.Fragment != "" && !slices.Contains(linked.ids, u.Fragment) {
				bad(to, "which has no heading of that name")
			}
			p.leads = append(p.leads, target)
			*at = []byte(relative(p.source, address(target)))
			if u.Fragment != "" {
				*at = append(*at, "#"+u.Fragment...)
			}
			continue
		}
		raw, err := fs.ReadFile(b.project, target)
		if err != nil {
			bad(to, "which is no file of the project")
			continue
		}
		b.files[target] = raw
	}
}

// unreached notes the pages that no way from the start leads to.
func (b *builder) unreached(names []string) {
	reached := map[string]bool{start: true}
	for next := []string{start}; len(next) > 0; next = next[1:] {
		if p := b.pages[next[0]]; p != nil {
			for _, to := range p.leads {
				if !reached[to] {
					reached[to] = true
					next = append(next, to)
				}
			}
		}
	}
	for _, name := range names {
		if !reached[name] {
			b.wrong = append(b.wrong, fmt.Errorf("%s: no link of %s or of a page behind it leads here", name, start))
		}
	}
}

// group is a heading of the navigation with its links.
type group struct {
	Title string
	Links []link
}

type link struct {
	Title, To string
	Here      bool
	Parts     []heading // of the page that is shown
}

// navigation is what the index lists, as a page links to it.
func (b *builder) navigation(p *page) []group {
	contents := b.pages[index]
	if contents == nil {
		return nil
	}
	groups := []group{{}}
	_ = ast.Walk(contents.tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		last := &groups[len(groups)-1]
		switch n := n.(type) {
		case *ast.Heading:
			if entering && n.Level == 2 {
				groups = append(groups, group{Title: contents.text(n)})
			}
		case *ast.Link:
			if !entering || n.Parent().PreviousSibling() != nil || n.PreviousSibling() != nil {
				break // the first of an entry
			}
			to := path.Join("docs", string(n.Destination))
			entry := link{Title: contents.text(n), To: relative(p.source, to), Here: to == address(p.source)}
			if entry.Here {
				entry.Parts = p.parts
			}
			if len(groups) > 1 {
				last.Links = append(last.Links, entry)
			}
		}
		return ast.WalkContinue, nil
	})
	return groups[1:]
}

// render makes the file of a page.
func (b *builder) render(p *page) error {
	body, err := p.html()
	if err != nil {
		return err
	}
	var out bytes.Buffer
	err = layout.Execute(&out, map[string]any{
		"Title": p.title(), "Body": template.HTML(body), "Groups": b.navigation(p),
		"Home": relative(p.source, address(start)), "Source": p.source,
	})
	b.files[address(p.source)] = out.Bytes()
	return err
}

// address is where the page of a document lies in the site.
func address(source string) string {
	if path.Base(source) == "README.md" {
		return path.Join(path.Dir(source), "index.html")
	}
	return strings.TrimSuffix(source, ".md") + ".html"
}

// relative is the way from a document's page to a file of the site.
func relative(source, to string) string {
	return strings.Repeat("../", strings.Count(source, "/")) + to
}
