package gguf

import (
	"encoding/binary"
	"maps"
	"slices"
	"strings"

	"lwtrain/internal/tensorfile"
)

// ggmlType is how ggml stores values: in blocks of block values that take
// bytes bytes. dequantise gives float32 to the bit as the reference
// implementation (the Python package gguf) does; dst holds whole blocks. Every
// product is converted before it is added to, which keeps the compiler from
// fusing the two into one rounding.
type ggmlType struct {
	name         string
	block, bytes int
	dequantise   func(dst []float32, src []byte)
}

// ggmlTypes are the types that can be read, by their number in the file.
var ggmlTypes = map[uint32]ggmlType{
	0:  {"F32", 1, 4, func(dst []float32, src []byte) { tensorfile.Decode(dst, src, "F32") }},
	1:  {"F16", 1, 2, func(dst []float32, src []byte) { tensorfile.Decode(dst, src, "F16") }},
	30: {"BF16", 1, 2, func(dst []float32, src []byte) { tensorfile.Decode(dst, src, "BF16") }},
	2:  {"Q4_0", 32, 18, dequantiseQ4_0},
	3:  {"Q4_1", 32, 20, dequantiseQ4_1},
	6:  {"Q5_0", 32, 22, dequantiseQ5_0},
	7:  {"Q5_1", 32, 24, dequantiseQ5_1},
	8:  {"Q8_0", 32, 34, dequantiseQ8_0},
	10: {"Q2_K", 256, 84, dequantiseQ2_K},
	11: {"Q3_K", 256, 110, dequantiseQ3_K},
	12: {"Q4_K", 256, 144, dequantiseQ4_K},
	13: {"Q5_K", 256, 176, dequantiseQ5_K},
	14: {"Q6_K", 256, 210, dequantiseQ6_K},
}

// ggmlOtherTypes are names for the refusal of the others.
var ggmlOtherTypes = map[uint32]string{
	9: "Q8_1", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL",
	21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M",
	34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4",
}

func ggmlNames() string {
	var names []string
	for _, kind := range slices.Sorted(maps.Keys(ggmlTypes)) {
		names = append(names, ggmlTypes[kind].name)
	}
	return strings.Join(names, ", ")
}

func half(src []byte) float32 { return tensorfile.FromHalf(binary.LittleEndian.Uint16(src)) }

// Q4_0: a scale d and 32 values of 4 bits, the first half in the low bits;
// value = d*(q-8).
func dequantiseQ4_0(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[32:], src[18:] {
		d := half(src)
		for i, q := range src[2:18] {
			dst[i] = d * float32(int(q&15)-8)
			dst[i+16] = d * float32(int(q>>4)-8)
		}
	}
}

// Q4_1: a scale d, a minimum m and 32 values of 4 bits; value = d*q + m.
func dequantiseQ4_1(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[32:], src[20:] {
		d, m := half(src), half(src[2:])
		for i, q := range src[4:20] {
			dst[i] = float32(d*float32(q&15)) + m
			dst[i+16] = float32(d*float32(q>>4)) + m
		}
	}
}

// Q5_0: as Q4_0 with a fifth bit of each value in a word of 32; value =
// d*(q-16).
func dequantiseQ5_0(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[32:], src[22:] {
		d, high := half(src), binary.LittleEndian.Uint32(src[2:])
		for i, q := range src[6:22] {
			dst[i] = d * float32(int(q&15|byte(high>>i&1)<<4)-16)
			dst[i+16] = d * float32(int(q>>4|byte(high>>(i+16)&1)<<4)-16)
		}
	}
}

// Q5_1: as Q4_1 with a fifth bit of each value in a word of 32; value =
// d*q + m.
func dequantiseQ5_1(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[32:], src[24:] {
		d, m, high := half(src), half(src[2:]), binary.LittleEndian.Uint32(src[4:])
		for i, q := range src[8:24] {
			dst[i] = float32(d*float32(q&15|byte(high>>i&1)<<4)) + m
			dst[i+16] = float32(d*float32(q>>4|byte(high>>(i+16)&1)<<4)) + m
		}
	}
}

// Q8_0: a scale d and 32 values of 8 bits; value = d*q.
func dequantiseQ8_0(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[32:], src[34:] {
		d := half(src)
		for i, q := range src[2:34] {
			dst[i] = float32(int8(q)) * d
		}
	}
}

// Q2_K: 256 values of 2 bits in 16 groups of 16, each with a scale and a minimum of 4 bits that
// multiply the block's d and dmin; value = d*scale*q - dmin*minimum. Of the 32 bytes for each half of
// the block the lowest bits are the first 32 values.
func dequantiseQ2_K(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[256:], src[84:] {
		scales, quants, d, dmin := src[:16], src[16:80], half(src[80:]), half(src[82:])
		for group, packed := range scales {
			scale, minimum := d*float32(packed&15), dmin*float32(packed>>4)
			part := group / 2 // 32 values each
			from := quants[part/4*32+group%2*16:][:16]
			for i, q := range from {
				dst[16*group+i] = float32(scale*float32(q>>(part%4*2)&3)) - minimum
			}
		}
	}
}

// Q3_K: 256 values of 3 bits in 16 groups of 16 with a scale of 6 bits each; value =
// d*(scale-32)*(q-4). The low 2 bits lie as in Q2_K; bit p of byte i is the third of value i of part p
// of 32. Of the scales 8 bytes hold the low 4 bits, the last 8 scales in the high halves, and 4 bytes
// the high 2 bits.
func dequantiseQ3_K(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[256:], src[110:] {
		high, quants, scales, d := src[:32], src[32:96], src[96:108], half(src[108:])
		for group := range 16 {
			packed := scales[group%8]>>(group/8*4)&15 | scales[8+group%4]>>(group/4*2)&3<<4
			scale := d * float32(int(packed)-32)
			part, offset := group/2, group%2*16
			for i := range 16 {
				q := quants[part/4*32+offset+i]>>(part%4*2)&3 | high[offset+i]>>part&1<<2
				dst[16*group+i] = scale * float32(int(q)-4)
			}
		}
	}
}

// scaleMin unpacks the scale and the minimum, 6 bits each, of the i-th of the
// 8 groups of a Q4_K or Q5_K block from its 12 bytes.
func scaleMin(packed []byte, i int) (scale, minimum float32) {
	if i < 4 {
		return float32(packed[i] & 63), float32(packed[i+4] & 63)
	}
	return float32(packed[i+4]&15 | packed[i-4]>>6<<4), float32(packed[i+4]>>4 | packed[i]>>6<<4)
}

// Q4_K: 256 values in 8 groups of 32, each with a scale and a minimum of 6
// bits that multiply the block's d and dmin; value = d*scale*q - dmin*minimum.
func dequantiseQ4_K(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[256:], src[144:] {
		d, dmin, packed, quants := half(src), half(src[2:]), src[4:16], src[16:144]
		for group := range 8 {
			scale, minimum := scaleMin(packed, group)
			scale, minimum = d*scale, dmin*minimum
			shift := group & 1 * 4
			out := dst[32*group:][:32]
			for i, q := range quants[32*(group/2):][:32] {
				out[i] = float32(scale*float32(q>>shift&15)) - minimum
			}
		}
	}
}

// Q5_K: as Q4_K with a fifth bit: bit g of byte i belongs to value i of group
// g.
func dequantiseQ5_K(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[256:], src[176:] {
		d, dmin, packed, high, quants := half(src), half(src[2:]), src[4:16], src[16:48], src[48:176]
		for group := range 8 {
			scale, minimum := scaleMin(packed, group)
			scale, minimum = d*scale, dmin*minimum
			shift := group & 1 * 4
			out := dst[32*group:][:32]
			for i, q := range quants[32*(group/2):][:32] {
				out[i] = float32(scale*float32(q>>shift&15|high[i]>>group&1<<4)) - minimum
			}
		}
	}
}

// Q6_K: 256 values of 6 bits, 16 groups of 16 with a scale of 8 bits each;
// value = d*scale*(q-32). The low 4 bits lie in 64 bytes for each half of the
// block, the high 2 bits in 32.
func dequantiseQ6_K(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[256:], src[210:] {
		low, high, scales, d := src[:128], src[128:192], src[192:208], half(src[208:])
		for part := range 8 { // 32 values each
			quarter := part % 4
			lows, shift := low[part/4*64+quarter%2*32:][:32], quarter/2*4
			highs := high[part/4*32:][:32]
			out := dst[32*part:][:32]
			for i, q := range lows {
				scale := d * float32(int8(scales[2*part+i/16]))
				out[i] = scale * float32(int(q>>shift&15|highs[i]>>(2*quarter)&3<<4)-32)
			}
		}
	}
}
