package packing

import "math/bits"

// intSet is a set of small integers that finds the smallest member at or above
// a number in O(log64 n): level 0 has a bit for each integer, and each level
// above it a bit for each word below that is not zero.
type intSet [][]uint64

func newIntSet(n uint) intSet {
	var s intSet
	for {
		n = (n + 63) / 64
		s = append(s, make([]uint64, n))
		if n == 1 {
			return s
		}
	}
}

func (s intSet) has(i uint) bool { return s[0][i/64]>>(i%64)&1 != 0 }

func (s intSet) add(i uint) {
	for _, level := range s {
		level[i/64] |= 1 << (i % 64)
		i /= 64
	}
}

func (s intSet) remove(i uint) {
	for _, level := range s {
		level[i/64] &^= 1 << (i % 64)
		if level[i/64] != 0 {
			return
		}
		i /= 64
	}
}

// from returns the smallest member that is at least i.
func (s intSet) from(i uint) (uint, bool) {
	for k := 0; k < len(s); k++ {
		if i/64 >= uint(len(s[k])) {
			return 0, false
		}
		if rest := s[k][i/64] >> (i % 64); rest != 0 {
			i += uint(bits.TrailingZeros64(rest))
			for ; k > 0; k-- { // down to the smallest member below this bit
				i = i*64 + uint(bits.TrailingZeros64(s[k-1][i]))
			}
			return i, true
		}
		i = i/64 + 1
	}
	return 0, false
}
