// Package smalldisk gives tests a disk that is full soon, or read-only: a small one
// in memory. It is for tests alone.
package smalldisk
