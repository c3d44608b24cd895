package export

import (
	"fmt"
	"math"

	"lwtrain/chat"
	"lwtrain/convert"
	"lwtrain/model"
	"lwtrain/tokenizer"
)

// Difference is how far two models lie apart: the root mean square of a difference over that of
// what it was.
type Difference struct {
	Weights       float64 // of the tensor that is farthest from what it was
	Logits, Bound float64 // behind each token of a text, each less its mean over the vocabulary
	Tokens        int
}

// bounds are the most that a precision may change the logits by. How much the same change of the
// weights does depends on the model: trained ones stay several times below, random ones of many
// layers come near. Two that have nothing in common lie at 1.4.
var bounds = map[string]float64{"f32": 1e-5, "f16": 0.05, "bf16": 0.3, "q8_0": 0.6, "q4_k_m": 1.2}

// checkText is what both models read: several scripts, numbers and code.
const checkText = "Write a story of 2,500 words about a lighthouse keeper's daughter who counts the ships. " +
	"It doesn't have to end well; they'll read it anyway.\n\n第一章：燈塔守望者的女兒數著船隻。 Die Mühle steht am Fluß.\n" +
	"for i in range(12):\n    print(i * 3.14159)\n"

// maxCheckTokens bounds the text in tokens.
const maxCheckTokens = 160

// Check compares the model of a folder with what came back from one written in a precision, whose
// vectors are of its type too, or float32: first their sizes and their weights, tensor by tensor; then it
// loads one after the other, and compares their ids of a text and the logits behind each of them.
// It returns an error where they lie further apart than the precision explains.
func Check(from, to, precision string, vectors bool) (*Difference, error) {
	weights, err := convert.Compare(from, to, precision, vectors)
	if err != nil {
		return nil, err
	}
	var ids [2][]int32
	var logits [2][]float32
	for i, dir := range []string{from, to} {
		tok, err := tokenizer.Load(dir)
		if err != nil {
			return nil, err
		}
		if ids[i], err = checkIDs(tok); err != nil {
			return nil, err
		}
		if logits[i], err = logitsOf(dir, ids[i]); err != nil {
			return nil, err
		}
	}
	if err := sameIDs(ids[0], ids[1]); err != nil {
		return nil, err
	}
	tokens := len(ids[0])
	d := &Difference{Weights: weights, Logits: relative(logits[0], logits[1], len(logits[0])/tokens), Bound: bounds[precision],
		Tokens: tokens}
	if !(d.Logits <= d.Bound) {
		return d, fmt.Errorf("read back, the logits lie %.3g of their size apart, want at most %.3g for %s", d.Logits, d.Bound, precision)
	}
	return d, nil
}

// checkIDs are those of the text that models are compared by.
func checkIDs(tok *tokenizer.Tokenizer) ([]int32, error) {
	ids := tok.EncodeText(checkText)
	if c, err := chat.Open(tok, "auto"); err == nil {
		if _, ids, err = c.Prompt([]chat.Message{{Role: "user", Content: checkText}}); err != nil {
			return nil, err
		}
	}
	return ids[:min(len(ids), maxCheckTokens)], nil
}

func sameIDs(a, b []int32) error {
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			return fmt.Errorf("read back, the tokenizer gives other ids from token %d of %d on", i, len(a))
		}
	}
	return nil
}

// logitsOf are those behind each token of a text [tokens, vocabulary].
func logitsOf(dir string, ids []int32) (all []float32, err error) {
	m, err := model.Load(dir)
	if err != nil {
		return nil, err
	}
	defer m.Free()
	return modelLogits(m, ids)
}

func modelLogits(m *model.Model, ids []int32) (all []float32, err error) {
	err = model.NewGenerator(m).Logits(ids, 0, func(_ int, logits []float32) error {
		all = append(all, logits...)
		return nil
	})
	return all, err
}

// relative is the size of the difference between rows of b and a over that of a's.
func relative(a, b []float32, vocab int) float64 {
	var size, difference float64
	for at := 0; at < len(a); at += vocab {
		var sumA, sumD float64
		for i := at; i < at+vocab; i++ {
			sumA += float64(a[i])
			sumD += float64(b[i]) - float64(a[i])
		}
		meanA, meanD := sumA/float64(vocab), sumD/float64(vocab)
		for i := at; i < at+vocab; i++ {
			v, d := float64(a[i])-meanA, float64(b[i])-float64(a[i])-meanD
			size += v * v
			difference += d * d
		}
	}
	if difference == 0 {
		return 0
	}
	return math.Sqrt(difference / size)
}
