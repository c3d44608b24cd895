package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lwtrain/checkpoints"
	"lwtrain/convert"
	"lwtrain/export"
	"lwtrain/hub"
	"lwtrain/internal/fault"
	"lwtrain/internal/rundir"
	"lwtrain/model"
	"lwtrain/tokenizer"
)

// What commands without a config need of a model: a folder in Hugging Face layout, a
// checkpoint of a run among them, or a name on the hub, which is fetched.

// ModelFolder is the folder of a whole model: one that is there and, if it is a
// checkpoint, has the files that were saved.
func ModelFolder(ctx context.Context, name string, e Events) (string, error) {
	dir, err := folder(ctx, name, hub.WholeModel, e)
	if err != nil {
		return "", err
	}
	return wholeFolder(dir, e)
}

// wholeFolder is [ModelFolder] of a folder that is on this machine.
func wholeFolder(dir string, e Events) (string, error) {
	dir, err := newest(dir, e)
	if err != nil {
		return "", err
	}
	return dir, checkFolder(dir)
}

// parts are where a model lies: a whole one, or an adapter and the model that it is for.
type parts struct {
	dir     string // of the whole one
	adapter string // on it; "": none
}

// partsOf finds what a folder is: a model or an adapter, whose base its files name unless base does.
func partsOf(ctx context.Context, dir, base string, e Events) (parts, error) {
	if !model.HasAdapter(dir) {
		if base != "" {
			return parts{}, fault.Usage(fmt.Errorf("%s is a whole model, and there is a base, want an adapter or none", dir))
		}
		return parts{dir: dir}, nil
	}
	const hint = "--base (generate, export) names the model that it is for; with a config model.path does, and lora.from the adapter"
	if base == "" {
		_, named, err := model.ReadLoRA(dir)
		if err != nil {
			return parts{}, err
		}
		if base = named.Name; base == "" {
			return parts{}, fault.Usage(fault.Hint(fmt.Errorf("%s: an adapter that names no base, want its base, too", dir), hint))
		}
		if OnHub(base) && named.Revision != "" {
			base += "@" + named.Revision
		}
	}
	whole, err := folder(ctx, base, hub.WholeModel, e)
	if err == nil && !isThere(whole) {
		err = fault.Usage(fmt.Errorf("%s: no such folder, want the model that the adapter %s is for", whole, dir))
	}
	if err == nil {
		if whole, err = newest(whole, e); err == nil {
			err = checkFolder(whole)
		}
	}
	if err == nil && model.HasAdapter(whole) {
		err = fault.Usage(fmt.Errorf("%s: an adapter, want a whole model for the adapter %s", whole, dir))
	}
	if err != nil && fault.HintOf(err) == "" {
		err = fault.Hint(err, hint)
	}
	return parts{whole, dir}, err
}

// tokenizer is the folder of the model's tokenizer: the adapter's, where it has one.
func (p parts) tokenizer() string {
	if p.adapter != "" && isThere(filepath.Join(p.adapter, "tokenizer.json")) {
		return p.adapter
	}
	return p.dir
}

// fingerprint says which model it is, by its files.
func (p parts) fingerprint() (string, error) {
	sum, err := model.FingerprintFiles(p.dir)
	if err != nil || p.adapter == "" {
		return sum, err
	}
	own, err := model.FingerprintFiles(p.adapter)
	return sum + " with " + own, err
}

// LoadTokenizer reads the tokenizer of a model, or of any folder with a tokenizer.json.
func LoadTokenizer(ctx context.Context, name string, e Events) (*tokenizer.Tokenizer, error) {
	dir, err := folder(ctx, name, hub.ModelConfig, e)
	if err != nil {
		return nil, err
	}
	return tokenizer.Load(dir)
}

// formats are those that [Export] writes: a folder in Hugging Face's layout, or a GGUF file.
var formats = []string{"hf", "gguf"}

// Exporting is what an export is to be.
type Exporting struct {
	Format    string // hf (a folder in Hugging Face's layout) or gguf; "": gguf where the name ends so, else hf
	Precision string // of the weights: f32, f16, bf16, q8_0 or q4_k_m, of which a folder has f32 and bf16
	Check     bool   // read back what was written and compare what it computes
	Base      string // the model that an adapter is for; "": the one that its files name
}

// Export writes a model to to, which appears when it is complete: a new folder with weights,
// config, tokenizer and chat template, without what a resume needs; or a GGUF file, in a new
// folder or, where to ends so, by itself.
func Export(ctx context.Context, name, to string, o Exporting, e Events) (*export.Written, error) {
	o.Format = cmp.Or(o.Format, map[bool]string{true: "gguf", false: "hf"}[strings.HasSuffix(to, export.Extension)])
	known := convert.Precisions()
	if o.Format == "hf" {
		known = []string{"f32", "bf16"}
	}
	switch {
	case !slices.Contains(formats, o.Format):
		return nil, fault.Usage(fmt.Errorf("format is %q, want %s", o.Format, strings.Join(formats, " or ")))
	case !slices.Contains(known, o.Precision):
		return nil, fault.Usage(fmt.Errorf("dtype is %q, want %s for the format %s", o.Precision, strings.Join(known, ", "), o.Format))
	}
	from, err := folder(ctx, name, hub.WholeModel, e)
	if err != nil {
		return nil, err
	}
	gguf := strings.HasSuffix(from, export.Extension)
	if !gguf {
		if from, err = wholeFolder(from, e); err != nil {
			return nil, err
		}
	}
	if gguf || model.HasAdapter(from) {
		temp, err := export.Scratch(to, "source")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(temp)
		source := from
		from = filepath.Join(temp, "model")
		if gguf {
			err = convert.FromGGUF(source, from, e.Importing)
			e.ended(err)
		} else {
			o.Check = true // an adapter that was merged wrongly shows in nothing else
			err = merge(ctx, source, from, o.Base, e)
		}
		if err != nil {
			return nil, err
		}
	} else if o.Base != "" {
		return nil, fault.Usage(fmt.Errorf("%s is a whole model, and there is --base, want an adapter or none", from))
	}
	if o.Format == "hf" {
		return exportFolder(from, to, o, e)
	}
	c, err := model.ReadConfig(from)
	if err != nil {
		return nil, err
	}
	warnConfig(from, c.Warnings, e)
	return export.GGUF(from, to, export.Options{Name: strings.TrimSuffix(filepath.Base(to), export.Extension), Precision: o.Precision,
		Check: o.Check, Warn: e.warn, Writing: e.exporting, Reading: e.importing, Ended: e.ended})
}

// merge writes an adapter's model with the adapter in its weights into dir.
func merge(ctx context.Context, adapter, dir, base string, e Events) error {
	p, err := partsOf(ctx, adapter, base, e)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	_, err = export.Merge(p.dir, p.adapter, p.tokenizer(), dir)
	return err
}

// exportFolder writes a folder in Hugging Face's layout.
func exportFolder(from, to string, o Exporting, e Events) (*export.Written, error) {
	tok, err := tokenizer.Load(from)
	if err != nil {
		return nil, err
	}
	m, err := load(from, model.Load, e)
	if err != nil {
		return nil, err
	}
	out := &export.Written{File: to}
	return out, checkpoints.WriteFolder(to, func(dir string) error {
		err := m.Export(dir, map[string]string{"f32": "float32", "bf16": "bfloat16"}[o.Precision], func(done, total int64) {
			out.Bytes = total
			e.exporting(done, total)
		})
		m.Free()
		e.ended(err)
		if err == nil {
			err = tok.Save(dir)
		}
		if err == nil && o.Check {
			out.Check, err = export.Check(from, dir, o.Precision, true)
		}
		return err
	})
}

// folder is the folder that a model's name stands for, fetched if it is one on the hub.
func folder(ctx context.Context, name string, want hub.Want, e Events) (string, error) {
	if !OnHub(name) {
		return name, nil
	}
	h, err := OpenHub(e)
	if err != nil {
		return "", err
	}
	dir, _, err := h.model(ctx, name, want)
	return dir, err
}

// newest is the newest whole checkpoint of a run's folder, which is told; any other folder is itself.
func newest(dir string, e Events) (string, error) {
	checkpointsOf := filepath.Join(dir, rundir.Checkpoints)
	if isThere(filepath.Join(dir, "config.json")) || !isThere(checkpointsOf) {
		return dir, nil
	}
	found, err := checkpoints.Latest(checkpointsOf, 1)
	for _, b := range found.Damaged() {
		e.warn("%s is damaged and passed over: %v", b.Path, b.Reason)
	}
	if err == nil && found.Path == "" {
		err = fault.Hint(fmt.Errorf("%s: a run's folder without a whole checkpoint, want one that holds a model", dir),
			"a run saves every train.save_steps, at its end, and when it is interrupted")
	}
	if err != nil {
		return "", fault.Usage(err)
	}
	if e.Chosen != nil {
		e.Chosen(dir, found.Path)
	}
	return found.Path, nil
}

// checkFolder refuses what is no model's folder, with the way to the one that may be
// meant, and a checkpoint whose files are not those that were saved.
func checkFolder(dir string) error {
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		return fault.Usage(fmt.Errorf("%s: a file, want a model folder in Hugging Face layout", dir))
	}
	if err != nil {
		err = fmt.Errorf("%s: no such folder, want a model folder in Hugging Face layout", dir)
		hint := fault.Nearby(dir)
		if strings.Count(dir, "/") == 1 && !strings.HasPrefix(dir, ".") && !strings.HasPrefix(dir, "/") {
			hint += "; a name on the hub is written " + hub.Scheme + dir
		}
		return fault.Usage(fault.Hint(err, hint))
	}
	if _, err := os.Stat(filepath.Join(dir, "config.json")); errors.Is(err, fs.ErrNotExist) && !model.HasAdapter(dir) {
		return fault.Usage(fmt.Errorf("%s: no config.json there, want a model folder in Hugging Face layout", dir))
	}
	return fault.Usage(checkpoints.VerifyModel(dir))
}

// Precisions are those of a model that only answers: of weights and of the cache of keys and values.
// auto takes bf16 where the files hold nothing else, so that nothing is lost.
var Precisions = []string{"auto", "bf16", "float32"}

// LoadToAnswer reads a model that only answers, in one of the [Precisions]: that of a folder, or the base of
// an adapter's folder with the adapter.
func LoadToAnswer(ctx context.Context, dir, precision string, e Events) (*model.Model, error) {
	p, err := partsOf(ctx, dir, "", e)
	if err != nil {
		return nil, err
	}
	return p.loadToAnswer(precision, e)
}

func (p parts) loadToAnswer(precision string, e Events) (*model.Model, error) {
	half, dir := precision == "bf16", p.dir
	switch precision {
	case "auto":
		var err error
		if half, err = model.IsBF16(dir); err != nil {
			return nil, err
		}
	case "bf16", "float32":
	default:
		return nil, fault.Usage(fmt.Errorf("precision is %q, want auto, bf16 or float32", precision))
	}
	if p.adapter != "" {
		return load(dir, func(dir string) (*model.Model, error) { return model.LoadAdapted(dir, p.adapter, half) }, e)
	}
	if half {
		return load(dir, model.LoadBF16, e)
	}
	return load(dir, model.Load, e)
}

// load reads the model of a folder, which must be whole, and tells what looks wrong in it.
func load(dir string, read func(dir string) (*model.Model, error), e Events) (*model.Model, error) {
	m, err := read(dir)
	if err != nil && fault.HintOf(err) == "" {
		err = fault.Hint(err, "fetch or copy the model's folder again")
	}
	if err == nil {
		warnConfig(dir, m.Config.Warnings, e)
	}
	return m, fault.Usage(err)
}

// warnConfig tells what looks wrong in the config of a model.
func warnConfig(dir string, warnings []string, e Events) {
	for _, w := range warnings {
		e.warn("%s: %s", filepath.Join(dir, "config.json"), w)
	}
}
