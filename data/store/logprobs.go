package store

import (
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
	"lwtrain/internal/plainjson"
)

// LogProbs is what a model says of an answer, in nats: the sums of ln p over its
// target tokens, and over the first of them that the other answer of its pair has
// counterparts for.
type LogProbs struct{ LogP, Prefix float64 }

// logProbsSchema is docs/formats/sample-store.md.
var logProbsSchema = arrow.NewSchema([]arrow.Field{
	{Name: "logp", Type: arrow.PrimitiveTypes.Float64},
	{Name: "prefix", Type: arrow.PrimitiveTypes.Float64},
}, nil)

// logProbsManifest describes a folder of them and is written last.
type logProbsManifest struct {
	Format int               `json:"format"`
	Inputs map[string]string `json:"inputs"` // what they depend on, by content
	Count  int               `json:"count"`
	File   file              `json:"file"`
}

const logProbsName = "scores.arrow"

// logProbsDir is the folder of those that follow from inputs.
func logProbsDir(cache string, inputs map[string]string) (string, error) {
	key, err := json.Marshal(inputs) // sorted by name
	return filepath.Join(cache, "reference-"+HashOf(key)[:16]), err
}

// ReadLogProbs reads the n that follow from inputs out of the folder cache. The
// error is os.ErrNotExist where there are none, and another where they are damaged.
func ReadLogProbs(cache string, inputs map[string]string, n int) ([]LogProbs, error) {
	dir, err := logProbsDir(cache, inputs)
	if err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(filepath.Join(dir, manifestName))
	if err != nil {
		return nil, err
	}
	var m logProbsManifest
	if err := plainjson.Unmarshal(raw, &m); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	if m.Format != Format || m.Count != n || fmt.Sprint(m.Inputs) != fmt.Sprint(inputs) {
		return nil, fmt.Errorf("%s: the manifest speaks of other inputs", dir)
	}
	f, err := openFile(dir, m.File)
	if err != nil {
		return nil, fmt.Errorf("%s: %v", dir, err) // a file that is not there is damage, too
	}
	defer f.Close()
	r, err := ipc.NewFileReader(f, ipc.WithSchema(logProbsSchema))
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
		return nil, fmt.Errorf("%s: %d answers, want %d", f.Name(), len(out), n)
	}
	return out, nil
}

// WriteLogProbs keeps them for [ReadLogProbs]. The folder appears when it is complete.
func WriteLogProbs(cache string, inputs map[string]string, list []LogProbs) error {
	dir, err := logProbsDir(cache, inputs)
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
	m := logProbsManifest{Format: Format, Inputs: inputs, Count: len(list)}
	if m.File, err = writeLogProbs(temp, list); err != nil {
		return err
	}
	return commit(temp, dir, m, func() bool { _, err := ReadLogProbs(cache, inputs, len(list)); return err == nil })
}

func writeLogProbs(dir string, list []LogProbs) (file, error) {
	out, err := createHashed(filepath.Join(dir, logProbsName))
	if err != nil {
		return file{}, err
	}
	defer out.Close()
	w, err := ipc.NewFileWriter(out, ipc.WithSchema(logProbsSchema))
	if err != nil {
		return file{}, err
	}
	build := array.NewRecordBuilder(memory.DefaultAllocator, logProbsSchema)
	defer build.Release()
	for _, s := range list {
		build.Field(0).(*array.Float64Builder).Append(s.LogP)
		build.Field(1).(*array.Float64Builder).Append(s.Prefix)
	}
	rec := build.NewRecord()
	defer rec.Release()
	if err := errors.Join(w.Write(rec), w.Close()); err != nil {
		return file{}, err
	}
	size, err := out.Seek(0, io.SeekCurrent)
	if err != nil {
		return file{}, err
	}
	return out.written(size), out.Sync()
}
