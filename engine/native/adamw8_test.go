package native

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"lwtrain/internal/graph"
	"lwtrain/internal/kernels"
	"lwtrain/model"
)

// options8 are [options] with AdamW's state in 8 bits.
func options8() Options {
	o := options()
	o.Bits8 = true
	return o
}

// train8 is what tiny8 trains, by name.
var train8 = map[string]model.Training{
	"all weights": {Bits24: true},
	"some frozen": {Bits24: true, Freeze: []string{"model.layers.0.*"}},
	"adapters": {Bits24: true, LoRA: model.LoRA{
		Rank: 2, Alpha: 4, Dropout: 0.1, Target: []string{model.AllLinear}, Variant: model.DoRA,
	}},
}

func tiny8(t *testing.T, o Options, trained model.Training) *Engine {
	t.Helper()
	c, err := model.ParseConfig([]byte(tinyConfig))
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.NewToTrain(c, 1, trained)
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(m, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// update takes steps from the given one to before last on documents of their own, and returns the losses.
func update(t *testing.T, e *Engine, from, last int) (losses []float64) {
	t.Helper()
	for step := from; step < last; step++ {
		p := lay(t, 256, document(step%3, 100, 80), document(step%3+5, 60, 30))
		_, loss := gradients(t, e, p)
		if _, err := e.Update(step, 1e-2, p.Divisor, 1); err != nil {
			t.Fatal(err)
		}
		losses = append(losses, loss[0]/p.Divisor)
	}
	return losses
}

// files are those of a folder that an engine saved.
func files(t *testing.T, e *Engine) (dir string, content map[string][]byte) {
	t.Helper()
	dir, content = t.TempDir(), map[string][]byte{}
	if _, err := e.Save(dir); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			content[path[len(dir):]], err = os.ReadFile(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir, content
}

func sameFiles(t *testing.T, got, want map[string][]byte) {
	t.Helper()
	if len(got) != len(want) || len(want) < 2 {
		t.Errorf("%d files, want %d", len(got), len(want))
	}
	for name := range want {
		if !bytes.Equal(got[name], want[name]) {
			t.Errorf("%s differs", name)
		}
	}
}

func TestARunIn8BitsThatIsGoneOnWithIsTheSameBytes(t *testing.T) {
	for name, trained := range train8 {
		for _, precision := range []string{"float32", "bf16"} {
			t.Run(name+", "+precision, func(t *testing.T) {
				o := options8()
				o.Precision = precision
				whole := tiny8(t, o, trained)
				update(t, whole, 1, 5)
				dir, then := files(t, whole)
				again := tiny8(t, o, trained)
				if err := again.Load(dir); err != nil {
					t.Fatal(err)
				}
				_, loaded := files(t, again)
				sameFiles(t, loaded, then)
				update(t, whole, 5, 9)
				update(t, again, 5, 9)
				_, want := files(t, whole)
				_, got := files(t, again)
				sameFiles(t, got, want)
			})
		}
	}
}

func TestALossIn8BitsFollowsThatOfAdamW(t *testing.T) {
	for name, trained := range train8 {
		for _, precision := range []string{"float32", "bf16"} {
			t.Run(name+", "+precision, func(t *testing.T) {
				o := options8()
				o.Precision = precision
				got := update(t, tiny8(t, o, trained), 1, 40)
				o.Bits8, trained.Bits24 = false, false
				want := update(t, tiny8(t, o, trained), 1, 40)
				if d := math.Abs(got[0] - want[0]); d > 1e-4*want[0] {
					t.Errorf("the first loss is %.6f, AdamW's %.6f", got[0], want[0])
				}
				last := len(want) - 1
				if want[last] > 0.98*want[0] {
					t.Fatalf("AdamW brings the loss from %.4f to %.4f: the test tests nothing", want[0], want[last])
				}
				for i := range want {
					if d := math.Abs(got[i] - want[i]); d > 0.02*want[i] {
						t.Errorf("step %d: loss %.4f, AdamW's %.4f", i+1, got[i], want[i])
					}
				}
			})
		}
	}
}

func TestWhatIsKeptIn8BitsIsWhatIsPlannedAndLessThan10BytesAParameter(t *testing.T) {
	for _, precision := range []string{"float32", "bf16"} {
		o := options8()
		o.Precision = precision
		e := tiny8(t, o, train8["all weights"])
		update(t, e, 1, 2)
		var weights, gradients, moments int64
		for _, p := range e.model.Params {
			weights += int64(4*cap(p.Data) + cap(p.Low))
			if p.Packed || precision == "bf16" {
				weights += int64(2 * cap(p.Half))
			}
			gradients += int64(4 * cap(p.Grad))
			moments += kernels.Moments8Bytes(p.Size())
		}
		n, all := e.Needs(), e.model.Config.Parameters()
		if n.Weights+n.Half < weights || n.Gradients != gradients || n.Optimizer != moments {
			t.Errorf("%s: %d, %d and %d bytes are kept, planned are %+v", precision, weights, gradients, moments, n)
		}
		// The tiny model has many vectors, at 10.125 bytes a value.
		if got := n.Weights + n.Half + n.Gradients + n.Optimizer; got > 10*all {
			t.Errorf("%s: %d bytes for %d parameters, want at most 10 for each", precision, got, all)
		}
		if n.Checkpoint != 12*all {
			t.Errorf("%s: a checkpoint takes %d bytes, want %d", precision, n.Checkpoint, 12*all)
		}
	}
}

func TestAnUpdateIn8BitsThatIsNotFiniteChangesNothing(t *testing.T) {
	e := tiny8(t, options8(), train8["all weights"])
	update(t, e, 1, 3)
	_, before := files(t, e)
	gradients(t, e, lay(t, 256, document(1, 200, 150)))
	e.model.Params[2].Grad[3] = float32(math.NaN())
	if norm, err := e.Update(3, 1e-2, 150, 1); err != nil || !math.IsNaN(norm) {
		t.Errorf("norm %g, %v, want none", norm, err)
	}
	_, after := files(t, e)
	sameFiles(t, after, before)
}

func TestAnyOptimiserGoesOnFromTheCheckpointOfAnother(t *testing.T) {
	in8, in32 := tiny8(t, options8(), train8["all weights"]), tiny8(t, options(), model.Training{})
	update(t, in8, 1, 5)
	dir, want := files(t, in8)
	if err := in32.Load(dir); err != nil {
		t.Fatal(err)
	}
	_, got := files(t, in32)
	sameFiles(t, got, want) // what has 24 and 8 bits is a float32
	update(t, in32, 5, 9)
	dir, _ = files(t, in32)
	if err := in8.Load(dir); err != nil {
		t.Fatal(err)
	}
	a, b := values(in8), values(in32)
	for i := range a {
		if d := math.Abs(float64(a[i] - b[i])); d > math.Abs(float64(b[i]))/(1<<16) {
			t.Fatalf("value %d is %g, and was %g", i, a[i], b[i])
		}
	}
}

// values are the weights of an engine.
func values(e *Engine) (all []float32) {
	for _, p := range e.model.All() {
		x := make([]float32, p.Size())
		p.Values(x, 0)
		all = append(all, x...)
	}
	return all
}

func TestProductsSeeWeightsOf24BitsAsTheyAre(t *testing.T) {
	in8 := tiny8(t, options8(), train8["all weights"])
	update(t, in8, 1, 5)
	in32 := tiny8(t, options(), model.Training{})
	dir, _ := files(t, in8)
	if err := in32.Load(dir); err != nil {
		t.Fatal(err)
	}
	pack := lay(t, 256, document(1, 200, 150))
	got, loss := gradients(t, in8, pack)
	want, wantLoss := gradients(t, in32, pack)
	if d := math.Abs(loss[0] - wantLoss[0]); d > 1e-6*wantLoss[0] {
		t.Errorf("loss %.8f, with float32 weights of the same values %.8f", loss[0], wantLoss[0])
	}
	for name, w := range want {
		for i := range w {
			if d := math.Abs(float64(got[name][i] - w[i])); d > 1e-4 {
				t.Fatalf("the gradient of %s is %g at %d, with float32 weights %g", name, got[name][i], i, w[i])
			}
		}
	}
	if slices.ContainsFunc(in8.model.Params, func(p *graph.Param) bool { return p.Packed && p.Data != nil }) {
		t.Error("a packed matrix has float32 values")
	}
}

func TestWeightsThatAreBF16InTheFileAreReadExactly(t *testing.T) {
	c, err := model.ParseConfig([]byte(tinyConfig))
	if err != nil {
		t.Fatal(err)
	}
	for dtype, exact := range map[string]bool{"bfloat16": true, "float32": false} {
		dir := t.TempDir()
		fresh := model.New(c, 3)
		if err := fresh.Save(dir, dtype); err != nil {
			t.Fatal(err)
		}
		fresh.Free()
		want, err := model.FingerprintWeights(dir)
		if err != nil {
			t.Fatal(err)
		}
		m, err := model.LoadToTrain(dir, model.Training{Bits24: true})
		if err != nil {
			t.Fatal(err)
		}
		got, err := m.Fingerprint()
		if err != nil || (got == want) != exact {
			t.Errorf("%s: the same model: %t, want %t, %v", dtype, got == want, exact, err)
		}
		for _, p := range m.Params {
			if p.Packed != (p.Rows > 1) {
				t.Errorf("%s: %s is packed: %t", dtype, p.Name, p.Packed)
			}
		}
		m.Free()
	}
}
