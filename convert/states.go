package convert

import (
	"fmt"
	"math"
	"slices"

	"lwtrain/internal/gguf"
	"lwtrain/model/families"
)

// Layers that carry a state in the place of attention: which they are, their sizes, and how GGUF files have their weights.

// describeStates adds what files say of them.
func (e *exported) describeStates() {
	c := e.Config
	switch e.family.Recurrent {
	case families.Convolution:
		heads := make([]int32, c.Layers)
		for i := range heads {
			if !c.Is(i) {
				heads[i] = int32(c.KVHeads)
			}
		}
		e.add(e.form.Architecture+"."+families.KVHeadsKey.GGUF, heads)
		e.size(families.ConvTapsKey, c.Taps)
		return
	case families.LinearAttention:
		e.size(families.DeltaTapsKey, c.Taps)
		e.size(families.DeltaDimKey, c.KeyDim)
		e.size(families.DeltaKeysKey, c.Keys)
		e.size(families.DeltaValuesKey, c.Values)
		e.size(families.DeltaWidthKey, c.Values*c.ValueDim)
		e.add(e.form.Architecture+"."+families.RecurrentKey, c.At)
		// Readers from before that key know the layers by this one, and take 4 where it is not there.
		if every := slices.Index(c.At, false) + 1; slices.Equal(c.At, allBut(every, c.Layers)) {
			e.size(families.IntervalKey, every)
		}
		e.add(e.form.Architecture+"."+families.SectionsKey, families.Sections)
	}
	e.size(families.KVHeadsKey.GGUF, c.KVHeads)
}

// allBut are layers of which all carry a state but one of so many, the last of them.
func allBut(every, layers int) []bool {
	at := make([]bool, layers)
	for i := range at {
		at[i] = (i+1)%every != 0
	}
	return at
}

// leastHead: llama.cpp stops where heads have fewer values than families.Sections together.
const leastHead = 32

// stateless says what of such layers files have no place for; "": nothing.
func (e *exported) stateless() string {
	c := e.Config
	switch {
	case e.family.Recurrent == "":
	case !slices.Contains(c.At, false):
		return "no layer that attends"
	case c.Taps < 2:
		return "convolutions of one token"
	case c.KeyDim != c.ValueDim:
		return fmt.Sprintf("heads of %d values for keys and of %d for values in gated delta rule layers", c.KeyDim, c.ValueDim)
	case e.family.Recurrent == families.LinearAttention && c.HeadDim < leastHead:
		return fmt.Sprintf("heads of %d values", c.HeadDim)
	}
	return ""
}

// readStates reads what describeStates adds.
func (a *architecture) readStates(g *gguf.File, name string) error {
	const most = 1 << 12
	size := func(key string) (int, error) { return g.Int(name+"."+key, 1, 0, most) }
	var err error
	if a.family.Recurrent == families.Convolution {
		if a.Taps, err = size(families.ConvTapsKey); err != nil {
			return err
		}
		a.more["conv_L_cache"] = a.Taps
		return a.readHeads(g, name+"."+families.KVHeadsKey.GGUF)
	}
	next, err := g.Int(name+"."+families.NextKey, 0, 0, min(1, a.Layers-1))
	if err != nil {
		return err
	}
	if a.next = next > 0; a.next {
		a.Layers--
		a.more["mtp_num_hidden_layers"] = next
	}
	for _, s := range []struct {
		into        *int
		key, config string
	}{
		{&a.Taps, families.DeltaTapsKey, "linear_conv_kernel_dim"}, {&a.KeyDim, families.DeltaDimKey, "linear_key_head_dim"},
		{&a.Keys, families.DeltaKeysKey, "linear_num_key_heads"}, {&a.Values, families.DeltaValuesKey, "linear_num_value_heads"},
	} {
		if *s.into, err = size(s.key); err != nil {
			return err
		}
		a.more[s.config] = *s.into
	}
	a.ValueDim = a.KeyDim
	a.more["linear_value_head_dim"] = a.ValueDim
	width, err := g.Int(name+"."+families.DeltaWidthKey, 1, 0, math.MaxInt32)
	switch {
	case err != nil:
		return err
	case a.Values%a.Keys != 0 || width != a.Values*a.ValueDim:
		return fmt.Errorf("%d heads of %d values, %d together, and %d heads of keys in gated delta rule layers, want a multiple, and %d",
			a.Values, a.ValueDim, width, a.Keys, a.Values*a.ValueDim)
	}
	if g.Values[name+"."+families.SectionsKey] != nil {
		have, err := g.Ints(name+"."+families.SectionsKey, len(families.Sections), 0, most)
		if err != nil {
			return err
		}
		for i, n := range families.Sections {
			if have[i] != int(n) {
				return fmt.Errorf("%s.%s is %d, want %d", name, families.SectionsKey, have, families.Sections)
			}
		}
	}
	a.At = make([]bool, a.Layers)
	if g.Values[name+"."+families.RecurrentKey] == nil {
		every, err := g.Int(name+"."+families.IntervalKey, 1, 4, maxLayers)
		if err == nil {
			a.At = allBut(every, a.Layers)
		}
		return err
	}
	kinds, err := g.Ints(name+"."+families.RecurrentKey, a.Layers+next, 0, 1)
	for i := 0; i < a.Layers && err == nil; i++ {
		a.At[i] = kinds[i] == 1
	}
	return err
}

// readHeads finds by the numbers of key/value heads of the layers which attend: those that have some.
func (a *architecture) readHeads(g *gguf.File, key string) error {
	a.At = make([]bool, a.Layers)
	if _, list := g.Values[key].(gguf.Numbers); !list {
		var err error
		a.KVHeads, err = g.Int(key, 1, a.Heads, 1<<20)
		return err
	}
	heads, err := g.Ints(key, a.Layers, 0, 1<<20)
	if err != nil {
		return err
	}
	if a.KVHeads = slices.Max(heads); a.KVHeads == 0 {
		return fmt.Errorf("%s is 0 for all layers, want one that attends", key)
	}
	for i, n := range heads {
		if a.At[i] = n == 0; n != 0 && n != a.KVHeads {
			return fmt.Errorf("%s is %d for layer %d and %d for another one, want one number", key, n, i, a.KVHeads)
		}
	}
	return nil
}

// kinds is layer_types of config.json.
func (a *architecture) kinds() []string {
	out := make([]string, a.Layers)
	for i := range out {
		if out[i] = families.FullAttention; a.Is(i) {
			out[i] = a.family.Recurrent
		}
	}
	return out
}

// converted reads part i of a parameter of such a layer as GGUF files have it, where read reads it as Hugging Face's
// have it; back, the other way. What rates of forgetting are multiplied by is there, not its logarithm. And where
// several heads of values belong to a head of keys, they are in another order: llama.cpp repeats all heads of keys one
// after the other, transformers each of them.
func converted(d families.Dims, p families.Parameter, i int, read reading, back bool) reading {
	switch {
	case p.Role == families.ALog && back:
		read = mapped(read, logRate)
	case p.Role == families.ALog:
		read = mapped(read, rate)
	}
	if d.Values == d.Keys {
		return read
	}
	columns, each := d.Keys, d.Values/d.Keys // of Hugging Face's order, as a matrix whose transpose is GGUF's
	if back {
		columns, each = each, columns
	}
	spread := func(first, size int) func(int) int {
		return func(row int) int {
			if row < first {
				return row
			}
			head, at := (row-first)/size, (row-first)%size
			return first + (head%columns*each+head/columns)*size + at
		}
	}
	switch p.Role {
	case families.In:
		return rows(read, p.Cols, spread(2*d.Keys*d.KeyDim, d.ValueDim))
	case families.Taps:
		return rows(read, p.Taps, spread(2*d.Keys*d.KeyDim, d.ValueDim))
	case families.Gates:
		if i == 0 {
			return rows(read, p.Cols, spread(0, d.ValueDim))
		}
		return rows(read, p.Cols, spread(0, 1))
	case families.ALog, families.DtBias:
		return rows(read, 1, spread(0, 1))
	case families.LinearOut:
		return columnsOf(read, p.Cols, spread(0, d.ValueDim))
	}
	return read
}

// mapped reads values that a function makes of others.
func mapped(read reading, of func(v float32) (float32, error)) reading {
	return func(offset int, dst []float32) error {
		err := read(offset, dst)
		for i := 0; i < len(dst) && err == nil; i++ {
			if dst[i], err = of(dst[i]); err != nil {
				err = fmt.Errorf("value %d is %w", offset+i, err)
			}
		}
		return err
	}
}

func rate(log float32) (float32, error) { return float32(-math.Exp(float64(log))), nil }

func logRate(rate float32) (float32, error) {
	if !(rate < 0) {
		return 0, fmt.Errorf("%g, want a number below 0", rate)
	}
	return float32(math.Log(-float64(rate))), nil
}
