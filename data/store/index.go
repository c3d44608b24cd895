package store

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"lwtrain/internal/atomicfile"
)

// The index holds the entries of a store one after the other, little-endian, in
// the order of the source, so that a store opens without reading its shards.
const indexName = "index.bin"

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
		return 0, fmt.Errorf("%s: %d bytes of %s for %d records, want %d for each", dir, f.Bytes, f.Name, n, size)
	}
	return size, nil
}
