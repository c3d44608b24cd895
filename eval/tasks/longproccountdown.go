package tasks

import (
	"slices"
	"strconv"
	"strings"

	"lwtrain/internal/prose"
)

var longProcCountdown = Task{
	Name: "longproc-countdown", Prompts: 400, Languages: "en",
	About:  "LongProc's countdown: reach a number by four others, with every step of the search, outputs of 0.5k and 2k tokens",
	Source: longProcSource, Items: longProcItems("countdown_0.5k", "countdown_2k"),
	Words: prose.BlankWords, Counted: longProcCounted, Measures: longProcMeasures, Score: countdownScore,
}

// countdownScore is LongProc's (longproc/longproc_data.py, longproc/countdown_evaluator.py): right are three equations
// that reach the target by each number once; else in part what the search has in common with the one that was asked
// for, up to where it takes another way. That part is of one step less where the search ends early, as in their code,
// but no less than 0.
func countdownScore(it Item, text string) map[string]float64 {
	numbers, target := it.numbers[:len(it.numbers)-1], it.numbers[len(it.numbers)-1]
	extracted := 0.0
	if solution, ok := tagged(text, "Solution"); ok {
		if extracted = 1; reaches(numbers, target, solution) {
			return longProcScores(1, 1, 1)
		}
	}
	const head = "# Search Procedure"
	at := strings.LastIndex(text, head)
	if at < 0 {
		return longProcScores(0, 0, extracted)
	}
	_, want, _ := strings.Cut(it.reference, head)
	want, _, _ = strings.Cut(want, "Now we have found the target")
	return longProcScores(0, searched(strings.Split(strip(text[at+len(head):]), "\n"), strings.Split(strip(want), "\n")), extracted)
}

// reaches reports whether lines such as 21 + 16 = 37 make target of the numbers.
func reaches(numbers []int, target int, solution string) bool {
	lines := strings.Split(solution, "\n")
	if len(lines) != 3 {
		return false
	}
	left := slices.Clone(numbers)
	for _, line := range lines {
		sides := strings.Split(line, "=")
		if len(sides) != 2 {
			return false
		}
		at := -1
		for _, operator := range "+-*/" { // the first of these that is there
			if at = strings.IndexRune(sides[0], operator); at >= 0 {
				break
			}
		}
		if at < 0 || strings.Count(sides[0], sides[0][at:at+1]) > 1 {
			return false
		}
		a, err1 := strconv.Atoi(strip(sides[0][:at]))
		b, err2 := strconv.Atoi(strip(sides[0][at+1:]))
		c, err3 := strconv.Atoi(strip(sides[1]))
		if err1 != nil || err2 != nil || err3 != nil {
			return false
		}
		for _, n := range []int{a, b} {
			k := slices.Index(left, n)
			if k < 0 {
				return false
			}
			left = slices.Delete(left, k, k+1)
		}
		// What is left comes from the task, so that nothing overflows.
		equal := false
		switch sides[0][at] {
		case '+':
			equal = a+b == c
		case '-':
			equal = a-b == c
		case '*':
			equal = a*b == c
		case '/':
			equal = b != 0 && a == b*c
		}
		if !equal {
			return false
		}
		left = append(left, c)
	}
	return left[0] == target
}

// searched is the share of the steps in want that got has, too, up to the first that it has not. Of a step that tries
// two numbers only these count, and whether it is given up.
func searched(got, want []string) float64 {
	if got[0] != want[0] {
		return 0
	}
	got, want = got[1:], want[1:]
	last := -1
	for last+1 < min(len(got), len(want)) {
		last++
		g, w := got[last], want[last]
		if g == w {
			continue
		}
		const dropped = "drop this branch"
		gTries, _, _ := strings.Cut(g, "=")
		wTries, _, _ := strings.Cut(w, "=")
		if strings.Contains(w, "Pick two numbers") || gTries != wTries || strings.Contains(g, dropped) != strings.Contains(w, dropped) {
			break
		}
	}
	return float64(last) / float64(len(want))
}
