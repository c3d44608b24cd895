package sift

import "testing"

// TestListsCompile is here so that a broken list is told by name.
func TestFirst(t *testing.T) {
	v := DefaultSelect().Rules([]Instruction{{Text: "Write a 3000-word essay about the sea."}, {Text: "写一篇500字的文章"}})
	if v[0].Reason != "" || v[1].Reason != TooShortAsk {
		t.Error(v)
	}
}
