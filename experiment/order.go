package experiment

import (
	"slices"

	"lwtrain/eval"
	"lwtrain/internal/rng"
	"lwtrain/internal/stats"
)

// Ordered is a test of whether answers are longer from model to model.
type Ordered struct {
	Statistic float64 `json:"statistic"` // pairs of answers to the same prompt in that order less those against it, as a share
	P         float64 `json:"p_value"`   // how often labels that are dealt anew within each prompt give as much
	Prompts   int     `json:"prompts"`
}

// testOrder is Jonckheere's and Terpstra's test for ordered alternatives, within prompts:
// groups are the answers of the models, from the one that is expected to write the shortest.
// An answer that did not end counts as longer than all that did.
func testOrder(groups [][]eval.Score) Ordered {
	byPrompt := map[string][][]float64{}
	var order []string
	for g, scores := range groups {
		for _, x := range scores {
			if byPrompt[x.Prompt] == nil {
				byPrompt[x.Prompt] = make([][]float64, len(groups))
				order = append(order, x.Prompt)
			}
			length := float64(x.Words)
			if x.Ended == nil || !*x.Ended {
				length += 1e12
			}
			byPrompt[x.Prompt][g] = append(byPrompt[x.Prompt][g], length)
		}
	}
	var blocks [][]float64 // of each prompt, the lengths group after group
	var sizes [][]int
	for _, p := range order {
		all := byPrompt[p]
		if slices.ContainsFunc(all, func(x []float64) bool { return len(x) == 0 }) {
			continue
		}
		n := make([]int, len(all))
		for g, x := range all {
			n[g] = len(x)
		}
		blocks, sizes = append(blocks, slices.Concat(all...)), append(sizes, n)
	}
	out := Ordered{Prompts: len(blocks), P: 1}
	if len(blocks) == 0 {
		return out
	}
	observed, pairs := 0, 0
	for i, b := range blocks {
		s, n := inOrder(b, sizes[i])
		observed, pairs = observed+s, pairs+n
	}
	r := rng.New(stats.Seed, "experiment/permutations")
	asMuch := 0
	for range permutations {
		sum := 0
		for i, b := range blocks {
			r.Shuffle(len(b), func(j, k int) { b[j], b[k] = b[k], b[j] })
			s, _ := inOrder(b, sizes[i])
			sum += s
		}
		if sum >= observed {
			asMuch++
		}
	}
	out.Statistic = float64(observed) / float64(pairs)
	out.P = float64(asMuch+1) / float64(permutations+1)
	return out
}

// inOrder counts the pairs of values of different groups that grow, less those that fall.
func inOrder(values []float64, sizes []int) (sum, pairs int) {
	group := make([]int, 0, len(values))
	for g, n := range sizes {
		for range n {
			group = append(group, g)
		}
	}
	for i, a := range values {
		for j := i + 1; j < len(values); j++ {
			if group[i] == group[j] {
				continue
			}
			pairs++
			switch b := values[j]; {
			case b > a:
				sum++
			case b < a:
				sum--
			}
		}
	}
	return sum, pairs
}
