package data

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// LogProbs is what a model says of an answer, in nats: the sums of ln p over its
// target tokens, and over the first of them that the other answer of its pair has
// counterparts for.
type LogProbs struct{ LogP, Prefix float64 }

// scoresSchema is docs/formats/sample-store.md.
var scoresSchema = arrow.NewSchema([]arrow.Field{
	{Name: "logp", Type: arrow.PrimitiveTypes.Float64},
	{Name: "prefix", Type: arrow.PrimitiveTypes.Float64},
}, nil)

// scoresManifest describes a folder of scores and is written last.
type scoresManifest struct {
	Format int               `json:"format"`
	Inputs map[string]string `json:"inputs"` // what the scores depend on, by content
	Count  int               `json:"count"`
	File   file              `json:"file"`
}

const scoresName = "scores.arrow"

// scoresDir is the folder of the scores that follow from inputs.
func scoresDir(cache string, inputs map[string]string) (string, error) {
	key, err := json.Marshal(inputs) // sorted by name
	return filepath.Join(cache, "reference-"+hashOf(key)[:16]), err
}

// ReadLogProbs reads the n scores that follow from inputs out of the folder cache. The
// error is os.ErrNotExist where there are none, and another where they are damaged.
func ReadLogProbs(cache string, inputs map[string]string, n int) ([]LogProbs, error) {
	dir, err := scoresDir(cache, inputs)
	if err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(filepath.Join(dir, manifestName))
	if err != nil {
		return nil, err
	}
	var m scoresManifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	if m.Format != storeFormat || m.Count != n || fmt.Sprint(m.Inputs) != fmt.Sprint(inputs) {
		return nil, fmt.Errorf("%s: the manifest speaks of other inputs", dir)
	}
	f, err := openFile(dir, m.File)
	if err != nil {
		return nil, fmt.Errorf("%s: %v", dir, err) // a file that is not there is damage, too
	}
	defer f.Close()
	r, err := ipc.NewFileReader(f, ipc.WithSchema(scoresSchema))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	defer r.Close()
	var out []LogProbs
	for i := range r.NumRecords() {
		rec, err := r.RecordAt(i)
		if err != nil {
			return nil, fmt.Errorf("%s: batch %d: %w", f.Name(), i, err)
		}
		logp, prefix := rec.Column(0).(*array.Float64).Float64Values(), rec.Column(1).(*array.Float64).Float64Values()
		for k := range logp {
			out = append(out, LogProbs{logp[k], prefix[k]})
		}
		rec.Release()
	}
	if len(out) != n {
		return nil, fmt.Errorf("%s: %d scores, want %d", f.Name(), len(out), n)
	}
	return out, nil
}

// WriteLogProbs keeps scores for [ReadLogProbs]. The folder appears when it is complete.
func WriteLogProbs(cache string, inputs map[string]string, scores []LogProbs) error {
	dir, err := scoresDir(cache, inputs)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(cache, tempPrefix)
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	m := scoresManifest{Format: storeFormat, Inputs: inputs, Count: len(scores)}
	if m.File, err = writeScoresFile(temp, scores); err != nil {
		return err
	}
	return commit(temp, dir, m, func() bool { _, err := ReadLogProbs(cache, inputs, len(scores)); return err == nil })
}

func writeScoresFile(dir string, scores []LogProbs) (file, error) {
	f, err := os.Create(filepath.Join(dir, scoresName))
	if err != nil {
		return file{}, err
	}
	defer f.Close()
	out := &hashedFile{f, sha256.New()}
	w, err := ipc.NewFileWriter(out, ipc.WithSchema(scoresSchema))
	if err != nil {
		return file{}, err
	}
	build := array.NewRecordBuilder(memory.DefaultAllocator, scoresSchema)
	defer build.Release()
	for _, s := range scores {
		build.Field(0).(*array.Float64Builder).Append(s.LogP)
		build.Field(1).(*array.Float64Builder).Append(s.Prefix)
	}
	rec := build.NewRecord()
	defer rec.Release()
	if err := errors.Join(w.Write(rec), w.Close()); err != nil {
		return file{}, err
	}
	size, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return file{}, err
	}
	return file{scoresName, hex.EncodeToString(out.sum.Sum(nil)), size}, f.Sync()
}
