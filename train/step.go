package train

import (
	"context"
	"fmt"
	"math"
	"strings"

	"lwtrain/data"
	"lwtrain/engine"
	"lwtrain/packing"
)

// sums are what a step adds up over its packs before it divides once.
type sums struct {
	step    int     // its number, from 1
	loss    float64 // times divisor
	divisor float64 // of the gradients, too
	nll     float64 // unweighted, over target tokens
	tokens  int
	targets int
	samples []int              // of the step
	values  map[string]float64 // what the method tells besides
}

// learn runs packs forward and backward and adds up what they tell but for the loss,
// which it returns.
func (s *sums) learn(ctx context.Context, e engine.Engine, packs []packing.Pack, weigh engine.Weigh) (loss float64, err error) {
	learned, err := e.Learn(ctx, s.step, packs, weigh)
	if err != nil {
		return 0, err
	}
	for i, l := range learned {
		loss += l.Loss
		s.tokens += packs[i].Tokens
		s.targets += packs[i].TargetTokens
		for _, v := range l.NLL {
			s.nll += v
		}
	}
	return loss, nil
}

// learnWeighted takes packs whose weights, after weigh, are those of the loss.
func (s *sums) learnWeighted(ctx context.Context, e engine.Engine, packs []packing.Pack, weigh engine.Weigh) error {
	loss, err := s.learn(ctx, e, packs, weigh)
	s.loss += loss
	for _, p := range packs {
		s.divisor += p.Divisor
	}
	return err
}

// update divides the sums once and takes the optimiser step, unless loss or gradient norm
// is not finite: then nothing has changed, and the error is a [notFiniteError].
func (s *sums) update(e engine.Engine, rate, maxNorm float64) (loss, norm float64, err error) {
	loss = s.loss / s.divisor
	if !finite(loss) {
		return loss, 0, notFiniteError{"loss", loss}
	}
	norm, err = e.Update(s.step, rate, s.divisor, maxNorm)
	if err == nil && !finite(norm) {
		err = notFiniteError{"gradient norm", norm}
	}
	return loss, norm, err
}

// notFiniteError explains a step that must not be taken.
type notFiniteError struct {
	what  string
	value float64
}

func (e notFiniteError) Error() string { return fmt.Sprintf("the %s is %g", e.what, e.value) }

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// origins lists where samples come from, as file:line.
func origins(set *data.Set, samples []int) []string {
	var out []string
	for _, id := range samples {
		out = append(out, set.Origin(id))
	}
	return out
}

// names is origins, shortened for a message.
func names(set *data.Set, samples []int) string {
	const most = 8
	all := origins(set, samples)
	if len(all) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(all[:most], ", "), len(all)-most)
	}
	return strings.Join(all, ", ")
}
