package families

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEveryParameterHasNames: each parameter that a family's decoder has is stored
// whole, under names that no other has; and a GGUF file cuts it as Hugging Face's do, or
// finer.
func TestEveryParameterHasNames(t *testing.T) {
	for _, f := range families {
		t.Run(f.Type, func(t *testing.T) {
			d := Dims{Hidden: 8, FFN: 12, Layers: 2, Heads: 4, KVHeads: 2, HeadDim: 2, Vocab: 9,
				QKVBias: true, OutBias: f.OutBias, QKNorm: f.QKNorm, WideNorm: f.WideNorm, BranchNorms: f.BranchNorms,
				PostNorms: f.PostNorms, Parallel: f.Parallel, Gated: f.Gated}
			if f.Recurrent != "" {
				d.Recurrence = Recurrence{Taps: 3, At: []bool{true, false}}
			}
			if f.Recurrent == LinearAttention {
				d.Keys, d.Values, d.KeyDim, d.ValueDim = 2, 4, 3, 5
			}
			seen := map[string]bool{}
			for _, p := range d.Layout() {
				tensors, total := f.Names.Tensors(p), 0
				for _, x := range tensors {
					if x.Row != total || seen[x.Name] {
						t.Errorf("%s: tensor %s begins at row %d, want %d, and is there once", p, x.Name, x.Row, total)
					}
					seen[x.Name] = true
					total += x.Rows()
				}
				rows, cols := p.Size()
				if p.Cols == 0 {
					rows, cols = cols, rows
				}
				if total != rows {
					t.Errorf("%s has %d rows in files, want %d of %d", p, total, rows, cols)
				}
				if f.GGUF == nil {
					continue
				}
				if n := len(f.GGUF.Names.Tensors(p)); n != len(tensors) && n != len(p.Parts) {
					t.Errorf("%s is %d tensors in GGUF, want %d or its %d parts", p, n, len(tensors), len(p.Parts))
				}
			}
		})
	}
}

// TestNamesAreThoseOfGGUF holds the names of GGUF files against those of the package gguf, by the names of
// Hugging Face's files.
func TestNamesAreThoseOfGGUF(t *testing.T) {
	raw, err := os.ReadFile("testdata/gguf_names.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden map[string]map[string]string
	if err := json.Unmarshal(raw, &golden); err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GGUF == nil {
			continue
		}
		d := Dims{Hidden: 8, FFN: 12, Layers: 2, Heads: 4, KVHeads: 2, HeadDim: 2, Vocab: 9, QKVBias: f.QKVBias, QKNorm: f.QKNorm,
			WideNorm: f.WideNorm, BranchNorms: f.BranchNorms, PostNorms: f.PostNorms, Parallel: f.Parallel, Tied: f.GGUF.Tied}
		layout := d.Layout()
		if f.Recurrent != "" {
			d.Recurrence = Recurrence{Taps: 3, At: []bool{false, true}}
			if f.Recurrent == LinearAttention {
				d.Keys, d.Values, d.KeyDim, d.ValueDim = 2, 4, 3, 3
			}
			layout = append(layout, d.Layout()...)
		}
		for _, p := range layout {
			if p.Layer == 0 {
				continue
			}
			theirs := f.GGUF.Names.Tensors(p)
			ours := f.Names.Tensors(p)
			if len(ours) != len(theirs) { // a file has them apart or as one
				theirs = f.GGUF.FusedQKV().Tensors(p)
			}
			if len(ours) != len(theirs) {
				continue // gate and up are one tensor and two
			}
			for i, of := range ours {
				ending := filepath.Ext(of.Name)
				if p.Role == ALog || p.Role == DtBias {
					ending = ""
				}
				want := golden[f.Type][strings.TrimSuffix(of.Name, ending)] + ending
				if theirs[i].Name != want {
					t.Errorf("%s: %s is %s in GGUF files, want %s", f.Type, of.Name, theirs[i].Name, want)
				}
			}
		}
	}
}

// TestScaledFrequencies holds Llama 3.1's scaling against its definition at both ends,
// and factors against frequencies.
func TestScaledFrequencies(t *testing.T) {
	plain := Rope{Theta: 500000, Dim: 128}
	scaled := plain
	scaled.Scaling = &RopeScaling{Type: "llama3", Factor: 8, LowFreqFactor: 1, HighFreqFactor: 4, OriginalMax: 8192}
	a, b, factors := plain.Frequencies(), scaled.Frequencies(), scaled.Factors()
	if a[0] != 1 || b[0] != 1 || math.Abs(b[63]*8/a[63]-1) > 1e-12 {
		t.Errorf("frequencies %g and %g at the ends, %g and %g scaled, want the first as it is and the last an eighth",
			a[0], a[63], b[0], b[63])
	}
	for i := range a {
		if math.Abs(a[i]/factors[i]/b[i]-1) > 1e-12 {
			t.Errorf("frequency %d is divided by %g, want %g", i, factors[i], a[i]/b[i])
		}
	}
	linear := Rope{Theta: 10000, Dim: 4, Scaling: &RopeScaling{Type: "linear", Factor: 2}}
	if f := linear.Frequencies(); f[0] != 0.5 || math.Abs(f[1]-0.005) > 1e-12 {
		t.Errorf("linear frequencies %g, want 0.5 and 0.005", f)
	}
}
