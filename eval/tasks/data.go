package tasks

import (
	"bytes"
	"embed"
	"fmt"

	"github.com/klauspost/compress/zstd"

	"lwtrain/internal/plainjson"
)

// files are the prompts that ship; data/README.md says where they come from.
//
//go:embed data/*.zst
var files embed.FS

// shipped reads a file of data, without its ending.
func shipped[T any](name string) ([]T, error) {
	packed, err := files.ReadFile("data/" + name + ".jsonl.zst")
	if err != nil {
		return nil, err
	}
	unpack, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	defer unpack.Close()
	raw, err := unpack.DecodeAll(packed, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return rowsOf[T](name, raw)
}

// rowsOf reads lines of JSON.
func rowsOf[T any](name string, raw []byte) ([]T, error) {
	var rows []T
	for line := range bytes.Lines(raw) {
		var row T
		if err := plainjson.Unmarshal(line, &row); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, len(rows)+1, err)
		}
		rows = append(rows, row)
	}
	return rows, nil
}
