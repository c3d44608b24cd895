package torch

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lwtrain/checkpoints"
	"lwtrain/engine"
	"lwtrain/engine/native"
	"lwtrain/model"
)

// pictures are tensors of the part of a package that sees.
var pictures = []checkpoints.Tensor{
	{Name: "vision_tower.patch.weight", Shape: []int{300, 70}, Data: slices.Repeat([]float32{1, -2, 3}, 7000)},
	{Name: "multi_modal_projector.bias", Shape: []int{500}, Data: slices.Repeat([]float32{0.5}, 500)},
}

// seeing makes a package of a form's model: it has the language model's tensors under a prefix, and pictures.
func seeing(t *testing.T, form string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	w, err := checkpoints.OpenWeights(folder(form))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var all []checkpoints.Stream
	for _, name := range w.Names() {
		s, _ := w.Raw(name)
		s.Name = strings.Replace(name, "model.", "model.language_model.", 1)
		all = append(all, s)
	}
	for _, x := range pictures {
		all = append(all, x.Stream())
	}
	raw, err := os.ReadFile(filepath.Join(folder(form), "config.json"))
	if err == nil {
		outer := map[string]any{"model_type": "mistral3", "text_config": json.RawMessage(raw), "vision_config": map[string]any{}}
		raw, err = json.Marshal(outer)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "config.json"), raw, 0o644)
	}
	if err == nil {
		err = checkpoints.StreamSafetensors(filepath.Join(dir, "model.safetensors"), "F32", all, map[string]string{"format": "pt"})
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// dataBytes are those of the values in a checkpoint's files, without what stands before them.
func dataBytes(t *testing.T, dir string) (bytes int64) {
	t.Helper()
	for _, path := range []string{"model.safetensors", optimizerFile} {
		raw, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil {
			t.Fatal(err)
		}
		bytes += int64(len(raw)) - 8 - int64(binary.LittleEndian.Uint64(raw))
	}
	return bytes
}

// TestACheckpointOfAPackageTakesWhatIsPlanned counts the parts that are carried along.
func TestACheckpointOfAPackageTakesWhatIsPlanned(t *testing.T) {
	dir := seeing(t, "llama-untied")
	c, err := model.Check(dir)
	if err != nil {
		t.Fatal(err)
	}
	outline, err := model.Outline(c, dir, model.Training{})
	if err != nil {
		t.Fatal(err)
	}
	planned, err := Needs(outline, &Installation{}, options(1))
	if err != nil {
		t.Fatal(err)
	}
	own := openNativeTo(t, dir, model.Training{})
	saved := t.TempDir()
	steps(t, own, 1, 1)
	save(t, own, saved)
	want := dataBytes(t, saved)
	if n := own.Needs().Checkpoint; n != want || planned.Checkpoint != want {
		t.Errorf("a checkpoint takes %d bytes, planned are %d and by torch %d", want, n, planned.Checkpoint)
	}
	if carried := int64(4 * (300*70 + 500)); planned.Parts != want-carried {
		t.Errorf("what ranks write takes %d bytes, planned are %d", want-carried, planned.Parts)
	}
	adapted, err := model.Outline(c, dir, adapters(model.PlainLoRA, 0))
	if err != nil {
		t.Fatal(err)
	}
	few := 12 * adapted.TrainedParameters() // adapters are saved without what they are for
	for by, needs := range map[string]func() (engine.Needs, error){
		"native": func() (engine.Needs, error) {
			return native.Needs(adapted, native.Options{Capacity: 256, Precision: "float32"})
		},
		"torch": func() (engine.Needs, error) { return Needs(adapted, &Installation{}, options(1)) },
	} {
		if n, err := needs(); err != nil || n.Checkpoint != few {
			t.Errorf("%s: a checkpoint of adapters takes %d bytes (%v), want %d", by, n.Checkpoint, err, few)
		}
	}
}

func TestTheOtherPartsOfAPackageAreInItsCheckpoints(t *testing.T) {
	dir := seeing(t, "llama-untied")
	e, saved := openTo(t, dir, options(2), model.Training{}), t.TempDir()
	want := steps(t, openNative(t, "llama-untied"), 1, 2)
	follows(t, "a package", steps(t, e, 1, 2), want, 1e-5)
	save(t, e, saved)
	got := tensors(t, saved)
	for _, x := range pictures {
		if !slices.Equal(got[x.Name], x.Data) {
			t.Errorf("%s is not what the package has", x.Name)
		}
	}
	if n, is := e.Needs().Checkpoint, dataBytes(t, saved); n != is {
		t.Errorf("a checkpoint takes %d bytes, planned are %d", is, n)
	}
}
