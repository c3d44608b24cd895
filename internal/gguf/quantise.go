package gguf

import (
	"encoding/binary"
	"math"

	"lwtrain/internal/tensorfile"
)

// quantisers store values, whole blocks of the type, as the reference implementation (the
// Python package gguf) does: to the bit, but for the K-quants, which it does not make.
var quantisers = map[string]func(dst []byte, src []float32){
	"F32":  func(dst []byte, src []float32) { tensorfile.Encode(dst, src, "F32") },
	"F16":  func(dst []byte, src []float32) { tensorfile.Encode(dst, src, "F16") },
	"BF16": func(dst []byte, src []float32) { tensorfile.Encode(dst, src, "BF16") },
	"Q5_0": quantiseQ5_0,
	"Q5_1": quantiseQ5_1,
	"Q8_0": quantiseQ8_0,
	"Q4_K": quantiseQ4_K,
	"Q5_K": quantiseQ5_K,
	"Q6_K": quantiseQ6_K,
}

func putHalf(dst []byte, v float32) { binary.LittleEndian.PutUint16(dst, tensorfile.ToHalf(v)) }

// inverse is 1/v, or 0 for 0. A scale may be so small that it overflows.
func inverse(v float32) float32 {
	if v == 0 {
		return 0
	}
	return 1 / v
}

// clamp is a quantised value as it is stored, 0 to most.
func clamp(v float32, most int) int {
	if !(v > 0) { // a NaN is infinity times zero
		return 0
	}
	return int(min(v, float32(most)))
}

// quantiseQ5_0: the scale makes the value that is farthest from zero -16.
func quantiseQ5_0(dst []byte, src []float32) {
	for ; len(src) > 0; dst, src = dst[22:], src[32:] {
		var far float32
		for _, v := range src[:32] {
			if abs(v) > abs(far) {
				far = v
			}
		}
		d := far / -16
		id := inverse(d)
		putHalf(dst, d)
		putFive(dst[2:], src, func(v float32) int { return clamp(float32(v*id)+16.5, 31) })
	}
}

// quantiseQ5_1: from the least value to the greatest.
func quantiseQ5_1(dst []byte, src []float32) {
	for ; len(src) > 0; dst, src = dst[24:], src[32:] {
		least, most := src[0], src[0]
		for _, v := range src[:32] {
			least, most = min(least, v), max(most, v)
		}
		d := (most - least) / 31
		id := inverse(d)
		putHalf(dst, d)
		putHalf(dst[2:], least)
		putFive(dst[4:], src, func(v float32) int { return clamp(float32((v-least)*id)+0.5, 31) })
	}
}

// putFive stores 32 values of 5 bits: their fifth bits, then the others, the first half in
// the low bits.
func putFive(dst []byte, src []float32, of func(v float32) int) {
	var high uint32
	for i := range 16 {
		a, b := of(src[i]), of(src[i+16])
		dst[4+i] = byte(a&15 | b&15<<4)
		high |= uint32(a>>4)<<i | uint32(b>>4)<<(i+16)
	}
	binary.LittleEndian.PutUint32(dst, high)
}

// quantiseQ8_0: the scale makes the value that is farthest from zero 127 or -127.
func quantiseQ8_0(dst []byte, src []float32) {
	for ; len(src) > 0; dst, src = dst[34:], src[32:] {
		var far float32
		for _, v := range src[:32] {
			far = max(far, abs(v))
		}
		d := far / 127
		id := inverse(d)
		putHalf(dst, d)
		for i, v := range src[:32] {
			dst[2+i] = byte(int8(max(-127, min(127, awayFromZero(v*id)))))
		}
	}
}

// awayFromZero rounds to the nearest, from the middle away from zero.
func awayFromZero(v float32) float32 { return float32(math.Round(float64(v))) }

func abs(v float32) float32 { return math.Float32frombits(math.Float32bits(v) &^ (1 << 31)) }

// nearest rounds a value of less than 2^22 to the nearest integer, ties to even: in the sum
// there are no bits left for a fraction.
func nearest(v float32) float32 {
	const shift = 3 << 22
	return float32(v+shift) - shift
}
