package report

import "lwtrain/data"

// Unit is what statistics count: samples, pairs of two samples, or labelled answers.
type Unit struct {
	Name, Single     string // sample or pair; what one sample is: a pair's is an answer
	Samples          int    // in one
	chosen, rejected string // what the sides are called; "": there are none
}

// UnitOf is the unit of the data: that of preferences where there is nothing else.
func UnitOf(s *data.Stats) Unit {
	switch {
	case s.Mix.Paired() && !s.Mix.Preferences(): // counted before the sides were
		return Unit{Name: "pair", Single: "answer", Samples: 2}
	case s.Mix.Paired():
		return Unit{"pair", "answer", 2, "chosen", "rejected"}
	case s.Mix.Preferences():
		return Unit{"answer", "answer", 1, "desirable", "undesirable"}
	}
	return Unit{Name: "sample", Single: "sample", Samples: 1}
}

// Side is one side of preferences.
type Side struct {
	Name string
	Of   func(*data.TextStats) *data.Side
}

// Sides are those of preferences, the better one first; none of other data.
func (u Unit) Sides() []Side {
	if u.chosen == "" {
		return nil
	}
	return sidesOf(u.chosen, u.rejected)
}

func sidesOf(better, worse string) []Side {
	return []Side{
		{better, func(c *data.TextStats) *data.Side { return &c.Chosen }},
		{worse, func(c *data.TextStats) *data.Side { return &c.Rejected }},
	}
}

// Words are the lengths of the side's answers in words.
func (s Side) Words(c *data.TextStats) data.Lengths { return orNone(s.Of(c).OutputWords) }

// Tokens are those in target tokens.
func (s Side) Tokens(c *data.TextStats) data.Lengths { return orNone(s.Of(c).OutputTokens) }

func orNone(l *data.Lengths) data.Lengths {
	if l == nil {
		return data.Lengths{}
	}
	return *l
}
