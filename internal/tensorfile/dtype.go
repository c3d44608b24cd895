package tensorfile

import (
	"encoding/binary"
	"math"
	"unsafe"
)

// sizes holds the dtypes of the safetensors format, and the bytes of one value. Those whose values
// are smaller than a byte (F4, F6_*) are not known.
var sizes = map[string]int{
	"BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "F8_E8M0": 1,
	"U16": 2, "I16": 2, "F16": 2, "BF16": 2,
	"U32": 4, "I32": 4, "F32": 4,
	"U64": 8, "I64": 8, "F64": 8, "C64": 8,
}

// Size returns the bytes of one value of a dtype of the safetensors format, 0 if the
// format has no such dtype.
func Size(dtype string) int { return sizes[dtype] }

// Bytes is the memory of x, which is as files have the values: the processors that lwtrain is for are little-endian.
func Bytes[T float32 | uint16](x []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), len(x)*int(unsafe.Sizeof(*new(T))))
}

// IsFloat reports whether [Decode] knows the dtype.
func IsFloat(dtype string) bool {
	return dtype == "F32" || dtype == "BF16" || dtype == "F16" || dtype == "F64"
}

// Decode converts little-endian values of a dtype that [IsFloat] knows, or F8_E4M3, whose values mean
// something with scales alone: dst is as long as src has values. F64 is rounded to the nearest float32; the
// others are exact.
func Decode(dst []float32, src []byte, dtype string) {
	switch dtype {
	case "F32":
		copy(Bytes(dst), src)
	case "BF16":
		for i := range dst {
			dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(src[2*i:])) << 16)
		}
	case "F16":
		for i := range dst {
			dst[i] = FromHalf(binary.LittleEndian.Uint16(src[2*i:]))
		}
	case "F64":
		for i := range dst {
			dst[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(src[8*i:])))
		}
	case "F8_E4M3":
		for i := range dst {
			dst[i] = eighths[src[i]]
		}
	}
}

// eighths are the values of F8_E4M3 (Micikevicius et al. 2022, arXiv:2209.05433, section 3): 4 bits of exponent and 3
// of mantissa, no infinity, and a NaN where all of them are 1.
var eighths = func() (all [256]float32) {
	for b := range all {
		exponent, fraction := b>>3&15, float64(b&7)
		v := math.Ldexp(1+fraction/8, exponent-7)
		switch {
		case exponent == 0:
			v = math.Ldexp(fraction/8, -6)
		case b&127 == 127:
			v = math.NaN()
		}
		all[b] = float32(math.Copysign(v, float64(127-b)))
	}
	return all
}()

// Encode writes src as little-endian F32, BF16 or F16 (rounded to the nearest, ties to
// even).
func Encode(dst []byte, src []float32, dtype string) {
	switch dtype {
	case "BF16":
		for i, v := range src {
			binary.LittleEndian.PutUint16(dst[2*i:], floatToBF16(v))
		}
	case "F16":
		for i, v := range src {
			binary.LittleEndian.PutUint16(dst[2*i:], ToHalf(v))
		}
	default:
		for i, v := range src {
			binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v))
		}
	}
}

// floatToBF16 rounds to the nearest bfloat16, ties to even. A NaN stays a NaN
// (quiet, with its sign), though its payload may round away.
func floatToBF16(v float32) uint16 {
	bits := math.Float32bits(v)
	if v != v {
		return uint16(bits>>16) | 0x40
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

// MaxHalf is the largest finite IEEE 754 binary16 value.
const MaxHalf = 65504

// ToHalf rounds to the nearest IEEE 754 binary16 value, ties to even: above [MaxHalf] to
// infinity from the middle to the next power of two on. A NaN stays a NaN (quiet, with its
// sign), though its payload may round away.
func ToHalf(v float32) uint16 {
	bits := math.Float32bits(v)
	sign, size := uint16(bits>>16)&0x8000, bits&0x7fffffff
	switch {
	case size > 0x7f800000:
		return sign | 0x7e00
	case size >= 0x477ff000: // 65520
		return sign | 0x7c00
	case size < 0x38800000: // 2^-14: the result is subnormal, a multiple of 2^-24
		return sign | uint16(math.RoundToEven(float64(math.Float32frombits(size))*0x1p24))
	}
	size -= 112 << 23 // the bias of the exponent
	return sign | uint16((size+0xfff+size>>13&1)>>13)
}

// FromHalf widens an IEEE 754 binary16 value; it is exact.
func FromHalf(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exponent, fraction := uint32(h>>10)&0x1f, uint32(h)&0x3ff
	switch exponent {
	case 0: // zero or subnormal: a multiple of 2^-24
		return math.Float32frombits(sign | math.Float32bits(float32(fraction)*0x1p-24))
	case 0x1f:
		return math.Float32frombits(sign | 0x7f800000 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+112)<<23 | fraction<<13)
}
