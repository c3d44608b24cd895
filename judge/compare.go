package judge

import (
	"context"
	"fmt"
	"slices"

	"lwtrain/internal/llm"
)

// Duel is two texts that were written on the same prompt.
type Duel struct{ ID, Prompt, A, B string }

// Outcome is what became of a duel. The judge is asked twice, with each text first once.
type Outcome struct {
	A        *float64  // what text A is worth: 1 it is the better one, 0.5 neither is, 0; nil: not scored
	Flipped  bool      // the judge took whichever came first, or second, which is a tie
	Attempts []Attempt // all calls, by order and try
}

// orders are those in which the judge sees the texts.
var orders = []string{"AB", "BA"}

// TooLong is the status of a text that the judge can not be shown whole.
const TooLong = "too_long"

// Compare has texts compared, in mode [Pair]. The calls about all of them go out together, and
// done is told of each duel once it is through, one at a time.
func Compare(ctx context.Context, from llm.Answerer, j Judge, duels []Duel, done func(i int, o Outcome) error) error {
	if j.Mode != Pair {
		return fmt.Errorf("mode %s, want %s to compare texts", j.Mode, Pair)
	}
	c, err := contractOf(Pair)
	if err != nil {
		return err
	}
	all := make([][2]view, len(duels))
	for i, d := range duels {
		if j.Words > 0 && size(d.A)+size(d.B) > j.Words {
			a := Attempt{
				ID: d.ID, Judge: j.Name, Mode: Pair, Status: TooLong,
				Reason: fmt.Sprintf("about %d words, want at most %d for the judge to see both texts", size(d.A)+size(d.B), j.Words),
			}
			if err := done(i, Outcome{Attempts: []Attempt{a}}); err != nil {
				return err
			}
			all[i][0].settled, all[i][1].settled = true, true
		}
	}
	for try := range c.Tries {
		var requests []llm.Request
		var whose [][2]int // duel and order
		for i, d := range duels {
			for k, order := range orders {
				if all[i][k].settled {
					continue
				}
				first, second := d.A, d.B
				if order == "BA" {
					first, second = second, first
				}
				temperature := 0.0
				if try > 0 {
					temperature = sampled
				}
				texts := []string{"$INST$", d.Prompt, "$A$", first, "$B$", second}
				requests = append(requests, c.request(try, temperature, all[i][k].tokens(), texts...))
				whose = append(whose, [2]int{i, k})
			}
		}
		if len(requests) == 0 {
			return nil
		}
		err := llm.Answer(ctx, from, requests, func(n int, reply llm.Reply) error {
			i, k := whose[n][0], whose[n][1]
			a := Attempt{ID: duels[i].ID, Judge: j.Name, Mode: Pair, Order: orders[k], Try: try}
			all[i][k].take(a, c, reply, try == c.Tries-1)
			if !all[i][0].settled || !all[i][1].settled {
				return nil
			}
			return done(i, outcome(all[i]))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// view is a duel in one of the orders.
type view struct {
	attempts []Attempt
	settled  bool
	thinks   bool
	a        *float64 // what text A is worth
}

func (v *view) tokens() int {
	if v.thinks {
		return thinkTokens
	}
	return shortTokens
}

func (v *view) take(a Attempt, c Contract, reply llm.Reply, last bool) {
	a.settle(reply, func() error {
		read, err := c.read(reply.Text, "")
		if err != nil {
			return err
		}
		worth := read["A"]
		if a.Order == "BA" {
			worth = 1 - worth
		}
		a.Value = &worth
		return nil
	})
	v.attempts, v.a = append(v.attempts, a), a.Value
	v.thinks = v.thinks || reply.Reasoning != "" || a.Reason == errThought.Error()
	v.settled = last || a.Status != ParseError
}

// outcome puts both orders together. A text is the better one if it is so in both.
func outcome(both [2]view) Outcome {
	o := Outcome{Attempts: slices.Concat(both[0].attempts, both[1].attempts)}
	first, second := both[0].a, both[1].a
	if first == nil || second == nil {
		return o
	}
	worth := 0.5
	if *first == *second {
		worth = *first
	}
	o.A, o.Flipped = &worth, *first+*second == 1 && *first != *second
	return o
}
