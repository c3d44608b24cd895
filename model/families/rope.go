package families

import "math"

// RopeScaling is how rotary frequencies are stretched, as rope_scaling of
// config.json has it: linear all of them, llama3 the low ones (Llama 3.1), yarn those
// between two numbers of turns by and by (Peng et al. 2023, arXiv:2309.00071), longrope each
// by a factor of its own, of which long texts have others (Ding et al. 2024,
// arXiv:2402.13753).
type RopeScaling struct {
	Type           string  `json:"rope_type"`
	OldType        string  `json:"type"` // the key's older name
	Factor         float64 `json:"factor"`
	LowFreqFactor  float64 `json:"low_freq_factor"`
	HighFreqFactor float64 `json:"high_freq_factor"`
	OriginalMax    float64 `json:"original_max_position_embeddings"` // in tokens

	// Of yarn; nil and 0: what transformers takes in their place.
	BetaFast        float64  `json:"beta_fast"`
	BetaSlow        float64  `json:"beta_slow"`
	Truncate        *bool    `json:"truncate"`
	MScale          float64  `json:"mscale"`
	MScaleAllDim    float64  `json:"mscale_all_dim"`
	AttentionFactor *float64 `json:"attention_factor"`

	Alpha       float64   `json:"alpha"`        // of Hunyuan
	ShortFactor []float64 `json:"short_factor"` // of longrope, of texts up to OriginalMax
	LongFactor  []float64 `json:"long_factor"`

	QueryBeta float64 `json:"llama_4_scaling_beta"` // by how much queries grow each time a text has grown by OriginalMax
}

// Rope says how far each pair of values of a head is turned from one token to the
// next.
type Rope struct {
	Theta   float64
	Dim     int          // values of each head that are turned
	Scaling *RopeScaling // nil: none
}

// Frequencies returns the angle of each pair, in radians [Dim/2].
func (r Rope) Frequencies() []float64 {
	out := make([]float64, r.Dim/2)
	for i := range out {
		out[i] = r.stretch(i, r.frequency(i))
	}
	return out
}

// LongFrequencies are those of texts of more than Scaling.OriginalMax tokens; nil: the same
// as of others.
func (r Rope) LongFrequencies() []float64 {
	if r.Scaling == nil || r.Scaling.Type != "longrope" {
		return nil
	}
	out := make([]float64, r.Dim/2)
	for i := range out {
		out[i] = r.frequency(i) / r.Scaling.LongFactor[i]
	}
	return out
}

// Factors returns by how much the scaling divides each frequency [Dim/2].
func (r Rope) Factors() []float64 {
	out := make([]float64, r.Dim/2)
	for i := range out {
		f := r.frequency(i)
		out[i] = f / r.stretch(i, f)
	}
	return out
}

// Multiplier is what turned values are multiplied by.
func (r Rope) Multiplier() float64 {
	s := r.Scaling
	switch {
	case s == nil || s.Type != "yarn" && s.Type != "longrope":
		return 1
	case s.AttentionFactor != nil:
		return *s.AttentionFactor
	case s.Type == "longrope" && s.Factor <= 1:
		return 1
	case s.Type == "longrope":
		return math.Sqrt(1 + math.Log(s.Factor)/math.Log(s.OriginalMax))
	case s.MScale != 0 && s.MScaleAllDim != 0:
		return s.MScaleOf(s.MScale) / s.MScaleOf(s.MScaleAllDim)
	}
	return s.MScaleOf(1)
}

// Betas are BetaFast and BetaSlow, 32 and 1 where nothing is said.
func (s *RopeScaling) Betas() (fast, slow float64) {
	fast, slow = s.BetaFast, s.BetaSlow
	if fast == 0 {
		fast = 32
	}
	if slow == 0 {
		slow = 1
	}
	return fast, slow
}

// MScaleOf is what turned values are multiplied by for a share m of the logarithm of Factor: 1 is yarn's own.
func (s *RopeScaling) MScaleOf(m float64) float64 {
	if s.Factor <= 1 {
		return 1
	}
	return 0.1*m*math.Log(s.Factor) + 1
}

// frequency is theta^(-2i/d), without scaling.
func (r Rope) frequency(i int) float64 { return math.Pow(r.Theta, -2*float64(i)/float64(r.Dim)) }

// stretch returns frequency i, which is f, as it is scaled. Llama 3.1's way: a wavelength
// above original/low_freq_factor is stretched by factor, one below
// original/high_freq_factor not at all, linear in between.
func (r Rope) stretch(i int, f float64) float64 {
	s := r.Scaling
	switch {
	case s == nil:
		return f
	case s.Type == "linear":
		return f / s.Factor
	case s.Type == "longrope":
		return f / s.ShortFactor[i]
	case s.Type == "yarn":
		low, high := r.ramp()
		stretched := min(max((float64(i)-low)/(high-low), 0), 1)
		return f/s.Factor*stretched + f*(1-stretched)
	}
	wavelength := 2 * math.Pi / f
	smooth := (s.OriginalMax/wavelength - s.LowFreqFactor) / (s.HighFreqFactor - s.LowFreqFactor)
	smooth = min(max(smooth, 0), 1)
	return (1-smooth)*f/s.Factor + smooth*f
}

// ramp is from which pair on yarn stretches, and from which it does wholly: where a text of the
// original length is turned beta_fast and beta_slow times.
func (r Rope) ramp() (low, high float64) {
	s := r.Scaling
	fast, slow := s.Betas()
	pair := func(turns float64) float64 {
		return float64(r.Dim) * math.Log(s.OriginalMax/(turns*2*math.Pi)) / (2 * math.Log(r.Theta))
	}
	low, high = pair(fast), pair(slow)
	if s.Truncate == nil || *s.Truncate {
		low, high = math.Floor(low), math.Ceil(high)
	}
	low, high = max(low, 0), min(high, float64(r.Dim-1))
	if low == high {
		high += 0.001
	}
	return low, high
}
