package report

import "math"

// axis is one axis of a plot. Where Min and Max are equal they follow from the
// data.
type axis struct {
	Label    string  // with the unit
	Log      bool    // powers of ten; values below 1 lie at its start
	Whole    bool    // of whole numbers, such as steps: no tick lies between two
	Least    float64 // that it spans: smaller differences are noise, and are not to fill the plot
	Min, Max float64
}

func (a axis) place(v float64) float64 {
	lo, hi := a.Min, a.Max
	if a.Log {
		lo, hi, v = math.Log10(lo), math.Log10(hi), math.Log10(max(v, a.Min))
	}
	return (v - lo) / (hi - lo)
}

// fit sets the ends of an axis from data, unless they are set.
func (a *axis) fit(fromZero bool, values ...[]float64) {
	if a.Min != a.Max {
		return
	}
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, list := range values {
		for _, v := range list {
			if !math.IsNaN(v) && !math.IsInf(v, 0) && (!a.Log || v > 0) {
				lo, hi = min(lo, v), max(hi, v)
			}
		}
	}
	switch {
	case lo > hi:
		lo, hi = 0, 1
	case a.Log:
		lo, hi = math.Pow(10, math.Floor(math.Log10(lo))), math.Pow(10, math.Ceil(math.Log10(hi)))
	case fromZero && lo > 0:
		lo = 0
	}
	if a.Log && hi <= lo {
		lo, hi = max(lo, 1), max(lo, 1)*10
	}
	if !a.Log {
		lo, hi = a.widened(lo, hi)
		for step, last := niceStep(lo, hi), 0.0; step != last; { // wider ends can have wider steps
			lo, hi = math.Floor(lo/step+1e-9)*step, math.Ceil(hi/step-1e-9)*step
			step, last = niceStep(lo, hi), step
		}
	}
	a.Min, a.Max = lo, hi
}

// widened moves the ends apart until their ticks have different labels. What is not
// negative is not given an end below zero.
func (a *axis) widened(lo, hi float64) (float64, float64) {
	const digits = 4e-3 // ticks a quarter of this apart differ in four digits
	size := max(math.Abs(lo), math.Abs(hi))
	least := max(a.Least, digits*size)
	switch {
	case size == 0 && least == 0:
		least = 1
	case hi == lo:
		least = max(a.Least, size/5)
	}
	if hi-lo >= least {
		return lo, hi
	}
	from := (lo + hi - least) / 2
	if lo >= 0 {
		from = max(from, 0)
	}
	return from, from + least
}

// niceStep is 1, 2 or 5 times a power of ten, with about four steps in all.
func niceStep(lo, hi float64) float64 {
	raw := (hi - lo) / 4
	unit := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{1, 2, 5} {
		if raw <= m*unit*1.001 {
			return m * unit
		}
	}
	return 10 * unit
}

func (a axis) ticks() []float64 {
	var out []float64
	if a.Log {
		for v := math.Pow(10, math.Ceil(math.Log10(a.Min)-1e-9)); v <= a.Max*1.001; v *= 10 {
			out = append(out, v)
		}
		return out
	}
	step := niceStep(a.Min, a.Max)
	if a.Whole {
		step = max(step, 1)
	}
	for i := math.Ceil(a.Min/step - 1e-9); i*step <= a.Max+step*1e-6 && len(out) < 20; i++ {
		out = append(out, i*step+0) // and not -0
	}
	return out
}
