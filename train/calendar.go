package train

import "math"

// calendar says in which epoch each step of a run lies.
type calendar struct {
	ends  []int // step at which each epoch ends
	total int   // steps of the run
}

// newCalendar plans a run of epochs that have the given steps.
func newCalendar(opt Options, steps func(epoch int) (int, error)) (calendar, error) {
	var c calendar
	epochs := opt.NumTrainEpochs
	if opt.MaxSteps > 0 {
		epochs = math.Inf(1)
	}
	for e := 0; float64(e) < epochs && (opt.MaxSteps == 0 || c.total < opt.MaxSteps); e++ {
		n, err := steps(e)
		if err != nil {
			return c, err
		}
		c.ends = append(c.ends, c.total+n)
		c.total += int(math.Ceil(float64(n) * min(1, epochs-float64(e))))
	}
	if opt.MaxSteps > 0 {
		c.total = opt.MaxSteps
	}
	return c, nil
}

// epochOf returns the epoch (from 0) that step lies in and the epoch's first step.
func (c *calendar) epochOf(step int) (epoch, start int) {
	for e, end := range c.ends {
		if step < end {
			return e, start
		}
		start = end
	}
	return len(c.ends) - 1, start
}

// epoch is the share of the data seen after step updates: 1.5 is one and a half
// times.
func (c *calendar) epoch(step int) float64 {
	e, start := c.epochOf(step - 1)
	return float64(e) + float64(step-start)/float64(c.ends[e]-start)
}
