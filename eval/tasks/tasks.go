// Package tasks holds the benchmarks of long output: what each asks, how it counts the
// words of an answer, and what it measures in one without a judge. A file is a task.
package tasks

import (
	"slices"

	"lwtrain/internal/prose"
)

// Item is one prompt of a task.
type Item struct {
	ID     string
	Prompt string // of a user
	Asked  Asked
	Type   string // of text, as the task names it; "": the task has none

	Checklist []Criterion // of a judge, as the benchmark has them; most have none

	reference string // what the task's Score reads, as numbers
	numbers   []int
}

// Criterion is what a judge is to look at in answers to one item.
type Criterion struct {
	Name string // "": it has none
	Text string // a question, or what it is and what the marks stand for
}

// Asked is the number of words that an item asks for; the zero Asked is none.
type Asked struct {
	Words    int // a number; 0: a range
	Min, Max int // a range; 0: no bound
}

// Any reports whether a length is asked for.
func (a Asked) Any() bool { return a != Asked{} }

// Score is S_l for an answer of so many words ([prose.LengthScore], of a range [prose.BoundScore]).
func (a Asked) Score(words int) float64 {
	if a.Words > 0 {
		return prose.LengthScore(a.Words, words)
	}
	return prose.BoundScore(a.Min, a.Max, words)
}

// About is the one number that ranges of lengths go by: what is asked for, the middle of
// a range, or the bound of one that has no other.
func (a Asked) About() int {
	switch {
	case a.Words > 0:
		return a.Words
	case a.Min > 0 && a.Max > 0:
		return (a.Min + a.Max) / 2
	}
	return max(a.Min, a.Max)
}

// Task is a benchmark.
type Task struct {
	Name   string
	About  string // what it asks, in a line
	Source string // paper or repository, and licence of the data
	Items  func() ([]Item, error)

	Prompts   int    // how many items there are
	Languages string // of the prompts

	remotes []remote // data that does not ship, which Items reads

	Words   func(text string) int // the task's own count
	Counted string                // what that count is, in a line
	Ranges  []prose.Range         // that S_l is told by

	// Measures are what Score returns by name, from 0 to 100 unless they say otherwise, the headline first; none:
	// S_l is the headline, if lengths are asked for. Score leaves out those that are not of an answer's item.
	Measures []Measure
	Score    func(it Item, text string) map[string]float64
	Compat   string                                        // "released": Score is that of the released code; "": of the paper
	Released func(it Item, text string) map[string]float64 // as the benchmark's code has it, where that is another score; nil: it is not
}

// As is the task with the scores of its paper, or those that its code released.
func (t Task) As(compat string) Task {
	if compat == "released" && t.Released != nil {
		t.Score, t.Compat = t.Released, compat
	}
	return t
}

// Measure is what a task measures of its own.
type Measure struct{ Name, About string }

// all are the tasks, in the order in which they are listed.
var all = []Task{
	longBenchWrite, longBenchWriteEnglish, longWriteRuler, lifeBench, lonGen,
	longProcCountdown, longProcPaths, longProcTSV, longGenBench, writingBench, helloBench,
}

// All are the tasks.
func All() []Task { return slices.Clone(all) }

// Names are their names.
func Names() []string {
	names := make([]string, len(all))
	for i, t := range all {
		names[i] = t.Name
	}
	return names
}
