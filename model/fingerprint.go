package model

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"lwtrain/internal/graph"
	"lwtrain/internal/kernels"
	"lwtrain/internal/tensorfile"
)

// Fingerprint says which model this is: a SHA-256, in hexadecimal, of its config and
// of the names, shapes and float32 values of its tensors. How files store them does
// not matter. It takes about a second for 1.5 GB of weights on each core, and the
// float32 weights, which a model that was loaded to generate in bf16 does not have:
// see [FingerprintFiles].
//
// Adapters that were read count, as they are now; fresh ones do not: they follow from a seed.
func (m *Model) Fingerprint() (string, error) {
	base, err := m.fingerprint(func(*graph.Param) error { return nil }, func(*graph.Param) {})
	if err != nil || !m.from {
		return base, err
	}
	return m.withAdapters(base), nil
}

func (m *Model) withAdapters(base string) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n", base)
	for _, x := range m.adapters {
		for _, p := range x.Params() {
			h.Write(m.sums(p))
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// FingerprintWeights is the [Model.Fingerprint] of the model that [Load] would read from a
// folder, with memory for one parameter on each core.
func FingerprintWeights(dir string) (string, error) {
	m, w, err := open(dir)
	if err != nil {
		return "", err
	}
	defer w.Close()
	m.held = w
	sum, err := m.fingerprint(func(p *graph.Param) error { return m.read(p, w) }, func(p *graph.Param) {
		kernels.Free(p.Data)
		p.Data = nil
	})
	if err != nil {
		return "", fmt.Errorf("%s: %w", dir, err)
	}
	return sum, nil
}

// fingerprint takes each parameter, reads its values and lets it go.
func (m *Model) fingerprint(take func(*graph.Param) error, release func(*graph.Param)) (string, error) {
	config, err := m.Config.JSON("float32")
	if err != nil {
		return "", err
	}
	parts, errs := make([][]byte, len(m.Params)), make([]error, len(m.Params))
	m.each(func(i int, p *graph.Param) {
		if errs[i] = take(p); errs[i] == nil {
			parts[i] = m.sums(p)
		}
		release(p)
	})
	if err := errors.Join(errs...); err != nil {
		return "", err
	}
	h := sha256.New()
	h.Write(config)
	h.Write(bytes.Join(parts, nil))
	if m.held != nil {
		for _, s := range m.Config.Carried(m.held) {
			sum := sha256.New()
			if err := s.Bytes(sum); err != nil {
				return "", err
			}
			fmt.Fprintf(h, "%s %v %x\n", s.Name, s.Shape, sum.Sum(nil))
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// each calls do for each parameter, on all cores.
func (m *Model) each(do func(i int, p *graph.Param)) {
	var next atomic.Int64
	var wait sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(m.Params)); i = next.Add(1) - 1 {
				do(int(i), m.Params[i])
			}
		})
	}
	wait.Wait()
}

// sums are lines of the tensors of a parameter: name, shape and SHA-256.
func (m *Model) sums(p *graph.Param) (lines []byte) {
	const most = 1 << 14 // values; of more a kernel gives some to threads of its own, and each core has a parameter here
	room := make([]float32, most)
	for _, f := range m.files[p] {
		h := sha256.New()
		for at, to := extent(p, f); at < to; at += most {
			part := room[:min(most, to-at)]
			if p.Data != nil {
				part = p.Data[at : at+len(part)]
			} else {
				p.Values(part, at)
			}
			h.Write(tensorfile.Bytes(part))
		}
		lines = fmt.Appendf(lines, "%s %v %x\n", f.Name, f.Shape, h.Sum(nil))
	}
	return lines
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
