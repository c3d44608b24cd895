package model

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"

	"lwtrain/internal/fault"
	"lwtrain/internal/graph"
	"lwtrain/internal/plainjson"
	"lwtrain/model/families"
)

// ropeKeys is what config.json says of positions.
type ropeKeys struct {
	Theta      *float64        `json:"rope_theta"`
	LocalTheta *float64        `json:"rope_local_base_freq"` // of layers with a window
	Rotary     *float64        `json:"partial_rotary_factor"`
	Scaling    json.RawMessage `json:"rope_scaling"`
	Original   *float64        `json:"original_max_position_embeddings"`
	Parameters json.RawMessage `json:"rope_parameters"` // transformers 5 writes all of these keys into it

	Whole bool `json:"-"` // partial_rotary_factor is null, which means all of each head, whatever it is where nothing is said
}

// ropeObject is one of its two objects.
type ropeObject struct {
	families.RopeScaling
	ropeBase
}

type ropeBase struct {
	Full   json.RawMessage `json:"full_attention"` // where kinds of layers have their own
	Local  json.RawMessage `json:"sliding_attention"`
	Theta  *float64        `json:"rope_theta"`
	Rotary *float64        `json:"partial_rotary_factor"`
}

// read adds what raw says to the object.
func (o *ropeObject) read(key string, raw json.RawMessage) error {
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return nil
	}
	err := plainjson.Unmarshal(raw, &o.RopeScaling)
	if err == nil {
		err = plainjson.Unmarshal(raw, &o.ropeBase)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	o.Type = cmp.Or(o.Type, o.OldType)
	o.OldType = ""
	return nil
}

// ropes are the frequencies of a family's layers, and those of its layers with a window.
func (k ropeKeys) ropes(family *families.Family, c Config) (full, local families.Rope, err error) {
	var old, young ropeObject
	if err := young.read("rope_parameters", k.Parameters); err != nil {
		return full, local, err
	}
	if err := old.read("rope_scaling", k.Scaling); err != nil {
		return full, local, err
	}
	rotary, usual := family.Rotary, cmp.Or(family.Theta, 10000)
	if k.Whole {
		rotary = 1
	}
	setIf(&rotary, k.Rotary)
	if family.LocalTheta == 0 {
		if len(young.Full)+len(young.Local) > 0 {
			return full, local, notImplemented("RoPE parameters by layer type are not implemented for this model_type",
				"rope_parameters has full_attention, want one set for all layers")
		}
		if err := k.twice(old, young); err != nil {
			return full, local, err
		}
		if young.Type == "" {
			young.RopeScaling = old.RopeScaling
		}
		setIf(&rotary, old.Rotary)
		setIf(&rotary, young.Rotary)
		if err := whole(family, rotary); err != nil {
			return full, local, err
		}
		theta := *cmp.Or(young.Theta, old.Theta, k.Theta, &usual)
		setIf(&young.OriginalMax, k.Original)
		if s := &young.RopeScaling; family.Alpha && s.Type == "dynamic" && s.Alpha > 0 {
			d := float64(c.HeadDim)
			theta *= math.Pow(s.Alpha, d/(d-2))
			s.Type = ""
		}
		full, err = c.rope(theta, rotary, young.RopeScaling)
		return full, full, err
	}
	if err := k.named(); err != nil {
		return full, local, err
	}
	global, window := ropeObject{}, ropeObject{}
	if err = global.read("full_attention of rope_parameters", young.Full); err == nil {
		err = global.read("rope_scaling", k.Scaling)
	}
	if err == nil {
		err = window.read("sliding_attention of rope_parameters", young.Local)
	}
	for _, object := range []ropeObject{global, window} {
		if err == nil {
			setIf(&rotary, object.Rotary)
			err = whole(family, rotary)
		}
	}
	if err != nil {
		return full, local, err
	}
	global.Truncate, window.Truncate = nil, nil // transformers looks for it beside the kinds of layers, where it is not
	if full, err = c.rope(*cmp.Or(global.Theta, k.Theta, &usual), rotary, global.RopeScaling); err == nil {
		local, err = c.rope(*cmp.Or(window.Theta, k.LocalTheta, &family.LocalTheta), rotary, window.RopeScaling)
	}
	return full, local, err
}

// whole refuses a share of each head where transformers turns all of it.
func whole(family *families.Family, rotary float64) error {
	if family.Partial || rotary == 1 {
		return nil
	}
	return notImplemented("partial rotary embeddings are not implemented for this model_type, here as in transformers",
		"partial_rotary_factor is %g, want 1", rotary)
}

// named refuses an older name of a scaling's type where transformers looks for its own name alone.
func (k ropeKeys) named() error {
	var s families.RopeScaling
	if json.Unmarshal(k.Scaling, &s) != nil || s.Type != "" || s.OldType == "" || s.OldType == "default" {
		return nil // what is wrong with it is said where it is read
	}
	return fault.Hint(fmt.Errorf("rope_scaling has type (%.40q) and no rope_type, want rope_type", s.OldType),
		"transformers does not look at type for this model_type: write rope_type, or take rope_scaling out")
}

// rope are the frequencies of a base, for a share of each head.
func (c Config) rope(theta, rotary float64, s families.RopeScaling) (families.Rope, error) {
	r := families.Rope{Theta: theta, Dim: int(float64(c.HeadDim) * rotary)}
	switch {
	case r.Dim < 2 || r.Dim > c.HeadDim || r.Dim%2 != 0:
		return r, fmt.Errorf("partial_rotary_factor rotates %d of %d dimensions of a head, want an even number of them", r.Dim, c.HeadDim)
	case !(r.Theta > 1) || math.IsInf(r.Theta, 0):
		return r, fmt.Errorf("rope_theta is %g, want above 1", r.Theta)
	}
	if s.Type == "" || s.Type == "default" {
		return r, nil
	}
	if s.OriginalMax == 0 {
		s.OriginalMax = float64(c.MaxTokens)
	}
	if s.Type == "longrope" && s.Factor == 0 {
		if c.MaxTokens == 0 {
			return r, errors.New("rope_scaling is longrope, and max_position_embeddings is not there, want how long texts may be")
		}
		s.Factor = float64(c.MaxTokens) / s.OriginalMax
	}
	r.Scaling = &s
	return r, c.checkScaling(s, r.Dim/2)
}

// twice refuses what is said of positions once as transformers 5 writes it and once as versions before, and not the same.
func (k ropeKeys) twice(old, young ropeObject) error {
	const hint = "transformers 5 reads rope_parameters, versions before the other keys: take out those that are wrong"
	for _, x := range []struct {
		key        string
		old, young *float64
	}{{"rope_theta", k.Theta, young.Theta}, {"partial_rotary_factor", k.Rotary, young.Rotary}} {
		if x.old != nil && x.young != nil && *x.old != *x.young {
			return fault.Hint(fmt.Errorf("%s is %g, and in rope_parameters it is %g", x.key, *x.old, *x.young), hint)
		}
	}
	if k.says(k.Scaling) && k.says(k.Parameters) && !reflect.DeepEqual(plainScaling(old.RopeScaling), plainScaling(young.RopeScaling)) {
		return fault.Hint(fmt.Errorf("rope_scaling (%s) and rope_parameters (%s) scale RoPE in different ways",
			cmp.Or(old.Type, "default"), cmp.Or(young.Type, "default")), hint)
	}
	return nil
}

func (ropeKeys) says(raw json.RawMessage) bool {
	return len(raw) > 0 && !bytes.Equal(raw, []byte("null"))
}

// plainScaling is a scaling that equals all that do the same.
func plainScaling(s families.RopeScaling) families.RopeScaling {
	if s.Type = cmp.Or(s.Type, "default"); s.Type == "default" {
		return families.RopeScaling{Type: s.Type}
	}
	return s
}

// checkScaling refuses ways to stretch rotary frequencies.
func (c Config) checkScaling(s families.RopeScaling, pairs int) error {
	ordered := s.Factor >= 1 && !math.IsInf(s.Factor, 0) && s.OriginalMax > 0
	switch {
	case s.Type == "linear" && s.Factor >= 1 && !math.IsInf(s.Factor, 0):
		return nil
	case s.Type == "linear":
		return fmt.Errorf("rope_scaling factor is %g, want at least 1", s.Factor)
	case s.Type == "yarn" && !(ordered && s.BetaFast >= 0 && s.BetaSlow >= 0 && s.MScale >= 0 && s.MScaleAllDim >= 0 && s.QueryBeta >= 0):
		return fmt.Errorf("rope_scaling is yarn with factor %g, original_max_position_embeddings %g, beta_fast %g, beta_slow %g, "+
			"want factor >= 1, original_max_position_embeddings > 0, and nothing below 0", s.Factor, s.OriginalMax, s.BetaFast, s.BetaSlow)
	case s.Type == "longrope" && (len(s.ShortFactor) != pairs || len(s.LongFactor) != pairs):
		return fmt.Errorf("short_factor and long_factor of rope_scaling are %d and %d numbers, want %d, one for each rotated pair",
			len(s.ShortFactor), len(s.LongFactor), pairs)
	case s.Type == "longrope" && !(s.OriginalMax > 1 && s.OriginalMax < 1<<31 && s.Factor < 1e9 && positive(s.ShortFactor) &&
		positive(s.LongFactor)):
		return fmt.Errorf("rope_scaling is longrope with original_max_position_embeddings %g, want above 1, and factors above 0",
			s.OriginalMax)
	case s.QueryBeta != 0 && c.Type != "ministral3":
		return notImplemented("transformers does not look at it for this model_type: take it out",
			"llama_4_scaling_beta is %g, want none", s.QueryBeta)
	case s.AttentionFactor != nil && !(*s.AttentionFactor > 0 && *s.AttentionFactor < 1e6):
		return fmt.Errorf("attention_factor is %g, want above 0", *s.AttentionFactor)
	case s.Type == "yarn", s.Type == "longrope":
		return nil
	case s.Type != "llama3":
		hint := "this type of RoPE scaling is not implemented; llama3, linear, yarn and longrope are"
		if c.MaxTokens > 0 {
			hint += fmt.Sprintf(", and without rope_scaling the model has its own positions (max_position_embeddings says %d)", c.MaxTokens)
		}
		return notImplemented(hint, "rope_scaling type is %.80q, want llama3, linear, yarn or longrope", s.Type)
	case !ordered || s.LowFreqFactor <= 0 || s.HighFreqFactor <= s.LowFreqFactor:
		return fmt.Errorf("rope_scaling is llama3 with factor %g, low_freq_factor %g, high_freq_factor %g, "+
			"original_max_position_embeddings %g, want factor >= 1, 0 < low_freq_factor < high_freq_factor, "+
			"original_max_position_embeddings > 0", s.Factor, s.LowFreqFactor, s.HighFreqFactor, s.OriginalMax)
	}
	return nil
}

func positive(factors []float64) bool {
	return !slices.ContainsFunc(factors, func(f float64) bool { return !(f > 1e-6 && f < 1e9) })
}

// long reports whether a text of so many tokens has the frequencies of long ones.
func (c Config) long(tokens int) bool {
	s := c.Rope.Scaling
	return s != nil && s.Type == "longrope" && tokens > int(s.OriginalMax)
}

// rotation is how heads are turned by some frequencies.
func (c Config) rotation(r families.Rope) graph.Rotation {
	out := graph.Rotation{Freqs: floats(r.Frequencies()), Long: floats(r.LongFrequencies()), Interleaved: c.Interleaved,
		Factor: float32(r.Multiplier())}
	if s := r.Scaling; s != nil {
		out.Beta, out.Original = s.QueryBeta, int(s.OriginalMax)
	}
	return out
}

func floats(of []float64) (out []float32) {
	for _, v := range of {
		out = append(out, float32(v))
	}
	return out
}

// Stretch is the config of the same model for longer texts: how has keys of rope_scaling, of
// which rope_type (linear, yarn, llama3, or default: positions go on as they are) and factor must be there. Texts may then be factor
// times as long, and config.json says so. Without keys it is the config as it is.
func (c Config) Stretch(how map[string]any) (Config, error) {
	if len(how) == 0 {
		return c, nil
	}
	if err := checkStretch(how); err != nil {
		return c, err
	}
	family, _ := families.Find(c.Type)
	asItIs := how["rope_type"] == "default" || how["type"] == "default"
	switch {
	case family.Twin != "" && !asItIs:
		return c, notImplemented("rope_type: default lets its positions go on as they are; or take the model in transformers' own form",
			"model_type %s has no place for rope_scaling", c.Type)
	case c.MaxTokens == 0:
		return c, fmt.Errorf("config.json does not say max_position_embeddings, want what rope_scaling is a multiple of")
	case c.Rope.Scaling != nil:
		return c, fmt.Errorf("the model has RoPE scaling of its own (%s, up to %d), want one without", c.Rope.Scaling.Type,
			c.MaxTokens)
	}
	scaling := maps.Clone(how)
	if scaling["rope_type"] == nil {
		scaling["rope_type"] = scaling["type"]
	}
	delete(scaling, "type")
	usual := map[string]any{}
	if scaling["rope_type"] != "linear" {
		usual["original_max_position_embeddings"] = c.MaxTokens
	}
	if scaling["rope_type"] == "llama3" {
		usual["low_freq_factor"], usual["high_freq_factor"] = 1.0, 4.0
	}
	for key, value := range usual {
		if scaling[key] == nil {
			scaling[key] = value
		}
	}
	text, err := textOf(c.file)
	if err != nil {
		return c, err
	}
	if text == nil {
		text = maps.Clone(c.file)
	}
	factor, _ := number(scaling["factor"])
	longest := "max_position_embeddings"
	if i := slices.IndexFunc(family.Keys, func(key [2]string) bool { return key[1] == longest }); i >= 0 {
		longest = family.Keys[i][0]
	}
	text[longest], _ = json.Marshal(int(factor * float64(c.MaxTokens)))
	if !asItIs {
		if err := putScaling(text, scaling); err != nil {
			return c, err
		}
	}
	file := text
	if _, packed := c.file[textKey]; packed {
		file = maps.Clone(c.file)
		if file[textKey], err = json.Marshal(text); err != nil {
			return c, err
		}
	}
	raw, err := json.Marshal(file)
	if err != nil {
		return c, err
	}
	out, err := ParseConfig(raw)
	if err != nil {
		return c, err
	}
	c.Rope, c.LocalRope, c.MaxTokens, c.file = out.Rope, out.LocalRope, out.MaxTokens, file
	return c, nil
}

// putScaling puts what stretches positions where the file has it: into rope_parameters, of the layers without a window where
// kinds have their own, or else into rope_scaling.
func putScaling(text map[string]json.RawMessage, scaling map[string]any) (err error) {
	put := func(in map[string]json.RawMessage, key string) error {
		object := map[string]any{}
		if len(in[key]) > 0 {
			if err := plainjson.Unmarshal(in[key], &object); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
		}
		if object == nil { // it was null
			object = map[string]any{}
		}
		maps.Copy(object, scaling)
		in[key], err = json.Marshal(object)
		return err
	}
	var young map[string]json.RawMessage
	if raw := text["rope_parameters"]; len(raw) > 0 {
		if err := plainjson.Unmarshal(raw, &young); err != nil {
			return fmt.Errorf("rope_parameters: %w", err)
		}
	}
	switch {
	case young == nil:
		return put(text, "rope_scaling")
	case young["full_attention"] == nil:
		return put(text, "rope_parameters")
	}
	if err := put(young, "full_attention"); err != nil {
		return err
	}
	text["rope_parameters"], err = json.Marshal(young)
	return err
}

// checkStretch says what is wrong with what [Config.Stretch] is asked.
func checkStretch(how map[string]any) error {
	kind := how["rope_type"]
	if kind == nil {
		kind = how["type"]
	}
	name, _ := kind.(string)
	known, ok := stretches[name]
	if !ok {
		return fmt.Errorf("rope_type is %s, want linear, yarn, llama3 or default", shown(kind))
	}
	if f, ok := number(how["factor"]); !ok || !(f > 1 && f <= 1024) {
		return fmt.Errorf("factor is %s, want by how much texts may be longer, above 1 and up to 1024", shown(how["factor"]))
	}
	known = append([]string{"rope_type", "type", "factor"}, known...)
	for _, key := range slices.Sorted(maps.Keys(how)) {
		if !slices.Contains(known, key) {
			return fmt.Errorf("%.40q is no key of %s, want of %s", key, name, strings.Join(known, ", "))
		}
	}
	return nil
}

// stretches are the keys that each way to stretch positions has beside rope_type and factor.
var stretches = map[string][]string{
	"default": nil,
	"linear":  nil,
	"llama3":  {"low_freq_factor", "high_freq_factor", "original_max_position_embeddings"},
	"yarn": {"beta_fast", "beta_slow", "truncate", "mscale", "mscale_all_dim", "attention_factor", "llama_4_scaling_beta",
		"original_max_position_embeddings"},
}

// shown is a value as an error shows it.
func shown(v any) string {
	if v == nil {
		return "missing"
	}
	return fmt.Sprintf("%.40q", fmt.Sprint(v))
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case int:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

// Stretch stretches the positions of a model: [Config.Stretch].
func (m *Model) Stretch(how map[string]any) (err error) {
	m.Config, err = m.Config.Stretch(how)
	return err
}
