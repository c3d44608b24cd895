package show

import (
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"lwtrain/inspect"
	"lwtrain/internal/human"
	"lwtrain/internal/terminal"
	"lwtrain/session"
)

// InspectionJSON prints what a model holds as one object.
func InspectionJSON(w io.Writer, in *session.Inspection) error {
	return encode(w, struct {
		inspect.Report
		Capacity int         `json:"capacity"`
		Engines  []needsJSON `json:"engines"`
	}{in.Report, in.Capacity, needsOf(in.Needs)})
}

// Inspection prints what a model holds.
func Inspection(w io.Writer, in *session.Inspection) {
	line := terminal.Fitting(w)
	kinds := map[string]string{
		"folder": "a folder", "adapter": "an adapter's folder", "gguf": "a GGUF file", "safetensors": "a safetensors file",
	}
	line("model", "%s: %s", filepath.Base(in.Path), kinds[in.Kind])
	family := in.Family
	if family == "" {
		family = "its family is not said"
	}
	line("", "%s, %s parameters", family, human.Scaled(in.Parts.Total))
	if a := in.Adapter; a != nil {
		line("adapter", "%s, rank %d, alpha %g, for %s", a.Variant, a.Rank, a.Alpha, a.Base)
	}
	p := in.Parts
	line("parts", "embedding %s, attention %s, MLP %s, norms %s", human.Grouped(p.Embedding), human.Grouped(p.Attention),
		human.Grouped(p.MLP), human.Grouped(p.Norms))
	switch {
	case in.Sizes != nil && in.Sizes.Tied:
		line("", "the head is the embedding table")
	case p.Head > 0:
		line("", "head %s", human.Grouped(p.Head))
	}
	if p.Other > 0 {
		line("", "other %s", human.Grouped(p.Other))
	}
	if s := in.Sizes; s != nil {
		line("sizes", "%s of %s, feed-forward %s", human.Count(s.Layers, "layer"), human.Grouped(s.Hidden), human.Grouped(s.FFN))
		line("", "%d heads of %d, %d of keys and values, %s tokens", s.Heads, s.HeadDim, s.KVHeads, human.Grouped(s.Vocab))
		if s.Windowed > 0 {
			line("", "%s in a window of %s tokens", human.Count(s.Windowed, "layer"), human.Grouped(s.Window))
		}
	}
	if in.Tensors.Count > 0 {
		line("tensors", "%s in %s, %s", human.Grouped(in.Tensors.Count), human.Count(in.Tensors.Files, "file"),
			human.Bytes(in.Tensors.Bytes))
		for _, name := range slices.Sorted(maps.Keys(in.Types)) {
			line("", "%s: %s of %s values", name, human.Grouped(in.Types[name].Count), human.Grouped(in.Types[name].Values))
		}
	}
	for _, t := range in.Tensors.List {
		fmt.Fprintf(w, "          %s %s %v %s\n", terminal.Printable(t.Name), t.DType, t.Shape, human.Bytes(t.Bytes))
	}
	inspectedText(line, in)
	if in.Needs != nil {
		line("needs", "memory of a fine-tune with packs of %s tokens", human.Grouped(in.Capacity))
		for _, n := range in.Needs {
			trained := "all parameters"
			if n.Rank > 0 {
				trained = fmt.Sprint("adapters of rank ", n.Rank)
			}
			line("", "%s, %s, %s, %s: %s (recomputing: %s)", n.Engine, n.Optimizer, n.Needs.Precision, trained,
				human.Bytes(n.Needs.Total()), human.Bytes(n.Again.Total()))
		}
	}
	for _, r := range in.Refused {
		terminal.Hang(w, "refused", terminal.Printable(r.Part+": "+r.Why))
		if r.Hint != "" {
			terminal.Hang(w, "", terminal.Printable(r.Hint))
		}
	}
}

// inspectedText says what makes text of ids, and of conversations.
func inspectedText(line func(label, format string, args ...any), in *session.Inspection) {
	if in.Context > 0 {
		line("context", "%s tokens", human.Grouped(in.Context))
	}
	if t := in.Tokenizer; t != nil {
		line("tokens", "%s, %s tokens, %s merges, %s added", t.Kind, human.Grouped(t.Vocabulary), human.Grouped(t.Merges),
			human.Grouped(t.Added))
		for _, name := range slices.Sorted(maps.Keys(t.Special)) {
			line("", "%s %s", name, t.Special[name])
		}
	}
	if t := in.Template; t != nil {
		has := map[bool]string{true: "", false: "no "}
		line("template", "%s, answers end at %s", t.Name, strings.Join(t.Stop, " "))
		line("", "%stools, %sthinking", has[t.Tools], has[t.Thinking])
	}
}
