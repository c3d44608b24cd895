package show

import (
	"io"
	"path/filepath"
	"strings"

	"lwtrain/export"
	"lwtrain/internal/human"
	"lwtrain/internal/terminal"
)

// Exported says what an export wrote, how it was checked, and how to try it.
func Exported(w io.Writer, x *export.Written, precision string) {
	line := terminal.Labelled(w)
	line("model", "%s, %s of %s", terminal.Printable(x.File), human.Bytes(x.Bytes), precision)
	if c := x.Check; c != nil {
		line("check", "weights %.2g of their size off at most, logits of %s %.2g", c.Weights, human.Count(c.Tokens, "token"), c.Logits)
	}
	if x.Modelfile == "" {
		return
	}
	name := strings.TrimSuffix(filepath.Base(x.File), export.Extension)
	if filepath.Dir(x.File) == filepath.Dir(x.Modelfile) && name == "model" {
		name = filepath.Base(filepath.Dir(x.File))
	}
	file, modelfile, name := terminal.Printable(x.File), terminal.Printable(x.Modelfile), terminal.Printable(name)
	line("llama.cpp", "llama-cli -m %s", file)
	line("Ollama", "ollama create %s -f %s && ollama run %s", name, modelfile, name)
}
