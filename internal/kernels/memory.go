package kernels

import "unsafe"

// Alloc returns n zeroed floats at a page's start, outside of the Go heap. They
// must be given back with [Free].
func Alloc(n int) []float32 {
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(mapped(4*n)))), n)
}

// Free gives back what Alloc returned, as it was returned; nil is allowed.
func Free(x []float32) {
	if cap(x) > 0 {
		unmap(unsafe.Pointer(unsafe.SliceData(x)), 4*cap(x))
	}
}

// AllocBF16 is [Alloc] for bf16 values.
func AllocBF16(n int) []BF16 {
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*BF16)(unsafe.Pointer(unsafe.SliceData(mapped(2*n)))), n)
}

// FreeBF16 is [Free] for bf16 values.
func FreeBF16(x []BF16) {
	if cap(x) > 0 {
		unmap(unsafe.Pointer(unsafe.SliceData(x)), 2*cap(x))
	}
}

// AllocInt8 is [Alloc] for bytes with a sign.
func AllocInt8(n int) []int8 {
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*int8)(unsafe.Pointer(unsafe.SliceData(mapped(n)))), n)
}

// FreeInt8 is [Free] for bytes with a sign.
func FreeInt8(x []int8) {
	if cap(x) > 0 {
		unmap(unsafe.Pointer(unsafe.SliceData(x)), cap(x))
	}
}
