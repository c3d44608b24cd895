package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"lwtrain/configs"
)

// typed is what a text tells people to type.
type typed struct{ where, line string }

var (
	begins   = regexp.MustCompile(`^(?:\$ )?(?:bin/)?lwtrain( .*)$`)
	inText   = regexp.MustCompile("`(?:bin/)?lwtrain( [^`]+)`")
	behind   = regexp.MustCompile(`\s+#.*$|\s+\|\s.*$|\s+>\s.*$|\s+&$`)
	word     = regexp.MustCompile(`(?:'[^']*'|"[^"]*"|[^\s'"])+`)
	keyValue = regexp.MustCompile(`^([a-z_]+(?:[.\[][^=]*)?)=`)
)

// linesOf are the command lines in a text: lines that begin with lwtrain, and code between backquotes.
func linesOf(where, text string) (out []typed) {
	fenced := false
	for i, line := range strings.Split(strings.ReplaceAll(text, "\\\n", " "), "\n") {
		at := fmt.Sprintf("%s:%d", where, i+1)
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
		}
		bare := strings.TrimLeft(line, " #")
		code := fenced || strings.HasPrefix(line, "    ") || strings.HasPrefix(line, "#  ")
		if m := begins.FindStringSubmatch(bare); m != nil && code {
			out = append(out, typed{at, m[1]})
			continue
		}
		for _, m := range inText.FindAllStringSubmatch(line, -1) {
			out = append(out, typed{at, m[1]})
		}
	}
	return out
}

// words are a command line's arguments as a shell has them; false where there is something to be filled in.
func (l typed) words() (out []string, whole bool) {
	for _, w := range word.FindAllString(behind.ReplaceAllString(l.line, ""), -1) {
		if strings.Contains(w, "...") {
			return out, false
		}
		out = append(out, strings.NewReplacer("'", "", `"`, "").Replace(w))
	}
	return out, true
}

// TestCommandLinesAreUnderstood wants that what README, documents, recipes, chains and --help tell people to type are
// commands with flags that there are, and keys with values that they take.
func TestCommandLinesAreUnderstood(t *testing.T) {
	var lines []typed
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "configs/*.yaml", "configs/chains/*.yaml", "scripts/*.sh"} {
		found, err := filepath.Glob("../../" + pattern)
		if err != nil || found == nil {
			t.Fatal(pattern, err)
		}
		for _, name := range found {
			raw, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, linesOf(strings.TrimPrefix(name, "../../"), string(raw))...)
		}
	}
	for _, l := range lines {
		words, whole := l.words()
		if err := understood(words, whole); err != nil {
			t.Errorf("%s: lwtrain%s: %v", l.where, l.line, err)
		}
	}
	if len(lines) < 300 {
		t.Errorf("%d command lines, want at least 300: they are not found", len(lines))
	}
}

// understood reads a command line as the program does, and runs nothing.
func understood(words []string, whole bool) error {
	root, _ := newRootCmd()
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	cmd, args, err := root.Find(words)
	if err != nil {
		return err
	}
	if cmd == root && len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		return fmt.Errorf("%s is no command", args[0])
	}
	cmd.InitDefaultHelpFlag()
	cmd.InitDefaultVersionFlag()
	if err := cmd.ParseFlags(args); err != nil && whole && !strings.HasPrefix(err.Error(), "flag needs an argument") {
		return err // a text may speak of a flag without its value
	}
	return settingsOf(cmd, cmd.Flags().Args())
}

// settingsOf reads the key=value of a command that takes a config.
func settingsOf(cmd *cobra.Command, args []string) error {
	config := cmd.Flags().Lookup("config")
	if config == nil {
		return nil
	}
	base := "tiny"
	if slices.Contains(configs.RecipeNames(), config.Value.String()) {
		base = config.Value.String()
	}
	var set []string
	for _, a := range args {
		if keyValue.MatchString(a) {
			set = append(set, a)
		}
	}
	_, err := configs.Load(base, set, nil)
	return err
}
