// Package export writes models to be used elsewhere: as a GGUF file for llama.cpp, with a
// Modelfile for Ollama ([GGUF]). [Check] reads back what was written and compares what it
// computes with what the model does.
package export

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lwtrain/chat"
	"lwtrain/checkpoints"
	"lwtrain/convert"
	"lwtrain/internal/atomicfile"
	"lwtrain/internal/fault"
	"lwtrain/model"
	"lwtrain/tokenizer"
)

// Extension is that of GGUF files.
const Extension = ".gguf"

// Options are what a GGUF file is to be. Warn, Writing, which is told the bytes of weights
// written, and Reading, which is told those read for the check, may not be nil.
type Options struct {
	Name      string // of the model, to show
	Precision string // one of convert.Precisions
	Check     bool   // read the file back before it takes its name
	Warn      func(format string, args ...any)
	Writing   func(done, total int64)
	Reading   func(done, total int64)
	Ended     func(err error) // of what Writing or Reading told of
}

// Written is what an export wrote.
type Written struct {
	File, Modelfile string
	Bytes           int64
	Check           *Difference // nil: not asked for
}

// GGUF writes the model of a folder in Hugging Face's layout, which must be whole, to a .gguf
// file, with a Modelfile beside it, or to a new folder that holds both. The file appears when it
// is complete and, where that is asked for, checked.
func GGUF(from, to string, o Options) (*Written, error) {
	config, err := model.Check(from)
	if err != nil {
		return nil, fault.Usage(err)
	}
	weights, err := checkpoints.OpenWeights(from)
	if err != nil {
		return nil, err
	}
	defer weights.Close()
	tok, err := tokenizer.Load(from)
	if err != nil {
		return nil, err
	}
	s := &convert.Source{Name: o.Name, Config: config, Weights: weights, Tokenizer: tok, Stops: tok.EOS(), Warn: o.Warn}
	template, err := chat.Open(tok, "auto")
	if err != nil {
		if s.Template = ownTemplate(tok); s.Template == "" {
			o.Warn("the file gets no chat template: %v", err)
		} else {
			o.Warn("the chat template is written as it is: %v", err)
		}
	} else {
		s.Template, s.Stops = template.Source(), template.Stop()
	}
	write, err := convert.ToGGUF(s, o.Precision)
	if err != nil {
		return nil, fault.Usage(fmt.Errorf("%s: %w", from, err))
	}
	var out Written
	file := func(path string) error {
		out.File = path
		return fault.Disk(out.write(from, write, o))
	}
	if !strings.HasSuffix(to, Extension) {
		err = checkpoints.WriteFolder(to, func(dir string) error {
			if err := file(filepath.Join(dir, "model"+Extension)); err != nil {
				return err
			}
			return writeModelfile(filepath.Join(dir, modelfile), out.File, template, s)
		})
		out.File, out.Modelfile = filepath.Join(to, "model"+Extension), filepath.Join(to, modelfile)
		return &out, err
	}
	if _, err := os.Lstat(to); err == nil {
		return nil, fault.Usage(fault.Hint(fmt.Errorf("%s exists, want a file that is not there yet", to),
			"remove it, or take another name"))
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return nil, err
	}
	if err := atomicfile.Clean(filepath.Dir(to), filepath.Base(to)); err != nil {
		return nil, err
	}
	if err := file(to); err != nil {
		return nil, err
	}
	// Several files of a folder, in several precisions, have a Modelfile each.
	out.Modelfile = filepath.Join(filepath.Dir(to), modelfile)
	if _, err := os.Lstat(out.Modelfile); err == nil {
		out.Modelfile = strings.TrimSuffix(to, Extension) + "." + modelfile
	}
	return &out, writeModelfile(out.Modelfile, to, template, s)
}

// write makes the file and checks it.
func (w *Written) write(from string, write func(w io.Writer, progress func(done, total int64)) error, o Options) error {
	return atomicfile.WriteChecked(w.File, func(to io.Writer) error {
		err := write(to, func(done, total int64) {
			w.Bytes = total
			o.Writing(done, total)
		})
		o.Ended(err)
		return err
	}, func(temp string) error {
		if !o.Check {
			return nil
		}
		dir, err := Scratch(w.File, "check")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		back := filepath.Join(dir, "model")
		err = convert.FromGGUF(temp, back, o.Reading)
		o.Ended(err)
		if err == nil {
			w.Check, err = Check(from, back, o.Precision, false)
		}
		return err
	})
}

// Scratch makes a hidden folder for a model that is needed, for what it says, while another is written
// to a path; beside that, where there is room for models. It removes what a crash has left of earlier
// ones for the same.
func Scratch(to, what string) (dir string, err error) {
	parent, prefix := filepath.Dir(to), "."+filepath.Base(to)+"."+what+"-"
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", err
	}
	entries, err := os.ReadDir(parent)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if digits, ok := strings.CutPrefix(e.Name(), prefix); ok && e.IsDir() && strings.Trim(digits, "0123456789") == "" {
			if err := os.RemoveAll(filepath.Join(parent, e.Name())); err != nil {
				return "", err
			}
		}
	}
	return os.MkdirTemp(parent, prefix)
}

// ownTemplate is the text of a model's chat template, whatever it means; "": there is none.
func ownTemplate(tok *tokenizer.Tokenizer) string {
	if text := tok.File("chat_template.jinja"); text != nil {
		return string(text)
	}
	text, _ := tok.Config()["chat_template"].(string)
	return text
}

// stops are the tokens that end an answer, as text.
func stops(s *convert.Source) []string {
	var out []string
	for _, id := range s.Stops {
		if text := s.Tokenizer.Token(id); text != "" && !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return out
}
