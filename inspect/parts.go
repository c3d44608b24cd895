package inspect

import (
	"strings"

	"lwtrain/model/families"
)

// partsOf counts the values of a decoder by what they are in.
func partsOf(d families.Dims) *Parts {
	p := &Parts{}
	for _, of := range d.Layout() {
		rows, cols := of.Size()
		n := int64(rows) * int64(cols)
		p.Total += n
		*map[families.Role]*int64{
			families.Embed: &p.Embedding, families.Head: &p.Head,
			families.QKV: &p.Attention, families.QKVBias: &p.Attention, families.Out: &p.Attention, families.OutBias: &p.Attention,
			families.In: &p.Attention, families.Gates: &p.Attention, families.Taps: &p.Attention, families.ALog: &p.Attention,
			families.DtBias: &p.Attention, families.ReadWeight: &p.Norms, families.LinearOut: &p.Attention,
			families.GateUp: &p.MLP, families.Down: &p.MLP,
			families.AttnNorm: &p.Norms, families.QKNorm: &p.Norms, families.AttnAfterNorm: &p.Norms,
			families.FFNNorm: &p.Norms, families.FFNAfterNorm: &p.Norms, families.Norm: &p.Norms,
		}[of.Role] += n
	}
	return p
}

// partsByName counts the values of tensors by what their names are like, the first that is found.
func partsByName(tensors []Tensor) *Parts {
	p := &Parts{}
	for _, t := range tensors {
		into, name := &p.Other, "."+strings.ToLower(t.Name)
		for _, part := range []struct {
			into  *int64
			names []string
		}{
			{&p.Norms, []string{"norm", ".ln_", ".ln1", ".ln2"}},
			{&p.Head, []string{"lm_head", ".output.weight", "output_layer", "embed_out"}},
			{&p.Embedding, []string{"embed", "token_embd", ".wte", ".wpe"}},
			{&p.Attention, []string{"attn", "attention", "q_proj", "k_proj", "v_proj", "o_proj"}},
			{&p.MLP, []string{"mlp", "ffn", "feed_forward", "expert", "gate_proj", "up_proj", "down_proj"}},
		} {
			if containsAny(name, part.names) {
				into = part.into
				break
			}
		}
		*into += t.values()
		p.Total += t.values()
	}
	return p
}

func containsAny(text string, parts []string) bool {
	for _, part := range parts {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}
