package track

import (
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"lwtrain/train"
)

// steps are the lines of steps up to one.
func steps(last int) []byte {
	var out []byte
	for i := 1; i <= last; i++ {
		at := train.Moment{Time: fmt.Sprintf("2026-01-02T03:04:%02dZ", i), Elapsed: float64(i)}
		m := train.StepMetrics{Step: i, Loss: 1 / float64(i), Moment: at}
		raw, _ := json.Marshal(m)
		out = append(append(out, raw...), '\n')
	}
	return out
}

// The bytes are those of tensorboard 2.21's RecordWriter.
func TestRecordsAreThoseOfTensorBoard(t *testing.T) {
	if got := masked([]byte("123456789")); got != 0xc78ab0e5 {
		t.Errorf("the masked CRC-32C of 123456789 is %#x, want 0xc78ab0e5", got)
	}
	time := binary.LittleEndian.AppendUint64([]byte{1<<3 | 1}, math.Float64bits(1.8e9))
	got := record(slices.Concat(time, text(3, "brain.Event:2")))
	want := "\x18\x00\x00\x00\x00\x00\x00\x00\xa3\x7fK\"\t\x00\x00\x00\x80t\xd2\xdaA\x1a\rbrain.Event:2H\xf0;S"
	if string(got) != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestPlacesAreWrittenAnewByARunThatGoesOn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a [run]*")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	var said []string
	p := Places{
		Dir: dir, Names: []string{"csv", "tensorboard", "csv"}, Columns: Columns(Kind{Sources: []string{`a "b", c`}}),
		Warn: func(text string) { said = append(said, text) },
	}
	heard := 0
	e := p.Join(train.Events{Step: func(train.StepMetrics) { heard++ }, Eval: func(train.EvalMetrics) { heard++ }})
	e.Begun(train.Kept{})
	for i := 1; i <= 5; i++ {
		e.Step(train.StepMetrics{Step: i, Loss: 9})
	}
	p.Close()
	before, err := fs.Glob(os.DirFS(dir), "events*")
	if err != nil || len(before) != 1 {
		t.Fatal(before, err)
	}
	e.Begun(train.Kept{Lines: steps(3)})
	e.Step(train.StepMetrics{Step: 4, Loss: 0.25})
	e.Eval(train.EvalMetrics{Step: 4, Loss: 2, Sources: []train.SourceLoss{{Name: `a "b", c`, Loss: math.NaN()}}})
	p.Close()
	after, err := fs.Glob(os.DirFS(dir), "events*")
	if err != nil || len(after) != 1 || after[0] <= before[0] {
		t.Errorf("event files %v, then %v (%v), want one with a later name", before, after, err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "metrics.csv"))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(string(raw))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, row := range rows {
		loss, held := slices.Index(rows[0], "loss"), slices.Index(rows[0], `eval_loss/a "b", c`)
		got = append(got, row[0]+" "+row[loss]+" "+row[held])
	}
	want := []string{`step loss eval_loss/a "b", c`, "1 1 ", "2 0.5 ", "3 0.3333333333333333 ", "4 0.25 ", "4  NaN"}
	if !slices.Equal(got, want) {
		t.Errorf("rows %q, want %q", got, want)
	}
	if len(said) > 0 || heard != 7 {
		t.Errorf("warnings %q; %d events were heard, want 7", said, heard)
	}
}

func TestWhatFailsIsSaidOnceAndTheOthersGoOn(t *testing.T) {
	var said []string
	p := Places{
		Dir: t.TempDir(), Names: []string{"csv", "tensorboard"}, Columns: Columns(Kind{}),
		Warn: func(text string) { said = append(said, text) },
	}
	e := p.Join(train.Events{})
	e.Begun(train.Kept{Lines: []byte("{\"step\":\"one\"}\n")})
	for i := 1; i <= 3; i++ {
		e.Step(train.StepMetrics{Step: i, Values: map[string]float64{"unheard": 1}})
	}
	p.Close()
	if len(said) != 2 || !strings.Contains(said[0], `step is "one", want a number`) ||
		!strings.Contains(said[1], `metrics.csv: step 1 has "unheard", for which there is no column: it gets no more`) {
		t.Errorf("warnings %q", said)
	}
	if n := len(p.open); n != 0 {
		t.Errorf("%d places are open", n)
	}
	p.Dir = filepath.Join(p.Dir, "none")
	said = nil
	e.Begun(train.Kept{})
	if len(said) != 2 {
		t.Errorf("of a folder that is not there: %q", said)
	}
}

func TestNamesOfEventFilesAreInOrder(t *testing.T) {
	now := time.Unix(1700000000, 0)
	for _, c := range []struct{ name, old, want string }{
		{"the first", "", "events.out.tfevents.1700000000."},
		{"one of the same second", "events.out.tfevents.1700000000.host.1.lwtrain", "events.out.tfevents.1700000001."},
		{"one by a clock that was ahead", "events.out.tfevents.1800000000.host.1.lwtrain", "events.out.tfevents.1800000001."},
		{"one without a number", "events.out.tfevents.x.lwtrain", "events.out.tfevents.1700000000."},
	} {
		if got := eventsName([]string{c.old}, now); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %s, want %s...", c.name, got, c.want)
		}
	}
}
