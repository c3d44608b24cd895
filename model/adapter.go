package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"lwtrain/checkpoints"
	"lwtrain/internal/atomicfile"
	"lwtrain/internal/fault"
	"lwtrain/internal/graph"
	"lwtrain/internal/modeldir"
	"lwtrain/internal/plainjson"
	"lwtrain/model/families"
)

// adapted is a matrix as files name it, with its adapter.
type adapted struct {
	module string // its name without .weight, as PEFT calls it
	of     *graph.Param
	*graph.Adapter
	alpha float64
}

// module is a matrix that may get an adapter: one for each tensor of a parameter in the files.
type module struct {
	name string
	of   *graph.Param
	families.Tensor
}

// modules are those of the layers, in the order of the forward pass.
func (m *Model) modules() (out []module) {
	for _, l := range m.layers {
		for _, p := range []*graph.Param{l.qkv, l.in, l.gates, l.out, l.gateUp, l.down} {
			for _, f := range m.files[p] {
				out = append(out, module{m.Config.module(f.Name), p, f})
			}
		}
	}
	return out
}

// short is the last part of a module's name, by which all layers have one.
func short(module string) string { return module[strings.LastIndexByte(module, '.')+1:] }

// targets are the modules that a list of names means: names of modules, or their last parts.
func (m *Model) targets(names []string) ([]module, error) {
	all := m.modules()
	if slices.Equal(names, []string{AllLinear}) {
		return all, nil
	}
	used := make([]bool, len(names))
	var out []module
	var known []string
	for _, x := range all {
		fits := false
		for i, name := range names {
			if x.name == name || strings.HasSuffix(x.name, "."+name) {
				used[i], fits = true, true
			}
		}
		if fits {
			out = append(out, x)
		}
		if s := short(x.name); !slices.Contains(known, s) {
			known = append(known, s)
		}
	}
	if i := slices.Index(used, false); i >= 0 {
		return nil, fmt.Errorf("%.80q names no matrix that can have an adapter, want all-linear or of: %s", names[i],
			strings.Join(known, ", "))
	}
	return out, nil
}

// prefix is what PEFT puts before names of modules.
const prefix = "base_model.model."

// adapt gives a module an adapter, without memory.
func (m *Model) adapt(x module, o LoRA) {
	a := &graph.Adapter{Row: x.Row, Rows: x.Rows(), Scale: float32(o.scale()), Dropout: o.Dropout}
	param := func(ending string, shape ...int) *graph.Param {
		p := &graph.Param{Name: prefix + x.name + ending, Rows: 1, Cols: shape[len(shape)-1], Decay: len(shape) > 1}
		if len(shape) > 1 {
			p.Rows = shape[0]
		}
		m.files[p] = []families.Tensor{{Name: p.Name, Shape: shape}}
		return p
	}
	a.A, a.B = param(".lora_A.weight", o.Rank, x.of.Cols), param(".lora_B.weight", a.Rows, o.Rank)
	if o.Variant == DoRA {
		a.Magnitude = param(".lora_magnitude_vector", a.Rows)
	}
	x.of.Adapters = append(x.of.Adapters, a)
	m.adapters = append(m.adapters, adapted{x.name, x.of, a, o.Alpha})
}

// scale is what B A is multiplied by.
func (o LoRA) scale() float64 {
	if o.Variant == RsLoRA {
		return o.Alpha / math.Sqrt(float64(o.Rank))
	}
	return o.Alpha / float64(o.Rank)
}

// The files of an adapter's folder, as PEFT names them.
const (
	adapterFile    = "adapter_config.json"
	adapterWeights = "adapter_model.safetensors"
)

const mergeFirst = "merge it into its model first (merge_and_unload of PEFT)"

// Bounds of adapter_config.json.
const (
	maxAdapterBytes  = 1 << 20
	maxAdapterValues = 1 << 16
	mostExpressions  = 64 // of patterns
)

// HasAdapter reports whether a folder holds an adapter, which is put onto the model that it is for.
func HasAdapter(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, adapterFile))
	return err == nil
}

// peftConfig are the keys of adapter_config.json that say what an adapter computes.
type peftConfig struct {
	Type        string             `json:"peft_type"`
	Base        *string            `json:"base_model_name_or_path"`
	Revision    *string            `json:"revision"`
	Rank        int                `json:"r"`
	Alpha       float64            `json:"lora_alpha"`
	Dropout     float64            `json:"lora_dropout"`
	RsLoRA      bool               `json:"use_rslora"`
	DoRA        bool               `json:"use_dora"`
	FanInFanOut bool               `json:"fan_in_fan_out"`
	Bias        string             `json:"bias"`
	Init        any                `json:"init_lora_weights"`
	Ranks       map[string]float64 `json:"rank_pattern"`
	Alphas      map[string]float64 `json:"alpha_pattern"`
	Whole       []string           `json:"modules_to_save"`
	Tied        bool               `json:"ensure_weight_tying"`
}

// foreignKeys of adapter_config.json change what an adapter computes where they say something.
var foreignKeys = []string{
	"lora_bias", "layer_replication", "target_parameters", "trainable_token_indices", "alora_invocation_tokens",
	"use_qalora", "use_bdlora", "arrow_config", "kasa_config", "velora_config", "monteclora_config",
}

// adapterFolder is an adapter of PEFT's.
type adapterFolder struct {
	dir  string
	base Base
	LoRA // as its files have it
	peft peftConfig
}

// ReadLoRA says what the adapter in a folder is, with all-linear for its targets, and what it is for.
func ReadLoRA(dir string) (LoRA, Base, error) {
	f, err := openAdapter(dir)
	if err != nil {
		return LoRA{}, Base{}, err
	}
	f.From, f.Target = "", []string{AllLinear}
	return f.LoRA, f.base, nil
}

// openAdapter reads adapter_config.json.
func openAdapter(dir string) (*adapterFolder, error) {
	f := &adapterFolder{dir: dir}
	path := filepath.Join(dir, adapterFile)
	raw, err := modeldir.Read(dir, adapterFile, maxAdapterBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Usage(fault.Hint(fmt.Errorf("%s: no %s there, want an adapter's folder in PEFT's format", dir, adapterFile),
			fault.Nearby(dir)))
	}
	if err == nil {
		err = f.parse(raw)
	}
	if err != nil {
		return nil, fault.Usage(plainjson.In(path, err))
	}
	return f, nil
}

func (f *adapterFolder) parse(raw []byte) error {
	var keys map[string]json.RawMessage
	if err := plainjson.Decode(raw, maxAdapterValues, &keys); err != nil {
		return err
	}
	c := &f.peft
	c.Bias, c.Init = "none", true
	if err := plainjson.Decode(raw, maxAdapterValues, c); err != nil {
		return err
	}
	for _, key := range foreignKeys {
		if value := string(keys[key]); !slices.Contains([]string{"", "null", "false", "[]", "{}"}, value) {
			return notImplemented(mergeFirst, "%s is %.80s, want none: it is not implemented", key, value)
		}
	}
	_, isBool := c.Init.(bool)
	switch {
	case c.Type != "LORA":
		return notImplemented("other adapters than LoRA's are not implemented; "+mergeFirst,
			"peft_type is %.40q, want \"LORA\"", c.Type)
	case c.Bias != "none":
		return fmt.Errorf("bias is %.40q, want \"none\"", c.Bias)
	case c.FanInFanOut:
		return errors.New("fan_in_fan_out is true, want false: the matrices are those of linear layers")
	case !isBool && !slices.Contains([]any{"gaussian", "orthogonal", "eva", nil}, c.Init):
		return notImplemented("save it with path_initial_model_for_weight_conversion of PEFT, which makes a plain adapter of it",
			"init_lora_weights is %.40v, which changes the weights below, want true", c.Init)
	case c.Rank < 1 || c.Rank > 1<<16:
		return fmt.Errorf("r is %d, want 1 to %d", c.Rank, 1<<16)
	case !(c.Alpha > -1e6 && c.Alpha < 1e6):
		return fmt.Errorf("lora_alpha is %g, want a number of a usual size", c.Alpha)
	case c.RsLoRA && c.DoRA:
		return notImplemented("one of them is implemented at a time", "use_rslora and use_dora are true, want at most one")
	}
	f.LoRA = LoRA{Rank: c.Rank, Alpha: c.Alpha, Dropout: c.Dropout, Variant: PlainLoRA, ModulesToSave: c.Whole, From: f.dir}
	switch {
	case c.RsLoRA:
		f.Variant = RsLoRA
	case c.DoRA:
		f.Variant = DoRA
	}
	if c.Base != nil {
		f.base.Name = *c.Base
	}
	if c.Revision != nil {
		f.base.Revision = *c.Revision
	}
	return nil
}

// patterns are the values that rank_pattern and alpha_pattern give to modules. As PEFT has it a key is a
// regular expression for the end of a module's name; most are names, which are looked up.
type patterns struct {
	names       map[string]float64
	expressions []expression
}

type expression struct {
	*regexp.Regexp
	value float64
}

// plainName is a key that means itself: its dots, that stand for any character, stand for dots in names.
var plainName = regexp.MustCompile(`^[\w.]*$`)

func readPatterns(key string, of map[string]float64) (p patterns, err error) {
	p.names = map[string]float64{}
	for _, k := range slices.Sorted(maps.Keys(of)) {
		if plainName.MatchString(k) {
			p.names[k] = of[k]
			continue
		}
		x, err := regexp.Compile(`^(?:.*\.)?(?:` + k + `)$`)
		if err != nil {
			return p, fmt.Errorf("%s: %.80q: %w", key, k, err)
		}
		p.expressions = append(p.expressions, expression{x, of[k]})
	}
	if n := len(p.expressions); n > mostExpressions {
		return p, fmt.Errorf("%s has %d regular expressions, want at most %d", key, n, mostExpressions)
	}
	return p, nil
}

// of is the value for a module.
func (p patterns) of(module string, otherwise float64) (float64, error) {
	var found []float64
	for name, more := module, true; more; _, name, more = strings.Cut(name, ".") {
		if v, ok := p.names[name]; ok {
			found = append(found, v)
		}
	}
	for _, x := range p.expressions {
		if x.MatchString(module) {
			found = append(found, x.value)
		}
	}
	if found = slices.Compact(found); len(found) > 1 {
		return 0, fmt.Errorf("patterns give %s the values %v, want one", module, found)
	}
	return append(found, otherwise)[0], nil
}

// adaptAs gives the model the adapters that o.From has, without memory; of o the dropout holds.
func (m *Model) adaptAs(o LoRA) (*adapterFolder, error) {
	f, err := openAdapter(o.From)
	if err != nil {
		return nil, err
	}
	if o.Rank > 0 && o.Rank != f.Rank {
		return nil, fault.Usage(fmt.Errorf("lora.rank is %d, want %d, that of %s, or 0", o.Rank, f.Rank, f.dir))
	}
	w, err := OpenAdapter(f.dir)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	f.Dropout = o.Dropout
	ranks, err := readPatterns("rank_pattern", f.peft.Ranks)
	if err != nil {
		return nil, fault.Usage(fmt.Errorf("%s: %w", filepath.Join(f.dir, adapterFile), err))
	}
	alphas, err := readPatterns("alpha_pattern", f.peft.Alphas)
	if err != nil {
		return nil, fault.Usage(fmt.Errorf("%s: %w", filepath.Join(f.dir, adapterFile), err))
	}
	known := map[string]bool{}
	m.Config.modulesOf(w)
	for _, x := range m.modules() {
		info, ok := w.Info(prefix + x.name + ".lora_A.weight")
		if !ok {
			continue
		}
		how := f.LoRA
		rank, err := ranks.of(x.name, float64(f.Rank))
		if how.Rank = int(rank); err == nil {
			how.Alpha, err = alphas.of(x.name, f.Alpha)
		}
		if err != nil {
			return nil, fault.Usage(fmt.Errorf("%s: %w", filepath.Join(f.dir, adapterFile), err))
		}
		if how.Rank < 1 || !slices.Equal(info.Shape, []int{how.Rank, x.of.Cols}) {
			return nil, f.wrong("tensor %s has shape %v, want [%d %d]", info.Name, info.Shape, how.Rank, x.of.Cols)
		}
		m.adapt(x, how)
		for _, p := range m.adapters[len(m.adapters)-1].Params() {
			name := p.Name
			info, ok := w.Info(name)
			if !ok {
				name += ".weight"
				info, ok = w.Info(name)
			}
			if !ok {
				return nil, f.wrong("no tensor %s", p.Name)
			}
			if want := m.files[p][0].Shape; !slices.Equal(info.Shape, want) {
				return nil, f.wrong("tensor %s has shape %v, want %v", name, info.Shape, want)
			}
			known[name] = true
		}
	}
	if err := m.wholeAs(f, w, o.ModulesToSave, known); err != nil {
		return nil, err
	}
	for _, name := range w.Names() {
		if !known[name] {
			return nil, fault.Hint(f.wrong("tensor %.120s, for which the model (%s, %d layers) has no place", name, m.Config.Type,
				m.Config.Layers), "is it an adapter of this model?")
		}
	}
	m.lora, m.from = f.LoRA, true
	return f, nil
}

func (f *adapterFolder) wrong(format string, args ...any) error {
	return fault.Usage(fmt.Errorf("%s: %w", filepath.Join(f.dir, adapterWeights), fmt.Errorf(format, args...)))
}

// OpenAdapter opens the weights of an adapter's folder.
func OpenAdapter(dir string) (*checkpoints.Weights, error) {
	w, err := checkpoints.OpenSafetensors(filepath.Join(dir, adapterWeights))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Usage(fault.Hint(fmt.Errorf("%s: no %s there", dir, adapterWeights),
			"a .bin file can run code when it is loaded: save the adapter with safe_serialization=True"))
	}
	return w, err
}

// read fills the adapters of a model that has them.
func (f *adapterFolder) read(m *Model) error {
	w, err := OpenAdapter(f.dir)
	if err != nil {
		return err
	}
	defer w.Close()
	err = m.readAdapters(w)
	for _, p := range m.Params {
		if err == nil && m.isWhole(p) {
			err = m.readAs(p, w, m.SavedName)
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", f.dir, err)
	}
	return nil
}

// SaveAdapter writes what is trained into dir, as PEFT does: the adapters, and modules as a whole.
func (m *Model) SaveAdapter(dir string) error {
	tensors := m.Streams(func(p *graph.Param) func([]float32, int) {
		if p.Frozen || p.Data == nil && p.Half == nil {
			return nil
		}
		return p.Values
	})
	return m.WriteAdapter(dir, tensors)
}

// WriteAdapter is [Model.SaveAdapter] of tensors that come from elsewhere: the model may be without memory.
func (m *Model) WriteAdapter(dir string, tensors []checkpoints.Stream) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	outer := m.outer()
	for i, t := range tensors {
		t.Name = m.SavedName(t.Name)
		if tensors[i] = t; m.Config.Tied && t.Name == prefix+outer[0].name+".weight" { // PEFT's files have the head, too
			t.Name = prefix + outer[2].name + ".weight"
			tensors = append(tensors, t)
		}
	}
	err := checkpoints.StreamSafetensors(filepath.Join(dir, adapterWeights), "F32", tensors, map[string]string{"format": "pt"})
	if err != nil {
		return err
	}
	raw, err := plainjson.MarshalFile(m.peftConfig())
	if err != nil {
		return err
	}
	return atomicfile.WriteBytes(filepath.Join(dir, adapterFile), raw)
}

// peftConfig is what adapter_config.json says.
func (m *Model) peftConfig() map[string]any {
	ranks, alphas := map[string]int{}, map[string]float64{}
	for _, x := range m.adapters {
		if x.A.Rows != m.lora.Rank {
			ranks[x.module] = x.A.Rows
		}
		if x.alpha != m.lora.Alpha {
			alphas[x.module] = x.alpha
		}
	}
	c := map[string]any{
		"peft_type": "LORA", "task_type": "CAUSAL_LM", "inference_mode": true, "bias": "none", "fan_in_fan_out": false,
		"r": m.lora.Rank, "lora_alpha": m.lora.Alpha, "lora_dropout": m.lora.Dropout, "init_lora_weights": true,
		"use_rslora": m.lora.Variant == RsLoRA, "use_dora": m.lora.Variant == DoRA,
		"target_modules": m.targetNames(), "rank_pattern": ranks, "alpha_pattern": alphas, "modules_to_save": nil,
		"base_model_name_or_path": nil, "revision": nil,
	}
	var whole []string
	for _, x := range m.whole {
		whole = append(whole, x.name)
		c["modules_to_save"] = whole
		if m.Config.Tied && x.of == m.embed {
			c["ensure_weight_tying"] = true
		}
	}
	if m.base.Name != "" {
		c["base_model_name_or_path"] = m.base.Name
	}
	if m.base.Revision != "" {
		c["revision"] = m.base.Revision
	}
	return c
}

// targetNames are the last parts of the names of the modules with adapters, or whole names where
// not all layers have one.
func (m *Model) targetNames() []string {
	with, all := map[string]int{}, map[string]int{}
	for _, x := range m.adapters {
		with[short(x.module)]++
	}
	for _, x := range m.modules() {
		all[short(x.name)]++
	}
	names := map[string]bool{}
	for _, x := range m.adapters {
		if s := short(x.module); with[s] == all[s] {
			names[s] = true
		} else {
			names[strings.Clone(x.module)] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}
