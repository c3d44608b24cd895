package export

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"lwtrain/convert"
	"lwtrain/model"
)

// TestLlamaCppComputesTheSame compares small random models of every family with what llama.cpp computes from their
// files: the logits behind 100 tokens of a text, and behind 64 that llama.cpp chooses.
// LWTRAIN_TEST_LLAMACPP names a Python with llama-cpp-python.
func TestLlamaCppComputesTheSame(t *testing.T) {
	python := os.Getenv("LWTRAIN_TEST_LLAMACPP")
	if out, err := exec.Command(python, "-c", "import llama_cpp, gguf").CombinedOutput(); err != nil {
		t.Skipf("LWTRAIN_TEST_LLAMACPP (%q) names no Python with llama-cpp-python and gguf: %v %.200s", python, err, out)
	}
	for _, form := range forms {
		for _, precision := range []string{"f32", "f16"} {
			t.Run(form+" in "+precision, func(t *testing.T) {
				dir := smallModel(t, form, nil)
				w, err := GGUF(dir, filepath.Join(t.TempDir(), "m.gguf"), options(t, precision))
				if err != nil {
					t.Fatal(err)
				}
				back := filepath.Join(t.TempDir(), "back")
				if err := convert.FromGGUF(w.File, back, nil); err != nil {
					t.Fatal(err)
				}
				compareWithLlamaCpp(t, python, w.File, back, precision == "f16")
			})
		}
	}
}

// inLlamaCpp is what llama.cpp computes from a file.
func inLlamaCpp(t *testing.T, python, file string, ids []int32, greedy int) (logits []float32, chosen []int32) {
	t.Helper()
	request, err := json.Marshal(map[string]any{"file": file, "ids": ids, "greedy": greedy})
	if err != nil {
		t.Fatal(err)
	}
	var failure bytes.Buffer
	cmd := exec.Command(python, "../scripts/llamacpp.py", "--logits")
	cmd.Stdin, cmd.Stderr = bytes.NewReader(request), &failure
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, failure.String())
	}
	var answer struct {
		Logits string
		Chosen []int32
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		t.Fatal(err)
	}
	raw, err := base64.StdEncoding.DecodeString(answer.Logits)
	if err != nil {
		t.Fatal(err)
	}
	logits = make([]float32, len(raw)/4)
	if _, err := binary.Decode(raw, binary.LittleEndian, logits); err != nil {
		t.Fatal(err)
	}
	return logits, answer.Chosen
}

// compareWithLlamaCpp compares a file with the folder that was made of it, on the same tokens.
func compareWithLlamaCpp(t *testing.T, python, file, dir string, half bool) {
	ids := make([]int32, 100)
	for i := range ids {
		ids[i] = int32((i*i*7 + i*31 + 11) % 256)
	}
	theirs, chosen := inLlamaCpp(t, python, file, ids, 64)
	m, err := model.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Free()
	ours, err := modelLogits(m, append(ids, chosen...))
	if err != nil {
		t.Fatal(err)
	}
	if len(ours) != len(theirs) {
		t.Fatalf("%d logits, want %d", len(ours), len(theirs))
	}
	vocab := m.Config.Vocab
	bound := 1e-4
	switch {
	case half: // the inputs of products with matrices of 16 bits are rounded to 16 bits there, too
		bound = bounds["f16"]
	case m.Config.GELU: // is looked up by a number of 16 bits there
		bound = 2e-3
	}
	distance := relative(theirs, ours, vocab)
	if !(distance <= bound) {
		t.Errorf("the logits lie %.3g of their size apart, want at most %.3g", distance, bound)
	}
	const tie = 0.01 // logits of these models are of about 1 in size
	others, widest := 0, float32(0)
	for i, token := range chosen {
		row := ours[(len(ids)-1+i)*vocab:][:vocab]
		best := 0
		for j := range row {
			if row[j] > row[best] {
				best = j
			}
		}
		if best == int(token) {
			continue
		}
		others++
		gap := row[best] - row[token]
		if widest = max(widest, gap); !half || gap > tie {
			t.Errorf("token %d is %d, want %d: its logit is %.3g below", i, token, best, gap)
		}
	}
	t.Logf("logits %.2g apart; of %d tokens %d are others, their logits at most %.2g below", distance, len(chosen), others, widest)
}
