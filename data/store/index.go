package store

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"lwtrain/internal/atomicfile"
)

// The index holds the entries of a store one after the other, little-endian, in
// the order of the source, so that a store opens without reading its shards.
const indexName = "index.bin"

// Index is the entries of a store, in the order of the source: those of its file, which is mapped and so takes no memory
// that others need, or of a [Dry] store those that were added. It is safe for concurrent use.
type Index struct {
	n      int
	chunks [][]byte // of chunkEntries entries each

	mapped []byte        // the file; nil: there is none
	last   atomic.Int64  // chunk that was read, of a large file
	moves  atomic.Uint64 // from one chunk to another
}

// A file of more than largeIndex bytes is let go of after so many moves from one chunk to another: what is read again comes from
// the system's cache.
const (
	chunkEntries = 1 << 14
	largeIndex   = 64 << 20
	moves        = 64
)

// Len is how many there are.
func (x *Index) Len() int { return x.n }

// At is entry i.
func (x *Index) At(i int) Entry {
	at := i / chunkEntries
	if len(x.mapped) > largeIndex && x.last.Load() != int64(at) {
		x.last.Store(int64(at))
		if x.moves.Add(1)%moves == 0 {
			_ = unix.Madvise(x.mapped, unix.MADV_DONTNEED)
		}
	}
	e := decode(x.chunks[at][i%chunkEntries*entryBytes:])
	runtime.KeepAlive(x) // else the file might be gone while it is read
	return e
}

// All is the entries with their numbers.
func (x *Index) All() iter.Seq2[int, Entry] {
	return func(yield func(int, Entry) bool) {
		for i := range x.n {
			if !yield(i, x.At(i)) {
				return
			}
		}
	}
}

// add adds an entry, in memory.
func (x *Index) add(e Entry) {
	if x.n%chunkEntries == 0 {
		x.chunks = append(x.chunks, nil)
	}
	last := &x.chunks[len(x.chunks)-1]
	*last = e.appendTo(*last)
	x.n++
}

// openIndex checks the file against the manifest and the shards that there are.
func openIndex(dir string, m manifest) (*Index, error) {
	if m.Index.Bytes != int64(m.Records)*entryBytes {
		return nil, wrongSize(dir, m.Index, m.Records, entryBytes)
	}
	f, err := openFile(dir, m.Index)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	x := &Index{n: m.Records}
	if m.Index.Bytes > 0 {
		if x.mapped, err = unix.Mmap(int(f.Fd()), 0, int(m.Index.Bytes), unix.PROT_READ, unix.MAP_SHARED); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name(), err)
		}
		runtime.AddCleanup(x, func(raw []byte) { _ = unix.Munmap(raw) }, x.mapped)
		x.chunks = slices.Collect(slices.Chunk(x.mapped, chunkEntries*entryBytes))
	}
	for i, e := range x.All() {
		if e.Shard < 0 || int(e.Shard) >= len(m.Shards) || e.Batch < 0 || e.Row < 0 || e.Tokens < 1 {
			return nil, fmt.Errorf("%s: entry %d of the index lies outside the shards", dir, i)
		}
	}
	return x, nil
}

// nearName is the file of the sketches, one to each entry.
const nearName = "near.bin"

// chunkRows is how many rows are encoded at a time, so that writing or reading a file
// of them takes no second copy.
const chunkRows = 4096

// writeRows writes rows of a fixed size one after the other, little-endian.
func writeRows[T any](dir, name string, rows []T) (file, error) {
	sum, size := sha256.New(), int64(0)
	err := atomicfile.Write(filepath.Join(dir, name), func(w io.Writer) error {
		var raw []byte
		for some := range slices.Chunk(rows, chunkRows) {
			var err error
			if raw, err = binary.Append(raw[:0], binary.LittleEndian, some); err != nil {
				return err
			}
			sum.Write(raw)
			size += int64(len(raw))
			if _, err := w.Write(raw); err != nil {
				return err
			}
		}
		return nil
	})
	return file{name, hex.EncodeToString(sum.Sum(nil)), size}, err
}

func readRows[T any](dir string, want file, n int) ([]T, error) {
	size, err := sizeOfRows[T](dir, want, n)
	if err != nil {
		return nil, err
	}
	f, err := openFile(dir, want)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rows := make([]T, n)
	raw := make([]byte, min(n, chunkRows)*size)
	for some := range slices.Chunk(rows, chunkRows) {
		raw = raw[:len(some)*size]
		if _, err := io.ReadFull(f, raw); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name(), err)
		}
		if _, err := binary.Decode(raw, binary.LittleEndian, some); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name(), err)
		}
	}
	return rows, nil
}

// sizeOfRows is the size of a row, if a file with so many is as large as the manifest says.
func sizeOfRows[T any](dir string, f file, n int) (int, error) {
	size := binary.Size(*new(T))
	if f.Bytes%int64(size) != 0 || f.Bytes/int64(size) != int64(n) {
		return 0, wrongSize(dir, f, n, size)
	}
	return size, nil
}

func wrongSize(dir string, f file, n, size int) error {
	return fmt.Errorf("%s: %d bytes of %s for %d records, want %d for each", dir, f.Bytes, f.Name, n, size)
}
