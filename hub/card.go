package hub

import (
	"bytes"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"lwtrain/internal/fault"
)

// Reader reads a small file of a repository, for a [Want] that has to look into one.
type Reader func(File) ([]byte, error)

// Card is the file of a dataset that says which of its files are meant. It is wanted
// with a whole dataset, and holds no data.
const Card = "README.md"

const maxCard = 4 << 20 // bytes

// card is what the head of a dataset's README.md says of its files, as Hugging Face's
// datasets reads it.
type card struct {
	Configs []cardConfig `yaml:"configs"`
}

type cardConfig struct {
	Name    string    `yaml:"config_name"`
	Default bool      `yaml:"default"`
	Dir     string    `yaml:"data_dir"`
	Files   yaml.Node `yaml:"data_files"`
}

// readCard finds the dataset's card among its files; nil where it says nothing of
// them.
func readCard(files []File, read Reader) ([]cardConfig, error) {
	i := slices.IndexFunc(files, func(f File) bool { return f.Path == Card })
	if i < 0 || files[i].Size > maxCard {
		return nil, nil
	}
	raw, err := read(files[i])
	if err != nil {
		return nil, err
	}
	raw = bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n"))
	head, found := bytes.CutPrefix(raw, []byte("---\n"))
	if head, _, found = bytes.Cut(head, []byte("\n---")); !found || !bytes.HasPrefix(raw, []byte("---\n")) {
		return nil, nil
	}
	var c card
	if err := yaml.Unmarshal(head, &c); err != nil {
		return nil, nil // as datasets does: the files speak for themselves
	}
	return c.Configs, nil
}

// chosen is the config that is meant where none is named.
func chosen(ref Ref, configs []cardConfig) (cardConfig, error) {
	var names []string
	for _, c := range configs {
		if c.Default || c.Name == "default" || len(configs) == 1 {
			return c, nil
		}
		names = append(names, c.Name)
	}
	hint := "name its files"
	if _, patterns := configs[0].split("train"); len(patterns) > 0 {
		hint += ", such as " + ref.at(patterns[0]).String() + " for " + configs[0].Name
	}
	err := fmt.Errorf("%s: it has the configs %s, and none of them is the default", ref, strings.Join(names, ", "))
	return cardConfig{}, fault.Usage(fault.Hint(err, hint))
}

// split lists the patterns of a split's files, and the names of all splits.
func (c cardConfig) split(name string) (splits, patterns []string) {
	add := func(split string, n *yaml.Node) {
		splits = append(splits, split)
		if split == name {
			patterns = append(patterns, texts(n)...)
		}
	}
	switch n := &c.Files; n.Kind {
	case yaml.ScalarNode:
		add("train", n)
	case yaml.MappingNode: // datasets refuses it; what it means is plain
		for i := 0; i+1 < len(n.Content); i += 2 {
			add(n.Content[i].Value, n.Content[i+1])
		}
	case yaml.SequenceNode:
		for _, x := range n.Content {
			var one struct {
				Split string    `yaml:"split"`
				Path  yaml.Node `yaml:"path"`
			}
			if x.Kind == yaml.MappingNode && x.Decode(&one) == nil {
				add(one.Split, &one.Path)
			} else {
				add("train", x)
			}
		}
	}
	if c.Dir != "" {
		for i := range patterns {
			patterns[i] = path.Join(c.Dir, patterns[i])
		}
	}
	return slices.Compact(splits), patterns
}

// texts reads a text or a list of texts.
func texts(n *yaml.Node) (out []string) {
	if n.Kind == yaml.ScalarNode {
		return []string{n.Value}
	}
	for _, x := range n.Content {
		if x.Kind == yaml.ScalarNode {
			out = append(out, x.Value)
		}
	}
	return out
}

// byCard lists the files to train on by the dataset's card; ok is false where it
// leaves the choice to the names.
func byCard(ref Ref, files []File, read Reader) (names []string, ok bool, err error) {
	configs, err := readCard(files, read)
	if err != nil || len(configs) == 0 {
		return nil, false, err
	}
	c, err := chosen(ref, configs)
	if err != nil {
		return nil, false, err
	}
	splits, patterns := c.split("train")
	if len(splits) == 0 { // data_dir alone, say
		for _, f := range files {
			if c.Dir != "" && strings.HasPrefix(f.Path, path.Clean(c.Dir)+"/") {
				names = append(names, f.Path)
			}
		}
		return names, false, nil
	}
	if len(patterns) == 0 {
		err := fmt.Errorf("%s: its card names the splits %s, and none is called train", ref, strings.Join(splits, ", "))
		return nil, false, fault.Usage(fault.Hint(err, "name the files that are meant, such as "+ref.at("data/*.parquet").String()))
	}
	for _, f := range files {
		if slices.ContainsFunc(patterns, func(p string) bool { return glob(p).MatchString(f.Path) }) {
			names = append(names, f.Path)
		}
	}
	if len(names) == 0 {
		err := fmt.Errorf("%s: its card names %s, and no file is called so", ref, strings.Join(patterns, ", "))
		return nil, false, fault.Usage(fault.Hint(err, "it has "+some(files)))
	}
	return names, true, nil
}

// glob is a pattern of the card, in which ** stands for folders.
func glob(pattern string) *regexp.Regexp {
	var b strings.Builder
	pattern = strings.TrimPrefix(pattern, "./")
	for i := 0; i < len(pattern); i++ {
		switch rest := pattern[i:]; {
		case strings.HasPrefix(rest, "**/"):
			b.WriteString("(?:.*/)?")
			i += 2
		case strings.HasPrefix(rest, "**"):
			b.WriteString(".*")
			i++
		case rest[0] == '*':
			b.WriteString("[^/]*")
		case rest[0] == '?':
			b.WriteString("[^/]")
		default:
			b.WriteString(regexp.QuoteMeta(rest[:1]))
		}
	}
	re, err := regexp.Compile("^" + b.String() + "$")
	if err != nil { // bytes that are no UTF-8
		return regexp.MustCompile(`^[^\s\S]$`)
	}
	return re
}
