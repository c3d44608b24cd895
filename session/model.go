package session

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"lwtrain/chat"
	"lwtrain/checkpoints"
	"lwtrain/convert"
	"lwtrain/data"
	"lwtrain/hub"
	"lwtrain/internal/fault"
	"lwtrain/internal/human"
	"lwtrain/internal/rundir"
	"lwtrain/model"
	"lwtrain/tokenizer"
)

// Model is the model that a config names, before its weights are read.
type Model struct {
	Name      string // to show
	Config    model.Config
	Tokenizer *tokenizer.Tokenizer
	Template  *chat.Template // as training renders with it

	session *Session
	dir     string         // in Hugging Face layout; "": a fresh model
	adapter string         // on it, where model.path is one, or lora.from names one
	seed    uint64         // of fresh weights
	scaling map[string]any // by which its positions are stretched
	onHub   string         // its name there, with the commit; its weights may not be here yet
}

// Describe says which model it is: its name, family and size.
func (m *Model) Describe() string {
	return fmt.Sprintf("%s: %s, %s parameters", m.Name, m.Config.Type, human.Scaled(m.Config.Parameters()))
}

// nameOf is what a model is called by where it lies: a checkpoint with its run.
func nameOf(path string) string {
	name, in := filepath.Base(path), filepath.Dir(path)
	if run := filepath.Base(filepath.Dir(in)); filepath.Base(in) == rundir.Checkpoints && run != "." {
		name = run + ", " + name
	}
	return name
}

// Model finds the model of the config: a folder, a .gguf file, which is imported once
// into the cache (in a dry run into a temporary folder), a name on the hub, of which it
// fetches all but the weights, or a fresh one.
func (s *Session) Model(ctx context.Context) (*Model, error) {
	m := &Model{session: s}
	find := m.findFolder
	if s.Config.Model.Init != nil {
		find = m.makeFresh
	}
	if err := find(ctx); err != nil {
		return nil, err
	}
	var err error
	if m.Template, err = TrainingTemplate(m.Tokenizer, s.Config.Model.Template, s.Config.Model.TemplateDate); err != nil {
		return nil, err
	}
	for _, w := range m.Template.Warnings() {
		s.events.warn("%s", w)
	}
	return m, nil
}

// whole is [Session.Model] with the weights, which are fetched where they are on the hub alone; in a dry run without those.
func (s *Session) whole(ctx context.Context) (_ *Model, err error) {
	if c := s.Config; c.Model.Path != "" && !(s.DryRun && OnHub(c.Model.Path)) {
		if c.Model.Path, err = ModelFolder(ctx, c.Model.Path, s.events); err != nil {
			return nil, err
		}
	}
	return s.Model(ctx)
}

// HasWeights reports whether the weights are here, or can be made.
func (m *Model) HasWeights() bool { return m.dir == "" || checkpoints.HasWeights(m.dir) }

// warnFresh says so where what writes has learnt nothing.
func (m *Model) warnFresh() {
	if m.dir == "" {
		m.session.events.warn("the model is a fresh one of random weights (model.init): what it writes is noise")
	}
}

// makeFresh finds a model of random weights.
func (m *Model) makeFresh(context.Context) (err error) {
	init := m.session.Config.Model.Init
	m.Name, m.seed, m.Tokenizer = "a fresh model", init.Seed, tokenizer.Bytes()
	if m.Config, err = init.Architecture(); err == nil {
		m.Config, err = m.Config.Stretch(m.session.Config.Model.RopeScaling)
	}
	if err != nil {
		return fault.Usage(err)
	}
	if n := m.Tokenizer.VocabSize(); m.Config.Vocab < n {
		return fault.Usage(fmt.Errorf("model.init.config: vocab_size is %d, want at least %d, the tokens of the built-in tokenizer",
			m.Config.Vocab, n))
	}
	return nil
}

// findFolder finds a model that model.path names.
func (m *Model) findFolder(ctx context.Context) (err error) {
	c := m.session.Config
	m.scaling = c.Model.RopeScaling
	if err := m.findWeights(ctx, "model.path", &c.Model.Path); err != nil {
		return err
	}
	if m.Tokenizer, err = tokenizer.Load(m.parts().tokenizer()); err != nil {
		return fault.Usage(err)
	}
	return fault.Usage(m.checkRows())
}

// findWeights finds the model that a key of the config names, all of it but its tokenizer. Of a
// run's folder it is the newest whole checkpoint. One on the hub gets the commit that it lies at.
func (m *Model) findWeights(ctx context.Context, key string, path *string) (err error) {
	c := m.session.Config
	m.Name, m.dir = nameOf(*path), *path
	if OnHub(*path) {
		if err := m.fetch(ctx, key, path); err != nil {
			return err
		}
	}
	if !isThere(m.dir) {
		return fault.Usage(fault.Hint(fmt.Errorf("%s: no such folder or file, want a model (%s, %s)", m.dir, key, c.Origin(key)),
			fault.Nearby(m.dir)+"; "+smallModel(key)))
	}
	if m.dir, err = newest(m.dir, m.session.events); err != nil {
		return err
	}
	if strings.HasSuffix(m.dir, ".gguf") {
		if m.dir, err = m.session.importOnce(m.dir); err != nil {
			return err
		}
	} else if _, err := os.Stat(filepath.Join(m.dir, "config.json")); errors.Is(err, fs.ErrNotExist) && !model.HasAdapter(m.dir) {
		return fault.Usage(fault.Hint(
			fmt.Errorf("%s: no config.json there, want a model folder in Hugging Face layout (%s, %s)",
				m.dir, key, c.Origin(key)),
			"`lwtrain import MODEL.gguf DIR` makes one from a GGUF file"))
	}
	p, err := partsOf(ctx, m.dir, "", m.session.events)
	if err != nil {
		return err
	}
	m.dir, m.adapter = p.dir, p.adapter
	if m.Config, err = model.ReadConfig(m.dir); err == nil {
		m.Config, err = m.Config.Stretch(m.scaling)
	}
	if err != nil {
		return fault.Usage(err)
	}
	warnConfig(m.dir, m.Config.Warnings, m.session.events)
	if m.onHub == "" {
		return fault.Usage(m.checkWeights(m.session.DryRun))
	}
	return nil
}

// Reference finds the model of its own that preference training of m measures against; nil
// where there is none.
func (s *Session) Reference(ctx context.Context, m *Model) (*Model, error) {
	if !hasReferenceModel(s.Config) {
		return nil, nil
	}
	const key = "dpo.reference"
	r := &Model{session: s}
	if err := r.findWeights(ctx, key, &s.Config.DPO.Reference); err != nil {
		return nil, err
	}
	if err := r.checkWhole(key); err != nil {
		return nil, err
	}
	if a, b := r.Config.Vocab, m.Config.Vocab; a != b {
		return nil, fault.Usage(fmt.Errorf("%s: the model has %d tokens, want the %d of the model in training (%s, %s)",
			r.dir, a, b, key, s.Config.Origin(key)))
	}
	return r, nil
}

// warnPositions says that samples may be longer than the model has seen any.
func (m *Model) warnPositions() {
	c := m.session.Config
	if most := m.Config.MaxTokens; most > 0 && c.Data.MaxLength > most && c.Packing.Capacity > most {
		m.session.events.warn("samples may have %d tokens (data.max_length), and the model has seen positions up to %d: "+
			"the rest is new to it", min(c.Data.MaxLength, c.Packing.Capacity), most)
	}
}

// checkRows refuses a tokenizer with more tokens than the model has rows for, unless those
// behind the last row are tokens that tokenizer.json does not have: a text need not hold
// them.
func (m *Model) checkRows() error {
	n, rows := m.Tokenizer.VocabSize(), m.Config.Vocab
	foreign := m.Tokenizer.Foreign(rows)
	switch {
	case n <= rows:
	case n-len(foreign) > rows:
		return fmt.Errorf("%s: the tokenizer has ids up to %d, and vocab_size of config.json is %d", m.dir, n-1, rows)
	default:
		m.session.events.warn("%s: vocab_size of config.json is %d, and there is no row for %s, "+
			"which other files than tokenizer.json add: a record that holds one is refused", m.dir, rows, some(foreign))
	}
	return nil
}

// some names the first of many tokens.
func some(tokens []string) string {
	const most = 5
	names := make([]string, 0, most)
	for _, token := range tokens[:min(most, len(tokens))] {
		names = append(names, fmt.Sprintf("%.40q", token))
	}
	text := strings.Join(names, ", ")
	if n := len(tokens) - most; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}

// checkProved refuses a family of which it is not known that documents in a pack do not see each other.
func (m *Model) checkProved() error {
	if m.Config.Proved {
		return nil
	}
	return fault.Usage(fault.Hint(fmt.Errorf("%s: that documents in a pack do not see each other is not proved for %s, want another family",
		m.Name, m.Config.Type), "generate, eval and export take it"))
}

// checkPositions refuses samples that are longer than the model has seen any.
func (m *Model) checkPositions(set *data.Set) error {
	most := m.Config.MaxTokens
	if most == 0 {
		return nil
	}
	for i := range set.Len() {
		n := set.Tokens(i)
		if n <= most {
			continue
		}
		key := "data.max_length"
		if n > m.session.Config.Data.MaxLength { // it is held out
			key = "data.held_out_max_length"
		}
		return fault.Usage(fault.Hint(fmt.Errorf("%s: %s tokens, and the model has seen positions up to %s (max_position_embeddings), "+
			"want model.rope_scaling or shorter samples", set.Origin(i), human.Grouped(n), human.Grouped(most)),
			fmt.Sprintf("model.rope_scaling='{rope_type: yarn, factor: %d}' stretches them; %s=%d leaves such samples out",
				(n+most-1)/most, key, most)))
	}
	return nil
}

// checkTokens refuses samples that hold a token without a row.
func (m *Model) checkTokens(set *data.Set) error {
	rows := m.Config.Vocab
	if m.session.DryRun || m.Tokenizer.VocabSize() <= rows {
		return nil
	}
	for i := range set.Len() {
		s, err := set.Sample(i)
		if err != nil {
			return err
		}
		for _, id := range s.IDs {
			if int(id) >= rows {
				token := m.Tokenizer.Token(id)
				return fault.Usage(fault.Hint(
					fmt.Errorf("%s: holds the token %q (id %d), and the model has rows for %d", set.Origin(i), token, id, rows),
					"give the model a row for it (resize_token_embeddings of transformers), or take it out of tokenizer_config.json"))
			}
		}
	}
	return nil
}

// fetch gets the files of a model on the hub but for its weights, and adds the commit that
// they are of to its name in the config.
func (m *Model) fetch(ctx context.Context, key string, name *string) error {
	h, err := m.session.openHub()
	if err != nil {
		return err
	}
	path, ref, err := h.model(ctx, *name, hub.ModelConfig)
	if err != nil {
		return fmt.Errorf("%s (%s): %w", key, m.session.Config.Origin(key), err)
	}
	*name, m.dir = ref.String(), path
	m.Name = ref.Repo + " at " + ref.Revision[:12]
	if !strings.HasSuffix(path, ".gguf") {
		m.onHub = ref.String()
	}
	return nil
}

// fetchWeights fetches the weights of a model on the hub, once all else is known to
// be right, and looks at their headers.
func (m *Model) fetchWeights(ctx context.Context) error {
	if m.onHub == "" {
		return nil
	}
	dir, err := folder(ctx, m.onHub, hub.WholeModel, m.session.events)
	if err != nil {
		return err
	}
	if filepath.Clean(dir) != filepath.Clean(m.dir) {
		return fmt.Errorf("%s: the weights lie in %s, and the config in %s", m.onHub, dir, m.dir)
	}
	return fault.Usage(m.checkWeights(false))
}

// checkWeights looks at the headers of the weights. A dry run may do without
// any: it plans a run on a machine that does not hold the model.
func (m *Model) checkWeights(dryRun bool) error {
	if dryRun && !checkpoints.HasWeights(m.dir) {
		m.session.events.warn("%s holds no weights: a run needs them", m.dir)
		return nil
	}
	c, err := model.Check(m.dir)
	if err != nil {
		return err
	}
	warnConfig(m.dir, c.Warnings[len(m.Config.Warnings):], m.session.events)
	m.Config, err = c.Stretch(m.scaling)
	return err
}

// Load reads or makes the weights. Those of a model on the hub are there once a [Run] has
// been opened.
func (m *Model) Load() (*model.Model, error) {
	if m.dir == "" {
		return model.New(m.Config, m.seed), nil
	}
	return m.stretched(load(m.dir, model.Load, Events{})) // its warnings were told when it was opened
}

// LoadToAnswer is [Model.Load] for a model that only answers, in one of the
// [Precisions]. In a dry run without the weights it has random ones, which take the same time.
func (m *Model) LoadToAnswer(precision string) (*model.Model, error) {
	if m.dir != "" && (m.HasWeights() || !m.session.DryRun) {
		return m.stretched(m.parts().loadToAnswer(precision, Events{}))
	}
	loaded, err := model.NewToTrain(m.Config, m.seed, model.Training{LoRA: model.LoRA{From: m.session.Config.LoRA.From}})
	if err == nil && precision == "bf16" {
		loaded.UseHalf()
	}
	return loaded, err
}

// stretched is a model that was read, with its positions stretched.
func (m *Model) stretched(read *model.Model, err error) (*model.Model, error) {
	if err != nil {
		return nil, err
	}
	return read, read.Stretch(m.scaling)
}

// Fingerprint says which model answers, by its files or by how it is made.
func (m *Model) Fingerprint() (string, error) {
	if m.dir == "" {
		return model.FingerprintFresh(m.Config, m.seed)
	}
	return m.parts().fingerprint()
}

// parts are where the model lies that answers.
func (m *Model) parts() parts {
	if from := m.session.Config.LoRA.From; m.adapter == "" {
		return parts{m.dir, from}
	}
	return parts{m.dir, m.adapter}
}

// checkWhole refuses an adapter where a whole model is wanted.
func (m *Model) checkWhole(key string) error {
	if m.adapter == "" {
		return nil
	}
	hint := fmt.Sprintf("`lwtrain export %s DIR` makes a whole one of it", m.adapter)
	if key == "model.path" {
		hint = fmt.Sprintf("model.path=%s lora.from=%s goes on with the adapter", m.dir, m.adapter)
	}
	err := fmt.Errorf("%s: an adapter, want a whole model (%s, %s)", m.adapter, key, m.session.Config.Origin(key))
	return fault.Usage(fault.Hint(err, hint))
}

// importOnce imports a .gguf file, unless the cache has it.
func (s *Session) importOnce(path string) (string, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() { // opening a pipe would wait for ever
		return "", fault.Usage(fmt.Errorf("%s: not a regular file, want a GGUF file", path))
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fault.Usage(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fault.Usage(err)
	}
	dir := filepath.Join(s.Config.Data.CacheDir, "model-"+hex.EncodeToString(h.Sum(nil))[:16])
	if _, err := os.Stat(dir); err == nil { // it appears when it is complete
		err := checkpoints.VerifyModel(dir)
		if err == nil {
			return dir, nil
		}
		s.events.warn("%v: it is imported again", err)
		if !s.DryRun {
			if err := os.RemoveAll(dir); err != nil {
				return "", err
			}
		}
	}
	if s.DryRun {
		temp, err := s.TempDir()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(temp, "model")
	}
	err = convert.FromGGUF(path, dir, s.events.Importing)
	s.events.ended(err)
	if err == nil {
		err = checkpoints.Seal(dir)
	}
	return dir, err
}

// TrainingTemplate is a chat template as training renders it: auto, a shipped name or a
// .jinja file, which is told that a day is today.
func TrainingTemplate(tok *tokenizer.Tokenizer, template string, today model.Date) (*chat.Template, error) {
	c, err := chat.Open(tok, template)
	if err != nil {
		return nil, err
	}
	return c.At(today.Time()), nil
}
