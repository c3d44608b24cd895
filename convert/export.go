package convert

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"

	"lwtrain/checkpoints"
	"lwtrain/internal/fault"
	"lwtrain/internal/gguf"
	"lwtrain/model"
	"lwtrain/model/families"
	"lwtrain/tokenizer"
)

// Source is a model that is to be written as a GGUF file.
type Source struct {
	Name      string       // to show
	Config    model.Config // as its weights make it
	Weights   *checkpoints.Weights
	Tokenizer *tokenizer.Tokenizer
	Template  string  // its chat template; "": none
	Stops     []int32 // the tokens that end an answer, the tokenizer's own first
	Warn      func(format string, args ...any)
}

// ToGGUF returns what writes a model as a GGUF file whose matrices are of one of
// [Precisions], as llama.cpp has its family: with tokenizer and chat template. It refuses by
// name, before anything is written, whatever a GGUF file has no place for. progress, which may
// be nil, is told the bytes of tensors written.
func ToGGUF(s *Source, precision string) (write func(w io.Writer, progress func(done, total int64)) error, err error) {
	mix, ok := mixOf(precision)
	if !ok {
		return nil, fmt.Errorf("precision is %q, want %s", precision, strings.Join(Precisions(), ", "))
	}
	family, _ := families.Find(s.Config.Type)
	if family.GGUF == nil {
		return nil, fault.Hint(fmt.Errorf("the model is of the family %s, whose GGUF files are not written", family.Type),
			"export it as a folder in Hugging Face's layout (--format hf)")
	}
	e := &exported{Source: s, family: family, form: family.GGUF}
	if err := e.refuse(); err != nil {
		return nil, err
	}
	if parts := s.Config.Carried(s.Weights); len(parts) > 0 {
		s.Warn("%d tensors of other parts than the language model are left out, %s the first", len(parts), parts[0].Name)
	}
	e.describe(mix)
	if err := e.addTokenizer(); err != nil {
		return nil, err
	}
	tensors := e.tensors(mix)
	return func(w io.Writer, progress func(done, total int64)) error {
		return gguf.Write(w, e.metadata, tensors, progress)
	}, nil
}

// exported is a model in the terms of GGUF files.
type exported struct {
	*Source
	family   *families.Family
	form     *families.GGUF
	metadata []gguf.Entry
}

// refuse says what of the model GGUF files have no place for.
func (e *exported) refuse() error {
	c, form := e.Config, e.form
	var what string
	switch s := c.Rope.Scaling; {
	case !e.family.Partial && c.Rope.Dim != c.HeadDim:
		what = fmt.Sprintf("partial rotary embeddings (%d of %d dimensions of a head)", c.Rope.Dim, c.HeadDim)
	case !e.scales(s):
		what = "rope scaling of the type " + s.Type
	case s == nil && form.YarnKeys:
		what = "no rope scaling"
	case form.WindowLayers > 0 && c.Layers != form.WindowLayers && slices.ContainsFunc(c.Attention, windowed):
		what = fmt.Sprintf("sliding windows in %d layers and not in %d", c.Layers, form.WindowLayers)
	case form.WindowLayers > 0 && c.Layers == form.WindowLayers && !slices.ContainsFunc(c.Attention, windowed):
		what = fmt.Sprintf("%d layers without a sliding window", c.Layers)
	case !slices.Equal(e.attends(), e.usual()):
		what = "layers that attend in another way than llama.cpp takes for granted"
	case form.OneBase && c.Rope.Theta != c.LocalRope.Theta:
		what = fmt.Sprintf("a RoPE base of %g, and of %g in sliding-window layers", c.Rope.Theta, c.LocalRope.Theta)
	case form.LocalTheta != 0 && (c.LocalRope.Theta != form.LocalTheta || c.LocalRope.Scaling != nil):
		what = fmt.Sprintf("a RoPE base of %g in sliding-window layers", c.LocalRope.Theta)
	case len(form.Scales) == 0 && !e.unscaled():
		what = fmt.Sprintf("multipliers (%+v)", c.Scales)
	case c.GELU != (e.family.Act == model.GELU):
		what = "another activation"
	case e.stateless() != "":
		what = e.stateless()
	case form.Square && c.Heads*c.HeadDim != c.Hidden:
		what = fmt.Sprintf("%d heads of %d values in hidden states of %d", c.Heads, c.HeadDim, c.Hidden)
	case form.Unbiased && (c.QKVBias || c.OutBias):
		what = "biases of attention"
	case form.Tied && !c.Tied:
		what = "a head of its own"
	case form.Untied && c.Tied:
		what = "the embedding table for its head"
	case c.MaxTokens < 1:
		return fmt.Errorf("config.json has no %s, which a GGUF file must say", families.MaxTokensKey.Config)
	}
	if what == "" {
		return nil
	}
	return fault.Hint(fmt.Errorf("the model has %s, for which GGUF files of %s have no place", what, form.Architecture),
		"export it as a folder in Hugging Face's layout (--format hf)")
}

// scales reports whether the files have a place for a scaling of positions.
func (e *exported) scales(s *families.RopeScaling) bool {
	form := e.form
	if s == nil {
		return true
	}
	switch s.Type {
	case "linear":
		return true
	case "llama3":
		return form.FactorsOfRope
	case "longrope":
		return form.LongFactors
	case "yarn":
		fast, slow := s.Betas()
		return form.Yarn && (s.Truncate == nil || *s.Truncate) && (form.YarnKeys || fast == 32 && slow == 1 && s.QueryBeta == 0)
	}
	return false
}

func windowed(a families.Attention) bool { return a.Window > 0 }

// attends is how the layers attend to texts of the length that the model knows. A window that the file says may be longer.
func (e *exported) attends() []families.Attention {
	if e.form.Window {
		return e.Config.Attention
	}
	out := slices.Clone(e.Config.Attention)
	for i, a := range out {
		if a.Window >= e.Config.MaxTokens {
			out[i].Window = 0
		}
	}
	return out
}

// usual is how llama.cpp has them attend.
func (e *exported) usual() []families.Attention {
	p := e.form.Pattern
	for _, a := range e.attends() {
		if a.Window > 0 && e.form.Window {
			p.Window = &a.Window
		}
	}
	layers, err := e.family.Attend(p, e.Config.Layers)
	if err != nil {
		return nil
	}
	return layers
}

// unscaled reports whether nothing is multiplied but what every model of the family has multiplied.
func (e *exported) unscaled() bool {
	usual, err := e.family.Scale(families.ScaleKeys{}, e.Config.Dims)
	return err == nil && usual == e.Config.Scales
}

func (e *exported) add(key string, value any) {
	e.metadata = append(e.metadata, gguf.Entry{Key: key, Value: value})
}

func (e *exported) size(key string, v int)       { e.add(e.form.Architecture+"."+key, uint32(v)) }
func (e *exported) number(key string, v float64) { e.add(e.form.Architecture+"."+key, float32(v)) }

// describe adds the keys of the architecture and its sizes.
func (e *exported) describe(m mix) {
	c := e.Config
	e.add("general.architecture", e.form.Architecture)
	e.add("general.type", "model")
	e.add("general.name", e.Name)
	e.add("general.file_type", m.fileType)
	if m.quantised() {
		e.add("general.quantization_version", uint32(2))
	}
	size, number := e.size, e.number
	size(families.VocabKey, c.Vocab)
	size(families.MaxTokensKey.GGUF, c.MaxTokens)
	size(families.HiddenKey.GGUF, c.Hidden)
	size(families.LayersKey.GGUF, c.Layers)
	size(families.FFNKey.GGUF, c.FFN)
	size(families.HeadsKey.GGUF, c.Heads)
	e.describeStates()
	size(families.HeadDimKey.GGUF, c.HeadDim)
	size(families.ValueDimKey, c.HeadDim)
	number(e.family.NormEps().GGUF, c.NormEps)
	number(families.RopeThetaKey.GGUF, c.Rope.Theta)
	size(families.RotaryDimKey, c.Rope.Dim)
	for _, s := range e.form.Scales {
		number(s.GGUF, s.Of(c.Scales))
	}
	if e.form.Window {
		if i := slices.IndexFunc(c.Attention, windowed); i >= 0 {
			size(families.WindowKey, c.Attention[i].Window)
		}
	}
	switch s := c.Rope.Scaling; {
	case s == nil:
	case s.Type == "linear":
		e.add(e.form.Architecture+"."+families.RopeScalingKey, s.Type)
		number(families.RopeFactorKey, s.Factor)
	case s.Type == "yarn":
		e.add(e.form.Architecture+"."+families.RopeScalingKey, s.Type)
		number(families.RopeFactorKey, s.Factor)
		size(families.RopeContextKey, int(min(s.OriginalMax, math.MaxInt32)))
		number(families.AttentionFactorKey, c.Rope.Multiplier()/s.MScaleOf(1))
		if e.form.YarnKeys {
			fast, slow := s.Betas()
			number(families.YarnFastKey, fast)
			number(families.YarnSlowKey, slow)
			number(families.QueryBetaKey, s.QueryBeta)
		}
	default:
		size(families.RopeContextKey, int(min(s.OriginalMax, math.MaxInt32)))
		if s.Type == "longrope" {
			number(families.AttentionFactorKey, c.Rope.Multiplier())
		}
	}
}

// tensors lists the tensors under the names of GGUF files. Vectors are float32.
func (e *exported) tensors(m mix) []gguf.Stream {
	var out []gguf.Stream
	others := map[string]int{} // matrices of a type that takes the place of another
	matrices := 0
	from := modelFolder{e.Config, e.family, e.Weights}
	for _, p := range e.Config.Layout() {
		for i, of := range e.form.Names.Tensors(p) {
			read := from.reads(p, of)
			if e.form.Interleaved && turned(p.Role, i) {
				read = rows(read, width(p), func(row int) int { return halves(row, e.Config.HeadDim) })
			}
			read = converted(e.Config.Dims, p, i, shifted(read, e.family.OffsetOf(p)), false)
			typ := "F32"
			if !of.Vector() {
				wanted := m.wanted(e.Config.Dims, p, of)
				if typ = fitting(wanted, p.Cols); typ != wanted {
					others[typ]++
				}
				matrices++
			}
			out = append(out, gguf.Stream{Name: of.Name, Type: typ, Shape: shapeOf(of), Read: read})
		}
	}
	e.warnTypes(m, others, matrices)
	factors := func(name string, of []float64) {
		out = append(out, gguf.Stream{Name: name, Type: "F32", Shape: []int{len(of)},
			Read: func(offset int, dst []float32) error {
				for i := range dst {
					dst[i] = float32(of[offset+i])
				}
				return nil
			}})
	}
	switch s := e.Config.Rope.Scaling; {
	case s == nil:
	case s.Type == "llama3":
		factors(families.RopeFactors, e.Config.Rope.Factors())
	case s.Type == "longrope":
		factors(families.LongFactors, s.LongFactor)
		factors(families.ShortFactors, s.ShortFactor)
	}
	return out
}

// warnTypes says how many of the matrices have another type than they should.
func (e *exported) warnTypes(m mix, others map[string]int, matrices int) {
	var names []string
	total := 0
	for _, typ := range slices.Sorted(maps.Keys(others)) {
		names = append(names, fmt.Sprintf("%d are %s", others[typ], typ))
		total += others[typ]
	}
	if total > 0 {
		e.Warn("of %d matrices %d have rows of other lengths than %s stores: %s", matrices, total, m.name, strings.Join(names, ", "))
	}
}

// addTokenizer adds the tokenizer and the chat template.
func (e *exported) addTokenizer() error {
	parts, err := e.Tokenizer.Parts()
	if err != nil {
		return err
	}
	tokens, types, err := e.tokens(&parts)
	if err != nil {
		return err
	}
	if parts.Characters {
		pieces, err := e.Tokenizer.Pieces()
		if err != nil {
			return err
		}
		e.addPieces(pieces, tokens, types)
	} else {
		pre, err := preOf(&parts)
		if err != nil {
			return err
		}
		e.add("tokenizer.ggml.model", "gpt2")
		e.add("tokenizer.ggml.pre", pre)
		e.add("tokenizer.ggml.tokens", tokens)
		e.add("tokenizer.ggml.token_type", types)
		e.add("tokenizer.ggml.merges", parts.Merges)
	}
	if err := e.addSpecial(&parts); err != nil {
		return err
	}
	if e.Template != "" {
		e.add("tokenizer.chat_template", e.Template)
	}
	return nil
}

// addPieces adds the tokens of a SentencePiece model.
func (e *exported) addPieces(p *tokenizer.Pieces, tokens []string, types []int32) {
	scores := make([]float32, len(tokens))
	for id := range scores {
		scores[id] = -1e9
		if id < len(p.List) {
			scores[id] = p.List[id].Score
			if types[id] != tokenUnused {
				types[id] = int32(p.List[id].Kind)
			}
		}
	}
	e.add("tokenizer.ggml.model", "llama")
	e.add("tokenizer.ggml.pre", "default")
	e.add("tokenizer.ggml.tokens", tokens)
	e.add("tokenizer.ggml.scores", scores)
	e.add("tokenizer.ggml.token_type", types)
	e.add("tokenizer.ggml.add_space_prefix", p.Prefix)
}

// tokens lists a token for each row of the embeddings, and its type.
func (e *exported) tokens(parts *tokenizer.Parts) (tokens []string, types []int32, err error) {
	rows := e.Config.Vocab
	foreign := e.Tokenizer.Foreign(rows)
	if n := len(parts.Tokens); n-len(foreign) > rows {
		return nil, nil, fmt.Errorf("the tokenizer has ids up to %d, and vocab_size of config.json is %d", n-1, rows)
	}
	if len(foreign) > 0 {
		e.Warn("%d tokens without a row in the model are left out, %.40q the first", len(foreign), foreign[0])
	}
	tokens, types = make([]string, rows), make([]int32, rows)
	for id := range tokens {
		if id < len(parts.Tokens) && parts.Tokens[id] != "" {
			tokens[id], types[id] = parts.Tokens[id], tokenNormal
		} else {
			tokens[id], types[id] = e.unused(id), tokenUnused
		}
	}
	strip := 0
	for _, a := range parts.Added {
		if a.ID >= rows {
			continue
		}
		types[a.ID] = tokenUser
		if a.Special {
			types[a.ID] = tokenControl
		}
		if !a.Plain {
			strip++
		}
	}
	if strip > 0 {
		e.Warn("%d added tokens take the white space around them or stand for whole words alone, for which GGUF files have no place: "+
			"there they are found wherever they stand", strip)
	}
	return tokens, types, nil
}

// unused is a name for a row without a token, which no token has.
func (e *exported) unused(id int) string {
	name := fmt.Sprintf("[PAD%d]", id)
	for {
		if _, taken := e.Tokenizer.ID(name); !taken {
			return name
		}
		name += "]"
	}
}

// addSpecial adds the tokens with a meaning, and what is put around a text.
func (e *exported) addSpecial(parts *tokenizer.Parts) error {
	if len(e.Stops) == 0 {
		return fault.Hint(fmt.Errorf("no token ends a text, and a GGUF file must say which does"),
			"name it: eos_token in tokenizer_config.json, or eos_token_id in generation_config.json")
	}
	ids := map[string]int32{}
	for i, key := range []string{"eos", "eot", "eom"} {
		if i < len(e.Stops) {
			ids[key] = e.Stops[i]
		}
	}
	if n := len(e.Stops); n > 3 {
		e.Warn("%d tokens end an answer, and a GGUF file names three: %q does not end one there", n, e.Tokenizer.Token(e.Stops[3]))
	}
	for key, name := range map[string]string{"bos": "bos_token", "unknown": "unk_token", "padding": "pad_token"} {
		if id, ok := e.Tokenizer.ID(e.Tokenizer.SpecialToken(name)); ok {
			ids[key] = id
		}
	}
	addBOS, addEOS := len(parts.Before) == 1, len(parts.After) > 0
	if addBOS {
		ids["bos"] = parts.Before[0]
	}
	if len(parts.Before) > 1 {
		var names []string
		for _, id := range parts.Before {
			names = append(names, e.Tokenizer.Token(id))
		}
		e.Warn("the tokenizer puts %s before a text, and from a GGUF file one token at most is put there: none is, and a prompt without "+
			"a chat template must begin with them", strings.Join(names, ""))
	}
	if addEOS && !slices.Equal(parts.After, e.Stops[:1]) {
		return fmt.Errorf("the tokenizer puts %d tokens behind a text, the first %q, and a GGUF file knows only the one that ends a text",
			len(parts.After), e.Tokenizer.Token(parts.After[0]))
	}
	for _, key := range []string{"bos", "eos", "eot", "eom", "unknown", "padding"} {
		if id, ok := ids[key]; ok && int(id) < e.Config.Vocab {
			e.add("tokenizer.ggml."+key+"_token_id", uint32(id))
		}
	}
	e.add("tokenizer.ggml.add_bos_token", addBOS)
	if addEOS {
		e.add("tokenizer.ggml.add_eos_token", true)
	}
	return nil
}
