package gguf

import "math"

// K-quants: 256 values in groups, whose scales are quantised in turn. Which values of 4 or 6
// bits a group gets follows from a search over scales, as llama.cpp does it: for each of
// some, values are rounded and the scale that then fits best is computed; the least weighted
// error wins.

const blockK = 256

// tiny is what the largest value of a group must exceed for the group to be more than zeros.
const tiny = 1e-15

// steps are the inverse scales that fitRange tries: those that would make most+least,
// most+least+each and so on, count times further, of the values' range.
type steps struct {
	least, each float32
	count       int
}

// fitRange finds scale and minimum, both at least 0, such that scale*q - minimum with q of 0
// to most is near the values of a group.
func fitRange(x []float32, most float32, try steps) (scale, minimum float32) {
	var squares, low, high float32
	for _, v := range x {
		squares += v * v
		low, high = min(low, v), max(high, v)
	}
	if high-low < tiny {
		return 0, -low
	}
	// Large values matter more: the weight is the root mean square and the size.
	var weights [32]float32
	level := float32(math.Sqrt(float64(squares / float32(len(x)))))
	for i, v := range x {
		weights[i] = level + abs(v)
	}
	var levels [32]float32
	best := float32(math.Inf(1))
	for step := -1; step <= try.count; step++ {
		inverse := most / (high - low)
		if step >= 0 {
			inverse = (most + try.least + try.each*float32(step)) / (high - low)
		}
		for i, v := range x {
			levels[i] = max(0, min(most, nearest((v-low)*inverse)))
		}
		s, m := 1/inverse, low // the first as it is: the least squares of the others compete with it
		if step >= 0 {
			s, m = fitLine(x, &weights, &levels, s, m)
		}
		var e float32
		for i, v := range x {
			off := s*levels[i] + m - v
			e += weights[i] * off * off
		}
		if e < best { // the next scales start from this minimum
			best, scale, low = e, s, m
		}
	}
	return scale, -low
}

// fitLine solves the weighted least squares of scale*q + m = x with m at most 0, of which s and
// low are the answer where all q are the same.
func fitLine(x []float32, weights, levels *[32]float32, s, low float32) (scale, m float32) {
	var w, q, qq, v, vq float32
	for i, xi := range x {
		wi, l := weights[i], levels[i]
		w += wi
		q += wi * l
		qq += wi * l * l
		v += wi * xi
		vq += wi * xi * l
	}
	det := w*qq - q*q
	if det <= 0 {
		return s, low
	}
	if scale, m = (w*vq-v*q)/det, (qq*v-q*vq)/det; m > 0 {
		scale, m = vq/qq, 0
	}
	return scale, m
}

// rangeBlock fits the 8 groups of a Q4_K or Q5_K block: dst gets d, dmin and the 12 bytes of
// scales and minima, levels the values of 0 to most.
func rangeBlock(dst []byte, levels *[blockK]byte, x []float32, most float32, try steps) {
	var scales, minima [8]float32
	var topScale, topMinimum float32
	for g := range 8 {
		scales[g], minima[g] = fitRange(x[32*g:][:32], most, try)
		topScale, topMinimum = max(topScale, scales[g]), max(topMinimum, minima[g])
	}
	const top = 63
	putHalf(dst, topScale/top)
	putHalf(dst[2:], topMinimum/top)
	d, dmin := half(dst), half(dst[2:])
	packed := dst[4:16]
	clear(packed)
	for g := range 8 {
		s := byte(min(top, nearest(scales[g]*inverse(topScale)*top)))
		m := byte(min(top, nearest(minima[g]*inverse(topMinimum)*top)))
		if g < 4 {
			packed[g], packed[g+4] = packed[g]|s, packed[g+4]|m
		} else {
			packed[g+4] = s&15 | m&15<<4
			packed[g-4] |= s >> 4 << 6
			packed[g] |= m >> 4 << 6
		}
	}
	for g := range 8 {
		s, m := scaleMin(packed, g)
		scale, minimum := d*s, dmin*m
		if scale == 0 {
			continue
		}
		for i := 32 * g; i < 32*g+32; i++ {
			levels[i] = byte(max(0, min(most, nearest((x[i]+minimum)/scale))))
		}
	}
}

func quantiseQ4_K(dst []byte, src []float32) {
	for ; len(src) > 0; dst, src = dst[144:], src[blockK:] {
		var levels [blockK]byte
		rangeBlock(dst, &levels, src, 15, steps{least: -1, each: 0.1, count: 20})
		for i, out := 0, dst[16:]; i < blockK; i += 64 {
			for j := range 32 {
				out[i/2+j] = levels[i+j] | levels[i+32+j]<<4
			}
		}
	}
}

func quantiseQ5_K(dst []byte, src []float32) {
	for ; len(src) > 0; dst, src = dst[176:], src[blockK:] {
		var levels [blockK]byte
		rangeBlock(dst, &levels, src, 31, steps{least: -0.5, each: 0.1, count: 15})
		high, out := dst[16:48], dst[48:]
		clear(high)
		for i := 0; i < blockK; i += 64 {
			for j := range 32 {
				a, b := levels[i+j], levels[i+32+j]
				out[i/2+j] = a&15 | b&15<<4
				high[j] |= a>>4<<(i/32) | b>>4<<(i/32+1)
			}
		}
	}
}

// fitScale finds the scale such that scale*q with q of -32 to 31 is near the values of a
// group, which weigh as their squares.
func fitScale(x []float32) float32 {
	var far float32
	for _, v := range x {
		if abs(v) > abs(far) {
			far = v
		}
	}
	if abs(far) < tiny {
		return 0
	}
	// The least error has the greatest gain, (sum of w x q)^2 / (sum of w q^2).
	var scale, gain float32
	try := func(inverse float32) {
		var xq, qq float32
		for _, v := range x {
			q := max(-32, min(31, nearest(inverse*v)))
			w := v * v
			xq += w * v * q
			qq += w * q * q
		}
		if qq > 0 && xq*xq > gain*qq {
			scale, gain = xq/qq, xq*xq/qq
		}
	}
	try(-32 / far)
	for step := -9; step <= 9; step++ {
		try(-(32 + 0.1*float32(step)) / far)
	}
	return scale
}

func quantiseQ6_K(dst []byte, src []float32) {
	for ; len(src) > 0; dst, src = dst[210:], src[blockK:] {
		var scales [16]float32
		var far float32
		for g := range scales {
			scales[g] = fitScale(src[16*g:][:16])
			if abs(scales[g]) > abs(far) {
				far = scales[g]
			}
		}
		var levels [blockK]byte
		putHalf(dst[208:], far/-128)
		d := half(dst[208:])
		for g := range scales {
			s := min(127, nearest(scales[g]*-128*inverse(far)))
			dst[192+g] = byte(int8(s))
			scale := d * s
			for i := 16 * g; i < 16*g+16; i++ {
				q := float32(0)
				if scale != 0 {
					q = max(-32, min(31, nearest(src[i]/scale)))
				}
				levels[i] = byte(q + 32)
			}
		}
		for h := range 2 {
			low, high, l := dst[64*h:], dst[128+32*h:], levels[128*h:]
			for j := range 32 {
				low[j] = l[j]&15 | l[j+64]&15<<4
				low[j+32] = l[j+32]&15 | l[j+96]&15<<4
				high[j] = l[j]>>4 | l[j+32]>>4<<2 | l[j+64]>>4<<4 | l[j+96]>>4<<6
			}
		}
	}
}
