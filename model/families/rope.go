package families

import "math"

// RopeScaling is how rotary frequencies are stretched, as rope_scaling of
// config.json has it: llama3 stretches the low ones (Llama 3.1), linear all of them.
type RopeScaling struct {
	Type           string  `json:"rope_type"`
	OldType        string  `json:"type"` // the key's older name
	Factor         float64 `json:"factor"`
	LowFreqFactor  float64 `json:"low_freq_factor"`
	HighFreqFactor float64 `json:"high_freq_factor"`
	OriginalMax    float64 `json:"original_max_position_embeddings"` // in tokens
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
		out[i] = r.Scaling.stretch(r.frequency(i))
	}
	return out
}

// Factors returns by how much the scaling divides each frequency [Dim/2].
func (r Rope) Factors() []float64 {
	out := make([]float64, r.Dim/2)
	for i := range out {
		f := r.frequency(i)
		out[i] = f / r.Scaling.stretch(f)
	}
	return out
}

// frequency is theta^(-2i/d), without scaling.
func (r Rope) frequency(i int) float64 { return math.Pow(r.Theta, -2*float64(i)/float64(r.Dim)) }

// stretch returns a frequency as it is scaled. Llama 3.1's way: a wavelength above
// original/low_freq_factor is stretched by factor, one below
// original/high_freq_factor not at all, linear in between.
func (s *RopeScaling) stretch(f float64) float64 {
	switch {
	case s == nil:
		return f
	case s.Type == "linear":
		return f / s.Factor
	}
	wavelength := 2 * math.Pi / f
	smooth := (s.OriginalMax/wavelength - s.LowFreqFactor) / (s.HighFreqFactor - s.LowFreqFactor)
	smooth = min(max(smooth, 0), 1)
	return (1-smooth)*f/s.Factor + smooth*f
}
