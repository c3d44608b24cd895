package report

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"lwtrain/data"
	"lwtrain/internal/fault"
	"lwtrain/internal/plainjson"
	"lwtrain/internal/rundir"
)

// Run is what a run's folder says of it (docs/formats/run.md).
type Run struct {
	Dir      string
	About    About             // of run.json
	Best     string            // of best.json: the checkpoint with the lowest held-out loss; "": there is none
	Began    time.Time         // of metrics.jsonl; zero: it does not say
	Series   map[string]*Curve // of metrics.jsonl, by key
	Settings []Setting         // of config.yaml
	Answers  []Answer          // of answers.json
	Data     *data.Stats       // of data.json; nil: there is none

	Last  time.Time // of metrics.jsonl: its last line's; zero: it does not say
	read  int64     // bytes of metrics.jsonl that are in Series
	lines int       // that these are
	file  os.FileInfo
}

// About is what run.json says for people.
type About struct {
	Model    string
	Steps    int // that are planned; 0: it does not say
	Machines []string
	Versions []string
	Finished map[string]string // nil: the run is not at its end
}

// Bounds of a file of a run's folder, a line of one, the numbers that lines have, and the values of answers.json.
const most, mostLine, mostSeries, mostValues = 256 << 20, 1 << 20, 1000, 1 << 20

// ReadRun reads metrics.jsonl, and config.yaml, answers.json, data.json, run.json and
// best.json where they are there. A run may be going on: a last line without an end is
// passed over.
func ReadRun(dir string) (*Run, error) {
	r := &Run{Dir: dir}
	return r, r.Update()
}

// Update reads what has changed since, of metrics.jsonl the lines that are new.
func (r *Run) Update() error {
	if err := r.readMetrics(filepath.Join(r.Dir, rundir.Metrics)); err != nil {
		return err
	}
	raw, err := optional(filepath.Join(r.Dir, rundir.Config))
	if err != nil {
		return err
	}
	r.Settings, r.Answers, r.About, r.Data = settings(string(raw)), nil, About{}, nil
	var best struct{ Checkpoint struct{ Path string } }
	for _, file := range []struct {
		name string
		to   any
	}{{rundir.Answers, &r.Answers}, {rundir.File, &r.About}, {rundir.Best, &best}} {
		path := filepath.Join(r.Dir, file.name)
		if raw, err = optional(path); err != nil {
			return err
		}
		if len(raw) == 0 {
			continue
		}
		if err := plainjson.Decode(raw, mostValues, file.to); err != nil {
			return fault.Usage(plainjson.In(path, err))
		}
	}
	r.Best = best.Checkpoint.Path
	path := filepath.Join(r.Dir, DataFile)
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
		if r.Data, err = data.ReadStats(path); err != nil {
			return err
		}
	}
	return nil
}

// DataFile holds the statistics of a run's data in its folder.
const DataFile = "data.json"

func optional(path string) ([]byte, error) {
	f, err := rundir.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.Usage(err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, most+1))
	if len(raw) > most {
		err = fault.Usage(tooLarge(path))
	}
	return raw, err
}

func tooLarge(path string) error { return fmt.Errorf("%s: more than %d MiB", path, most>>20) }

// readMetrics reads the lines that are not in the series yet: all where it is another file than before, or a
// shorter one.
func (r *Run) readMetrics(path string) error {
	f, err := rundir.Open(path)
	if p := new(fs.PathError); errors.As(err, &p) {
		err = fmt.Errorf("%s: %w", path, p.Err)
	}
	if err != nil {
		return fault.Usage(fault.Hint(err, "a run's folder has a metrics.jsonl, which `lwtrain sft` writes"))
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if r.file == nil || !os.SameFile(info, r.file) || info.Size() < r.read {
		r.Series, r.lines, r.read, r.Began, r.Last = map[string]*Curve{}, 0, 0, time.Time{}, time.Time{}
	}
	r.file = info
	if _, err := f.Seek(r.read, io.SeekStart); err != nil {
		return err
	}
	of := &io.LimitedReader{R: f, N: most + 1 - r.read}
	in := bufio.NewReaderSize(of, mostLine)
	for {
		line, err := in.ReadSlice('\n')
		if of.N == 0 {
			return fault.Usage(tooLarge(path))
		}
		if err == io.EOF {
			return nil
		}
		at := fmt.Sprintf("%s:%d", path, r.lines+1)
		if err != nil {
			return fault.Usage(fmt.Errorf("%s: a line of more than %d bytes, want one JSON object", at, mostLine))
		}
		if err := r.addLine(line); err != nil {
			return fault.Usage(fmt.Errorf("%s: %w", at, err))
		}
		r.read += int64(len(line))
		r.lines++
	}
}

// addLine adds the numbers of a line to their series.
func (r *Run) addLine(line []byte) error {
	var values map[string]any
	if err := plainjson.Unmarshal(bytes.TrimSpace(line), &values); err != nil {
		return err
	}
	step, ok := values["step"].(float64)
	if !ok {
		return errors.New("no number as step")
	}
	if at, ok := values["time"].(string); ok {
		r.Last, _ = time.Parse(time.RFC3339, at) // of another form it is not known
		if r.Began.IsZero() {
			r.Began = r.Last
		}
	}
	for key, v := range values {
		value, ok := v.(float64)
		if !ok || key == "step" {
			continue // null stands for NaN and infinity
		}
		c := r.Series[key]
		if c == nil {
			if len(r.Series) == mostSeries {
				return fmt.Errorf("a number %.40q beside %d others, want fewer", key, mostSeries)
			}
			c = &Curve{}
			r.Series[key] = c
		}
		c.Step, c.Value = append(c.Step, step), append(c.Value, value)
	}
	return nil
}
