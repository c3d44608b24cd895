package packing

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Documents of a pack and branches of them see what they would see alone: of each row the same ids at the same
// positions, and predicted the same.
func TestABranchIsItsDocumentBehindThePrefix(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var docs, whole []Doc
		for range rapid.IntRange(1, 4).Draw(t, "documents") {
			trunk := doc(rapid.IntRange(1, 20).Draw(t, "n"), 0, 1)
			docs, whole = append(docs, trunk), append(whole, trunk)
			for range rapid.IntRange(0, 2).Draw(t, "branches") {
				shared := rapid.IntRange(1, len(trunk.IDs)).Draw(t, "shared")
				own := doc(rapid.IntRange(1, 20).Draw(t, "own"), 0, 1)
				all := Doc{IDs: slices.Concat(trunk.IDs[:shared], own.IDs), Factor: 1}
				from := rapid.IntRange(shared, len(all.IDs)-1).Draw(t, "from")
				all.Target = [][2]int32{{int32(from), int32(len(all.IDs))}}
				docs, whole = append(docs, all.Branch(shared)), append(whole, all)
			}
		}
		p, err := Lay(400, docs, "token")
		if err != nil {
			t.Fatal(err)
		}
		at := 0
		for i, d := range docs {
			alone, err := Lay(len(whole[i].IDs), whole[i:i+1], "token")
			if err != nil {
				t.Fatal(err)
			}
			for k := range d.IDs {
				row, want := at+k, max(0, d.Shared-1)+k
				var seen []int32
				for j := p.Starts[row]; j <= int32(row); j++ {
					if p.Hidden == nil || j < p.Hidden[row][0] || j >= p.Hidden[row][1] {
						if int(p.Positions[j]) != len(seen) {
							t.Fatalf("index %d sees position %d after %d others", row, p.Positions[j], len(seen))
						}
						seen = append(seen, p.IDs[j])
					}
				}
				if !slices.Equal(seen, alone.IDs[:want+1]) || p.Targets[row] != alone.Targets[want] ||
					p.Weights[row] != alone.Weights[want] {
					t.Fatalf("index %d sees %v and predicts %d with weight %g, want %v, %d, %g", row, seen, p.Targets[row],
						p.Weights[row],
						alone.IDs[:want+1], alone.Targets[want], alone.Weights[want])
				}
			}
			at += len(d.IDs)
		}
		if p.Tokens != at || p.Documents != len(docs) {
			t.Fatalf("%d tokens, %d documents, want %d, %d", p.Tokens, p.Documents, at, len(docs))
		}
	})
}

// What documents cost that share their beginning are the tokens they have and the pairs of tokens that look at each other.
func TestTheCostOfBranchesCountsWhatTheySee(t *testing.T) {
	const shared = 7
	trunk := doc(20, 0, 1)
	docs, rows := []Doc{trunk}, []int32{20}
	for _, n := range []int{5, 11} {
		all := Doc{IDs: slices.Concat(trunk.IDs[:shared], doc(n, 0, 1).IDs), Factor: 1}
		docs, rows = append(docs, all.Branch(shared)), append(rows, int32(n+1))
	}
	p, err := Lay(60, docs, "token")
	if err != nil {
		t.Fatal(err)
	}
	var met float64
	for t := range p.Tokens {
		met += float64(int32(t) - p.Starts[t] + 1 - (p.Hidden[t][1] - p.Hidden[t][0]))
	}
	// A square counts each pair twice, but for the tokens themselves.
	if got := (Cost{Square: 1}).Branches(shared, rows); got != 2*met-float64(p.Tokens) {
		t.Errorf("%g, want %g", got, 2*met-float64(p.Tokens))
	}
	if got := (Cost{Token: 1}).Branches(shared, rows); got != float64(p.Tokens) {
		t.Errorf("%g tokens, want %d", got, p.Tokens)
	}
}
