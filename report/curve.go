package report

import (
	"math"
	"slices"
)

// Curve is one number of a run over its steps.
type Curve struct{ Step, Value []float64 }

func (c *Curve) last() float64 {
	if c == nil || len(c.Value) == 0 {
		return math.NaN()
	}
	return c.Value[len(c.Value)-1]
}

func (c *Curve) first() float64 {
	if c == nil || len(c.Value) == 0 {
		return math.NaN()
	}
	return c.Value[0]
}

func (c *Curve) sum() (total float64) {
	if c != nil {
		for _, v := range c.Value {
			total += v
		}
	}
	return total
}

// lowest is the first of the least values and its step.
func (c *Curve) lowest() (step, value float64) {
	value = math.NaN()
	if c == nil {
		return 0, value
	}
	for i, v := range c.Value {
		if !(v >= value) {
			step, value = c.Step[i], v
		}
	}
	return step, value
}

// before is the value of the last step up to a step; where a step has several, the first.
func (c *Curve) before(step float64) float64 {
	i, there := slices.BinarySearch(c.Step, step)
	if !there {
		if i == 0 {
			return 0
		}
		i, _ = slices.BinarySearch(c.Step, c.Step[i-1])
	}
	return c.Value[i]
}

// added is the sum of all values up to each step.
func (c *Curve) added() *Curve {
	out := &Curve{Step: c.Step}
	total := 0.0
	for _, v := range c.Value {
		total += v
		out.Value = append(out.Value, total)
	}
	return out
}

// mostPoints bounds the points of a line: more are drawn as the means of
// stretches, in the band from the least to the most.
const mostPoints = 300

func (c *Curve) series(name string) series {
	s := series{Name: name}
	if len(c.Step) <= mostPoints {
		s.X, s.Y = c.Step, c.Value
		return s
	}
	for i := range mostPoints {
		from, to := i*len(c.Step)/mostPoints, (i+1)*len(c.Step)/mostPoints
		lo, hi, sum := math.Inf(1), math.Inf(-1), 0.0
		for _, v := range c.Value[from:to] {
			lo, hi, sum = min(lo, v), max(hi, v), sum+v
		}
		s.X, s.Y = append(s.X, c.Step[to-1]), append(s.Y, sum/float64(to-from))
		s.Lo, s.Hi = append(s.Lo, lo), append(s.Hi, hi)
	}
	return s
}
