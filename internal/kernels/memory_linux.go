package kernels

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mapped returns n bytes of zeroed memory outside of the Go heap, in large
// pages where the system has them. The garbage collector neither scans it nor
// counts it.
func mapped(n int) []byte {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		panic(fmt.Sprintf("kernels: no memory for %d bytes: %v", n, err))
	}
	if n >= 64<<10 { // less than a large page, but neighbours become one piece: caches, small matrices
		unix.Madvise(b, unix.MADV_HUGEPAGE) // only an advice
	}
	return b
}

func unmap(p unsafe.Pointer, n int) {
	if err := unix.MunmapPtr(p, uintptr(n)); err != nil {
		panic(fmt.Sprintf("kernels: freeing %d bytes: %v", n, err))
	}
}
