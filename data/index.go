package data

import (
	"encoding/binary"
	"fmt"
	"io"
	"path/filepath"

	"lwtrain/internal/atomicfile"
)

// The index holds the entries of a store one after the other, little-endian, in
// the order of the source, so that a store opens without reading its samples.
const indexName = "index.bin"

func writeIndex(dir string, entries []entry) (file, error) {
	raw, err := binary.Append(nil, binary.LittleEndian, entries)
	if err != nil {
		return file{}, err
	}
	return file{indexName, hashOf(raw), int64(len(raw))}, atomicfile.WriteBytes(filepath.Join(dir, indexName), raw)
}

func readIndex(dir string, want file) ([]entry, error) {
	f, err := openFile(dir, want)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	size := binary.Size(entry{})
	if len(raw)%size != 0 {
		return nil, fmt.Errorf("%s: %d bytes, want a multiple of %d", f.Name(), len(raw), size)
	}
	entries := make([]entry, len(raw)/size)
	_, err = binary.Decode(raw, binary.LittleEndian, entries)
	return entries, err
}
