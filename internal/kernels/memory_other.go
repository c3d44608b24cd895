//go:build !linux

package kernels

import "unsafe"

func mapped(n int) []byte { return make([]byte, n) }

func unmap(unsafe.Pointer, int) {}
