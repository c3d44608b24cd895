package torch

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"lwtrain/checkpoints"
	"lwtrain/engine"
	"lwtrain/engine/native"
	"lwtrain/model"
	"lwtrain/packing"
)

// forms are the architectures of model/testdata: each family that there is.
var forms = []string{"llama-tied", "llama-untied", "llama-biased", "qwen2", "qwen3", "glm", "glm4", "chatglm",
	"mistral", "ministral", "smollm3", "granite", "granitemoehybrid", "olmo2", "olmo3", "ministral3", "gemma3", "exaone4", "hunyuan",
	"cohere",
	"cohere2", "phi3", "qwen3_5", "lfm2"}

// shortForms are one of each kind: tied, with rotary scaling, with norms of heads, under other names, with windows, with states,
// with frequencies by length.
var shortForms = []string{"llama-tied", "llama-untied", "qwen3", "chatglm", "cohere2", "qwen3_5", "phi3"}

// some are all forms, or with -short the first.
func some(forms ...string) []string {
	if testing.Short() {
		return forms[:1]
	}
	return forms
}

func folder(form string) string { return filepath.Join("../../model/testdata", form) }

// installation is the Python that tests use. Where none is named they are skipped; make test-torch names one.
func installation(t testing.TB) *Installation {
	t.Helper()
	python, must := os.Getenv("LWTRAIN_PYTHON"), os.Getenv("LWTRAIN_TEST_TORCH") != ""
	if python == "" && !must {
		t.Skip("LWTRAIN_PYTHON names no Python: make test-torch does")
	}
	in, err := Find(context.Background(), python)
	if err == nil {
		return in
	}
	if must {
		t.Fatal(err)
	}
	t.Skipf("no torch here: %v", err)
	return nil
}

func options(ranks int) Options {
	return Options{
		Processes: ranks, Threads: 2, Capacity: 256, HeldOut: 700, Precision: "float32", GradientCheckpointing: "auto",
		AdamW: AdamW{Beta1: 0.9, Beta2: 0.95, Epsilon: 1e-8, Decay: 0.1},
	}
}

// workers are those that tests take in turn, by how many ranks they are: to start some takes seconds.
var workers = map[int]*process{}

func TestMain(m *testing.M) {
	if os.Getenv(fakeEnv) != "" {
		fakeWorker()
	}
	status := m.Run()
	for _, p := range workers {
		p.quit()
		os.RemoveAll(filepath.Dir(p.log))
	}
	os.Exit(status)
}

// open opens the engine over the model of a form, all of which is trained.
func open(t *testing.T, form string, o Options) *Engine {
	t.Helper()
	return openTo(t, folder(form), o, model.Training{})
}

// openTo opens the engine over the model of a folder to train what is said, in workers that other tests had before.
func openTo(t *testing.T, dir string, o Options, trained model.Training) *Engine {
	t.Helper()
	e := plannedTo(t, dir, o, trained)
	var err error
	p, n := workers[o.Processes], plan{ranks: o.Processes, local: o.Processes}
	if p == nil {
		dir, dirErr := os.MkdirTemp("", "lwtrain-torch-test-")
		if p, err = launch(context.Background(), e.in, dir, n, Options{Threads: 2}); errors.Join(dirErr, err) != nil {
			t.Fatal(errors.Join(dirErr, err))
		}
		workers[o.Processes] = p
	}
	e.process, e.work = p, filepath.Dir(p.log)
	if err := e.open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if e.broken != nil {
			delete(workers, o.Processes)
		}
	})
	return e
}

// planned is the engine over the model of a form, with workers of its own once it computes.
func planned(t *testing.T, form string, o Options) *Engine {
	t.Helper()
	return plannedTo(t, folder(form), o, model.Training{})
}

func plannedTo(t *testing.T, dir string, o Options, trained model.Training) *Engine {
	t.Helper()
	in := installation(t)
	c, err := model.Check(dir)
	if err != nil {
		t.Fatal(err)
	}
	outline, err := model.Outline(c, dir, trained)
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(outline, dir, in, o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// openNative opens the embedded engine over the same model, with the same settings.
func openNative(t *testing.T, form string) *native.Engine {
	t.Helper()
	return openNativeTo(t, folder(form), model.Training{})
}

func openNativeTo(t *testing.T, dir string, trained model.Training) *native.Engine {
	t.Helper()
	m, err := model.LoadToTrain(dir, trained)
	if err != nil {
		t.Fatal(err)
	}
	e, err := native.New(m, native.Options{
		Capacity: 256, HeldOut: 700, Precision: "float32", GradientCheckpointing: "auto",
		AdamW: native.AdamW{Beta1: 0.9, Beta2: 0.95, Epsilon: 1e-8, Decay: 0.1},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// document is n tokens, the last targets of which are targets.
func document(seed, n, targets int, factor float64) packing.Doc {
	d := packing.Doc{IDs: make([]int32, n), Target: [][2]int32{{int32(n - targets), int32(n)}}, Factor: factor}
	for i := range d.IDs {
		d.IDs[i] = int32((seed*7919 + i*i*31 + i) % 96)
	}
	return d
}

func lay(t *testing.T, weighting string, docs ...packing.Doc) packing.Pack {
	t.Helper()
	n := 5 // padding
	for _, d := range docs {
		n += len(d.IDs)
	}
	p, err := packing.Lay(n, docs, weighting)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// packs are four of unlike sizes.
func packs(t *testing.T, weighting string) []packing.Pack {
	return []packing.Pack{
		lay(t, weighting, document(1, 30, 12, 1), document(2, 1, 1, 1), document(3, 64, 60, 0.5)),
		lay(t, weighting, document(4, 90, 9, 2), document(5, 20, 20, 1)),
		lay(t, weighting, document(6, 17, 3, 1), document(7, 5, 4, 0), document(8, 40, 30, 1)),
		lay(t, weighting, document(9, 33, 33, 0.5), document(10, 21, 2, 1)),
	}
}

// learnt is what an engine tells of packs, and the gradients that it adds up.
type learnt struct {
	packs     []engine.Learned
	gradients map[string][]float32
}

func learn(t *testing.T, e engine.Engine, packs []packing.Pack, weigh engine.Weigh) learnt {
	t.Helper()
	e.Drop()
	got, err := e.Learn(context.Background(), 1, packs, weigh)
	if err != nil {
		t.Fatal(err)
	}
	l := learnt{got, map[string][]float32{}}
	if err := e.Gradients(func(name string, values []float32) { l.gradients[name] = slices.Clone(values) }); err != nil {
		t.Fatal(err)
	}
	return l
}

// apart is how far two gradients are from each other, tensor by tensor, over the norm of the second; the largest.
func apart(t *testing.T, a, b map[string][]float32) (most float64, where string) {
	t.Helper()
	if len(a) != len(b) || len(a) == 0 {
		t.Fatalf("%d tensors, want %d", len(a), len(b))
	}
	for name, want := range b {
		got, ok := a[name]
		if !ok || len(got) != len(want) {
			t.Fatalf("%s: %d values, want %d", name, len(got), len(want))
		}
		var d, n float64
		for i, v := range want {
			d += (float64(got[i]) - float64(v)) * (float64(got[i]) - float64(v))
			n += float64(v) * float64(v)
		}
		if x := math.Sqrt(d / max(n, 1e-30)); x > most {
			most, where = x, name
		}
	}
	return most, where
}

// sameLosses holds what two engines tell of packs against each other.
func sameLosses(t *testing.T, what string, got, want []engine.Learned) {
	t.Helper()
	lossesWithin(t, what, got, want, 1e-5)
}

// lossesWithin does so where -ln p of a token may be that far apart.
func lossesWithin(t *testing.T, what string, got, want []engine.Learned, most float64) {
	t.Helper()
	for i := range want {
		if len(got[i].NLL) != len(want[i].NLL) {
			t.Fatalf("%s: pack %d has %d losses, want %d", what, i, len(got[i].NLL), len(want[i].NLL))
		}
		if d := math.Abs(got[i].Loss - want[i].Loss); !(d <= 1e-6*math.Abs(want[i].Loss)) {
			t.Errorf("%s: pack %d has loss %.9g, want %.9g", what, i, got[i].Loss, want[i].Loss)
		}
		for k, v := range want[i].NLL {
			if d := math.Abs(got[i].NLL[k] - v); !(d <= most) || (v == 0) != (got[i].NLL[k] == 0) {
				t.Fatalf("%s: pack %d, token %d: -ln p %g, want %g", what, i, k, got[i].NLL[k], v)
			}
		}
	}
}

// save writes all of a checkpoint.
func save(t *testing.T, e engine.Engine, dir string) {
	t.Helper()
	rest, err := e.Save(dir)
	if err == nil && rest != nil {
		err = rest()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// tensors are all of a checkpoint: weights, or adapters, and moments.
func tensors(t *testing.T, dir string) map[string][]float32 {
	t.Helper()
	out := map[string][]float32{}
	weights := "model.safetensors"
	if model.HasAdapter(dir) {
		weights = "adapter_model.safetensors"
	}
	for _, path := range []string{weights, optimizerFile} {
		w, err := checkpoints.OpenSafetensors(filepath.Join(dir, path))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range w.Names() {
			info, _ := w.Info(name)
			values := make([]float32, product(info.Shape))
			if err := w.Read(name, values); err != nil {
				t.Fatal(err)
			}
			out[name] = values
		}
		w.Close()
	}
	return out
}
