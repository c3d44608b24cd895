package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

//go:generate go test -run TestPagesAreTheHelp -update

var update = flag.Bool("update", false, "write docs/commands anew")

const pagesDir = "../../docs/commands"

// TestPagesAreTheHelp wants that docs/commands has a page for each command, made of what --help shows, and no other.
func TestPagesAreTheHelp(t *testing.T) {
	root, _ := newRootCmd()
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	pages := map[string]string{"README.md": indexPage(root)}
	for _, cmd := range root.Commands() {
		if cmd.Name() != "help" {
			pages[cmd.Name()+".md"] = commandPage(cmd)
		}
	}
	there, err := filepath.Glob(pagesDir + "/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range there {
		if _, ok := pages[filepath.Base(path)]; ok {
			continue
		} else if !*update {
			t.Errorf("%s is there, and no command has that name", path)
		} else if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range pages {
		path := filepath.Join(pagesDir, name)
		if got, err := os.ReadFile(path); err == nil && string(got) == want {
			continue
		} else if !*update {
			t.Errorf("%s is not what --help says; `go generate ./cmd/lwtrain` writes it anew", path)
		} else if err := os.MkdirAll(pagesDir, 0o755); err != nil {
			t.Fatal(err)
		} else if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// indexPage lists the commands as lwtrain --help does.
func indexPage(root *cobra.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Commands\n\n%s", paragraphs(root.Long))
	b.WriteString("\nExit statuses and output for programs: [automation.md](../automation.md); ")
	b.WriteString("keys of a config: [options.md](../options.md).\n")
	for _, g := range root.Groups() {
		fmt.Fprintf(&b, "\n## %s\n\n| command | what it does |\n|---|---|\n", strings.TrimSuffix(g.Title, ":"))
		for _, cmd := range root.Commands() {
			if cmd.GroupID == g.ID && cmd.Name() != "help" {
				fmt.Fprintf(&b, "| [%s](%s.md) | %s |\n", cmd.Name(), cmd.Name(), cell(cmd.Short))
			}
		}
	}
	return b.String()
}

// commandPage is what --help says of a command and of those below it.
func commandPage(cmd *cobra.Command) string {
	var b strings.Builder
	below := func(c *cobra.Command) (out []*cobra.Command) {
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() && sub.Name() != "help" {
				out = append(out, sub)
			}
		}
		return out
	}
	var write func(c *cobra.Command, mark string)
	write = func(c *cobra.Command, mark string) {
		fmt.Fprintf(&b, "%s %s\n\n%s.\n", mark, c.CommandPath(), plain(c.Short))
		if c.Runnable() {
			fmt.Fprintf(&b, "\n    %s\n", c.UseLine())
		}
		if c.Long != "" {
			fmt.Fprintf(&b, "\n%s", paragraphs(c.Long))
		}
		if c.HasExample() {
			b.WriteString("\nFor example:\n\n")
			for line := range strings.Lines(c.Example) {
				b.WriteString("  " + line)
			}
			b.WriteString("\n")
		}
		flagTable(&b, c)
		for _, sub := range below(c) {
			b.WriteString("\n")
			write(sub, "##")
		}
	}
	write(cmd, "#")
	return b.String()
}

// flagTable writes the flags of a command, but for --help, which all have.
func flagTable(b *strings.Builder, c *cobra.Command) {
	head := "\n| flag | meaning | default |\n|---|---|---|\n"
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		kind, text := pflag.UnquoteUsage(f)
		if kind != "" {
			name += " " + kind
		}
		preset := ""
		if !slices.Contains([]string{"", "0", "false", "[]"}, f.DefValue) {
			preset = "`" + f.DefValue + "`"
		}
		fmt.Fprintf(b, "%s| `%s` | %s | %s |\n", head, name, cell(text), preset)
		head = ""
	})
}

// paragraphs is a text of the help in Markdown: what is indented there is code, and no sign of Markdown means anything.
func paragraphs(text string) string {
	var b strings.Builder
	code, gap := false, true // the line above is code; is empty
	for line := range strings.Lines(strings.TrimSpace(text) + "\n") {
		if indented := strings.HasPrefix(line, "  ") || strings.HasPrefix(line, "\t"); indented {
			if !code && !gap {
				b.WriteString("\n")
			}
			line = "    " + strings.TrimPrefix(strings.TrimPrefix(line, "\t"), "  ")
			code = true
		} else if line != "\n" {
			if code && !gap {
				b.WriteString("\n")
			}
			code, line = false, documents.ReplaceAllString(plain(strings.TrimLeft(line, "# ")), "[$0](../$1)")
		}
		gap = line == "\n"
		b.WriteString(line)
	}
	return b.String()
}

// documents are what the help names of docs.
var documents = regexp.MustCompile(`\bdocs/([\w/-]+\.md)`)

// plain is a line of text in which Markdown finds nothing but code between backquotes.
func plain(line string) string {
	parts := strings.Split(line, "`")
	for i := range parts {
		if i%2 == 0 || i == len(parts)-1 {
			parts[i] = strings.NewReplacer("*", `\*`, "<", `\<`, "[", `\[`).Replace(parts[i])
		}
	}
	return strings.Join(parts, "`")
}

// cell is plain in a cell of a table.
func cell(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(plain(text)), " "), "|", `\|`)
}
