package train

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"lwtrain/internal/graph"
	"lwtrain/model"
)

// identifyModel adds the base model to the identity of the run, before any
// checkpoint takes its place.
func (t *trainer) identifyModel() error {
	hash, err := fingerprint(t.model)
	if err != nil {
		return err
	}
	t.Identity.Contents = maps.Clone(t.Identity.Contents)
	if t.Identity.Contents == nil {
		t.Identity.Contents = map[string]string{}
	}
	t.Identity.Contents["model"] = hash
	return nil
}

// fingerprint is a SHA-256 of a model's config and of the names, shapes and
// float32 values of its tensors: how the files store them does not matter. It
// takes about a second for 1.5 GB of weights on each core.
func fingerprint(m *model.Model) (string, error) {
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
