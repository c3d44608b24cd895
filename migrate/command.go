package migrate

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"gopkg.in/yaml.v3"

	"lwtrain/configs"
	"lwtrain/internal/fault"
	"lwtrain/internal/terminal"
)

// commandLine takes the keys of a command line, such as `trl sft --model_name_or_path M --use_peft`. What stands before the
// program's name (accelerate launch, torchrun, variables) says how it is started, and no more.
func (r *reader) commandLine(text string) error {
	words, err := shellWords(text)
	if err != nil {
		return fault.Usage(fmt.Errorf("%s: %w", r.name, err))
	}
	first := r.program(words)
	if first == len(words) {
		return fault.Usage(fmt.Errorf("%s: no command that trains, want one of %s", r.name, known()))
	}
	for i := first; i < len(words); i++ {
		w := words[i]
		switch {
		case w == "--": // what follows is the launcher's
		case strings.HasPrefix(w, "--"):
			key, value, has := strings.Cut(strings.TrimPrefix(w, "--"), "=")
			key = strings.ReplaceAll(key, "-", "_")
			var values []string
			for !has && i+1 < len(words) && !strings.HasPrefix(words[i+1], "--") {
				i++
				values = append(values, words[i])
			}
			if has {
				values = []string{value}
			}
			if key == "config" && len(values) == 1 {
				if err := r.configFile(values[0]); err != nil {
					return err
				}
				continue
			}
			if off, ok := strings.CutPrefix(key, "no_"); ok && len(values) == 0 {
				key, values = off, []string{"false"}
			}
			r.put(key, argument(values), 0)
		case strings.HasSuffix(w, ".yaml") || strings.HasSuffix(w, ".yml"):
			if err := r.configFile(w); err != nil {
				return err
			}
		case strings.Contains(w, "="):
			key, value, _ := strings.Cut(w, "=")
			r.put(key, argument([]string{value}), 0)
		}
	}
	return nil
}

// program finds what is started, and where its arguments begin.
func (r *reader) program(words []string) int {
	for i, w := range words {
		base := filepath.Base(w)
		switch {
		case base == "trl" && i+1 < len(words):
			r.trainer, r.command = &trainers[2], words[i+1]
			return i + 2
		case (base == "llamafactory-cli" || base == "lmf") && i+1 < len(words):
			r.trainer = &trainers[1]
			return i + 2
		case (base == "axolotl" || base == "axolotl.cli.train") && i+1 < len(words):
			r.trainer = &trainers[0]
			if words[i+1] == "train" {
				i++
			}
			return i + 1
		case strings.HasSuffix(base, ".py"):
			if name := strings.TrimSuffix(base, ".py"); name == "sft" || name == "dpo" || name == "kto" || name == "orpo" ||
				name == "cpo" {
				r.trainer, r.command = &trainers[2], name
			}
			return i + 1
		}
	}
	if len(words) > 0 && strings.HasPrefix(words[0], "--") {
		return 0 // its arguments alone
	}
	return len(words)
}

// configFile takes the keys of a file that a command line names; those of the line itself hold before them.
func (r *reader) configFile(path string) error {
	p, ok := r.found(path)
	if !ok {
		return fault.Usage(fault.Hint(fmt.Errorf("%s: %s: no such file, want the config that the command "+
			"names", r.name, path), fault.Nearby(path)))
	}
	r.configs = append(r.configs, p)
	raw, err := os.ReadFile(p)
	if err != nil {
		return err
	}
	root, err := configs.Document(p, raw)
	if err != nil {
		return err
	}
	if root == nil || root.Kind != yaml.MappingNode {
		return fault.Usage(fmt.Errorf("%s: no map of keys, want a config", p))
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		if _, ok := r.given[root.Content[i].Value]; !ok {
			r.put(root.Content[i].Value, root.Content[i+1], root.Content[i].Line)
		}
	}
	return nil
}

// argument is what YAML would have of the values of a flag; of none, true.
func argument(values []string) *yaml.Node {
	scalar := func(s string) *yaml.Node {
		if strings.HasPrefix(s, "{") { // a map, as JSON
			if root, err := configs.Document("", []byte(s)); err == nil && root != nil && root.Kind == yaml.MappingNode {
				return root
			}
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Value: s}
	}
	switch len(values) {
	case 0:
		return scalar("true")
	case 1:
		return scalar(values[0])
	}
	list := &yaml.Node{Kind: yaml.SequenceNode}
	for _, v := range values {
		list.Content = append(list.Content, scalar(v))
	}
	return list
}

// shellWords cuts a command line as a shell does: quotes, backslashes, lines that go on, comments. A second command is an
// error, and so are variables, whose values are not known here.
func shellWords(text string) ([]string, error) {
	var words []string
	var word strings.Builder
	open := false // a word has begun
	quote := rune(0)
	end := func() {
		if open {
			words = append(words, word.String())
		}
		word.Reset()
		open = false
	}
	runes := []rune(text)
	for i := 0; i < len(runes); i++ {
		c := runes[i]
		switch {
		case quote != 0:
			switch {
			case c == quote:
				quote = 0
			case c == '\\' && quote == '"' && i+1 < len(runes):
				i++
				word.WriteRune(runes[i])
			default:
				word.WriteRune(c)
			}
		case c == '\'' || c == '"':
			quote, open = c, true
		case c == '\\' && i+1 < len(runes):
			i++
			if runes[i] == '\r' && i+1 < len(runes) {
				i++
			}
			if runes[i] != '\n' {
				word.WriteRune(runes[i])
				open = true
			}
		case c == '#' && !open:
			for i+1 < len(runes) && runes[i+1] != '\n' {
				i++
			}
		case c == '\n' || c == ';' || c == '&' || c == '|':
			end()
			if strings.HasPrefix(strings.Join(words, " "), "export ") || !hasFlag(words) {
				words = words[:0] // a line before the command
			} else if rest := strings.TrimSpace(string(runes[i+1:])); rest != "" && hasFlag(strings.Fields(uncommented(rest))) {
				return nil, fmt.Errorf("more than one command, want the one that trains alone")
			} else {
				return words, withoutVariables(words)
			}
		case c == ' ' || c == '\t' || c == '\r':
			end()
		default:
			word.WriteRune(c)
			open = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("a quote that is not closed, want %c at its end", quote)
	}
	end()
	return words, withoutVariables(words)
}

func withoutVariables(words []string) error {
	for _, w := range words {
		if strings.Contains(w, "$") {
			return fmt.Errorf("%.80s, want its value: variables of a shell are not known here", terminal.Printable(w))
		}
	}
	return nil
}

// uncommented is a text without the lines that are comments.
func uncommented(text string) string {
	var out []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(strings.TrimSpace(line), "#") {
			out = append(out, line)
		}
	}
	return strings.Join(out, "")
}

func hasFlag(words []string) bool {
	for _, w := range words {
		if strings.HasPrefix(w, "--") || strings.HasSuffix(w, ".yaml") || strings.HasSuffix(w, ".yml") {
			return true
		}
	}
	return false
}
