package model

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"lwtrain/internal/graph"
)

// Fingerprint says which model this is: a SHA-256, in hexadecimal, of its config and
// of the names, shapes and float32 values of its tensors. How files store them does
// not matter. It takes about a second for 1.5 GB of weights on each core, and the
// float32 weights, which a model that was loaded to generate in bf16 does not have:
// see [FingerprintFiles].
func (m *Model) Fingerprint() (string, error) {
	config, err := m.Config.JSON("float32")
	if err != nil {
		return "", err
	}
	tensors := m.Tensors(func(p *graph.Param) []float32 { return p.Data })
	sums := make([][]byte, len(tensors))
	var next atomic.Int64
	var wait sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			var buf []byte
			for i := next.Add(1) - 1; i < int64(len(tensors)); i = next.Add(1) - 1 {
				h := sha256.New()
				for part := range slices.Chunk(tensors[i].Data, 1<<16) {
					buf, _ = binary.Append(buf[:0], binary.LittleEndian, part) // fails only for types without a fixed size
					h.Write(buf)
				}
				sums[i] = h.Sum(nil)
			}
		})
	}
	wait.Wait()
	h := sha256.New()
	h.Write(config)
	for i, x := range tensors {
		fmt.Fprintf(h, "%s %v %x\n", x.Name, x.Shape, sums[i])
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// FingerprintFiles says which model a folder holds, without loading it: a SHA-256, in
// hexadecimal, of the bytes of its config.json and its weight files, in the order of
// their names. The same weights stored in another way are another model to it.
func FingerprintFiles(dir string) (string, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, file := range files {
		if name := file.Name(); name != "config.json" && !strings.HasSuffix(name, ".safetensors") {
			continue
		}
		f, err := os.Open(filepath.Join(dir, file.Name()))
		if err != nil {
			return "", err
		}
		_, err = io.Copy(h, f)
		if err := errors.Join(err, f.Close()); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// FingerprintFresh says which model [New] makes, without making it: a SHA-256, in
// hexadecimal, of seed and config.
func FingerprintFresh(c Config, seed uint64) (string, error) {
	config, err := c.JSON("float32")
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintf(h, "%d %s", seed, config)
	return hex.EncodeToString(h.Sum(nil)), nil
}
