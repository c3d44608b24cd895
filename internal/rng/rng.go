// Package rng derives named random streams from one seed. Every random choice
// of a run (the order of an epoch, a held-out split, initial weights, a sampled
// token) draws from a stream of its own, so that adding a choice in one place
// never changes another, and a stream can be made again from its name alone:
// nothing has to be stored for a resume but seed and position.
package rng

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
)

// New returns the stream called name, numbered by index (an epoch, a step, a
// tensor), of the given seed. The generator is ChaCha8 keyed by
// SHA-256(seed, index..., name); its output is fixed across Go versions and
// machines.
func New(seed uint64, name string, index ...uint64) *rand.Rand {
	h := sha256.New()
	var b [8]byte
	put := func(v uint64) {
		binary.LittleEndian.PutUint64(b[:], v)
		h.Write(b[:])
	}
	put(seed)
	put(uint64(len(index)))
	for _, v := range index {
		put(v)
	}
	h.Write([]byte(name))
	return rand.New(rand.NewChaCha8([32]byte(h.Sum(nil))))
}

// Perm returns a permutation of 0..n-1 drawn from r by Fisher and Yates.
func Perm(r *rand.Rand, n int) []int { return shuffled[int](r, n) }

// Perm32 is [Perm] in half the memory, for the samples of an epoch.
func Perm32(r *rand.Rand, n int) []int32 { return shuffled[int32](r, n) }

func shuffled[T int | int32](r *rand.Rand, n int) []T {
	p := make([]T, n)
	for i := range p {
		p[i] = T(i)
	}
	for i := n - 1; i > 0; i-- {
		j := int(r.Uint64N(uint64(i + 1)))
		p[i], p[j] = p[j], p[i]
	}
	return p
}
