package track

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"lwtrain/train"
)

// events is a TensorBoard event file: records of protocol buffers (tensorflow/core/util/event.proto), each
// after its length and before its checksum. Scalars are float32 there.
//
// TensorBoard reads the event files of a folder in the order of their names. Each of ours
// holds the whole run up to now and begins with a start of session at step 0, at which it
// forgets what it has read of the folder; the files before it are then removed.
type events struct {
	f       *os.File
	written map[string]bool // tags of texts
}

const (
	eventsBegin = "events.out.tfevents."
	eventsEnd   = ".lwtrain"
)

// openEvents begins a new file with what is known of a run.
func openEvents(dir string, config []byte, answers []train.Answer, lines []line) (*events, error) {
	old, err := fs.Glob(os.DirFS(dir), eventsBegin+"*"+eventsEnd)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, eventsName(old, time.Now())), os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	e := &events{f: f, written: map[string]bool{}}
	at, last := time.Now(), 0
	if len(lines) > 0 && !lines[0].time.IsZero() {
		at = lines[0].time
	}
	all := record(event(at, 0, text(3, "brain.Event:2")))
	all = append(all, record(event(at, 0, nested(7, number(1, 1))))...) // SessionLog.START
	all = append(all, record(event(at, 0, e.text("config", config)))...)
	for _, l := range lines {
		all, last = append(all, scalars(l)...), l.step
	}
	if _, err = f.Write(all); err == nil {
		err = e.answers(answers, last)
	}
	for _, name := range old {
		if err == nil {
			err = os.Remove(filepath.Join(dir, name))
		}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return e, nil
}

// eventsName is a name behind those that are there, in the order of bytes.
func eventsName(old []string, now time.Time) string {
	second := now.Unix()
	for _, name := range old {
		before, _, _ := strings.Cut(strings.TrimPrefix(name, eventsBegin), ".")
		if n, err := strconv.ParseInt(before, 10, 64); err == nil && n < 1e10-1 {
			second = max(second, n+1)
		}
	}
	host, err := os.Hostname()
	if err != nil || strings.ContainsAny(host, "/\x00") {
		host = "localhost"
	}
	return fmt.Sprintf("%s%010d.%s.%d%s", eventsBegin, second, host, os.Getpid(), eventsEnd)
}

func (e *events) line(l line) error {
	_, err := e.f.Write(scalars(l))
	return err
}

// answers writes those of before training at step 0 and those of after it at a step, each
// once.
func (e *events) answers(all []train.Answer, step int) error {
	var out []byte
	for i, a := range all {
		for _, x := range []struct {
			when string
			step int
			text *train.Text
		}{{"before", 0, a.Before}, {"after", step, a.After}} {
			tag := fmt.Sprintf("answers_%s/%d", x.when, i+1)
			if x.text == nil || e.written[tag] {
				continue
			}
			content := fmt.Sprintf("%s\n\n%s\n\n(%d words, %s)", a.Prompt, x.text.Text, x.text.Words, x.text.Stop)
			out = append(out, record(event(time.Now(), x.step, e.text(tag, []byte(content))))...)
		}
	}
	_, err := e.f.Write(out)
	return err
}

func (e *events) close() error { return errors.Join(e.f.Sync(), e.f.Close()) }

// scalars is the record of a line's numbers: those of a step as train/<key>, those of an
// evaluation as eval/<key without eval_>.
func scalars(l line) []byte {
	at := l.time
	if at.IsZero() {
		at = time.Now()
	}
	var values []byte
	for _, key := range slices.Sorted(maps.Keys(l.values)) {
		name, measured := strings.CutPrefix(key, "eval_")
		if key == "step" || key == "time" || l.eval && !measured {
			continue
		}
		v, err := strconv.ParseFloat(l.values[key], 64)
		if err != nil { // null
			v = math.NaN()
		}
		tag := "train/" + name
		if measured {
			tag = "eval/" + name
		}
		values = append(values, nested(1, text(1, tag), float(2, float32(v)))...)
	}
	return record(event(at, l.step, bytesField(5, values)))
}

// text is a summary with a text, shown as it is: Markdown's form of code.
func (e *events) text(tag string, content []byte) []byte {
	e.written[tag] = true
	shown := "    " + strings.ReplaceAll(strings.ToValidUTF8(string(content), "\uFFFD"), "\n", "\n    ")
	tensor := nested(8, number(1, 7), nested(2, nested(2, number(1, 1))), text(8, shown)) // DT_STRING of shape [1]
	metadata := nested(9, nested(1, text(1, "text")), number(4, 2))                       // DATA_CLASS_TENSOR
	return nested(5, nested(1, text(1, tag), tensor, metadata))
}

// event is an Event message with one more field.
func event(at time.Time, step int, field []byte) []byte {
	b := binary.AppendUvarint(nil, 1<<3|1)
	b = binary.LittleEndian.AppendUint64(b, math.Float64bits(float64(at.UnixMicro())/1e6))
	return append(append(b, number(2, step)...), field...)
}

// The wire format of protocol buffers, field by field.

func number(field, v int) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(nil, uint64(field)<<3), uint64(v))
}

func float(field int, v float32) []byte {
	return binary.LittleEndian.AppendUint32(binary.AppendUvarint(nil, uint64(field)<<3|5), math.Float32bits(v))
}

func text(field int, v string) []byte { return bytesField(field, []byte(v)) }

func nested(field int, fields ...[]byte) []byte { return bytesField(field, slices.Concat(fields...)) }

func bytesField(field int, v []byte) []byte {
	b := binary.AppendUvarint(nil, uint64(field)<<3|2)
	return append(binary.AppendUvarint(b, uint64(len(v))), v...)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked is the checksum of records: CRC-32C, turned by 15 bits and moved, so that data which
// holds checksums has good ones.
func masked(b []byte) uint32 {
	c := crc32.Checksum(b, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}

// record is a message as it lies in the file.
func record(message []byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(message)))
	b = binary.LittleEndian.AppendUint32(b, masked(b))
	b = append(b, message...)
	return binary.LittleEndian.AppendUint32(b, masked(message))
}
