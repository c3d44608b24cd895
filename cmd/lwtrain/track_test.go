package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// ktoWork trains on labelled answers.
var ktoWork = workload{"dpo", map[string]string{
	"pairs.jsonl": labelled(24),
	"run.yaml":    strings.Replace(dpoWork.files["run.yaml"], "packing:", "dpo: {loss_type: [kto]}\npacking:", 1),
}, dpoWork.begun}

// TestPlacesAfterKills kills runs that report to TensorBoard, goes on with them under a table as well, and
// asks finished ones once more: what is there is what metrics.jsonl has.
func TestPlacesAfterKills(t *testing.T) {
	for _, c := range []struct {
		name string
		workload
	}{{"fine-tuning", sftWork}, {"pairs", dpoWork}, {"labelled answers", ktoWork}} {
		t.Run(c.name, func(t *testing.T) {
			before := c.files["run.yaml"]
			c.files = maps.Clone(c.files)
			c.files["run.yaml"] = strings.Replace(before, "{dir: run}", "{dir: run, report_to: [tensorboard]}", 1)
			dir := c.halfway(t)
			run := filepath.Join(dir, "run")
			if _, err := os.Stat(filepath.Join(run, "metrics.csv")); err == nil {
				t.Fatal("a table that nobody asked for")
			}
			config := strings.Replace(before, "{dir: run}", "{dir: run, report_to: [csv, tensorboard]}", 1)
			torn := "step,epoch\r\n14,0.5"
			for _, err := range []error{
				os.WriteFile(filepath.Join(dir, "run.yaml"), []byte(config), 0o644),
				os.WriteFile(filepath.Join(run, "metrics.csv"), []byte(torn), 0o644),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
			for _, when := range []string{"after a kill", "finished before"} {
				cmd := c.start(t, dir)
				err := cmd.Wait()
				said := strings.ReplaceAll(fmt.Sprint(cmd.Stderr), "lwtrain: warning: environment LWTRAIN_TEST_", "") // make sets these
				if err != nil || strings.Contains(said, "lwtrain: warning: ") {
					t.Fatalf("%v\n%s", err, cmd.Stderr)
				}
				checkTable(t, run)
				t.Run("read by TensorBoard, "+when, func(t *testing.T) { checkEvents(t, run) })
				if err := os.Remove(filepath.Join(run, "metrics.csv")); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// metricsOf are the numbers of a run's metrics.jsonl, by key and step, NaN for null.
func metricsOf(t *testing.T, run string) (lines []map[string]any) {
	t.Helper()
	for line := range strings.Lines(string(slurp(filepath.Join(run, "metrics.jsonl")))) {
		var values map[string]any
		if err := json.Unmarshal([]byte(line), &values); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, values)
	}
	if len(lines) == 0 {
		t.Fatalf("%s: no metrics", run)
	}
	return lines
}

// checkTable wants a row for each line of metrics.jsonl, with its numbers and no others.
func checkTable(t *testing.T, run string) {
	t.Helper()
	raw := string(slurp(filepath.Join(run, "metrics.csv")))
	if n, crlf := strings.Count(raw, "\n"), strings.Count(raw, "\r\n"); n != crlf {
		t.Errorf("%d of %d lines end in CRLF, want all", crlf, n)
	}
	rows, err := csv.NewReader(strings.NewReader(raw)).ReadAll() // refuses rows of different lengths
	if err != nil {
		t.Fatal(err)
	}
	lines := metricsOf(t, run)
	if len(rows) != len(lines)+1 {
		t.Fatalf("%d rows under the head, want %d", len(rows)-1, len(lines))
	}
	for i, row := range rows[1:] {
		for at, key := range rows[0] {
			want := ""
			if v, ok := lines[i][key]; ok {
				if want = fmt.Sprint(v); v == nil {
					want = "NaN"
				}
			}
			same := row[at] == want
			if a, err := strconv.ParseFloat(row[at], 64); err == nil && !same {
				b, err := strconv.ParseFloat(want, 64)
				same = err == nil && a == b
			}
			if !same {
				t.Errorf("row %d: %s is %q, want %q", i+1, key, row[at], want)
			}
			delete(lines[i], key)
		}
		if len(lines[i]) > 0 {
			t.Errorf("row %d: no column for %v", i+1, lines[i])
		}
	}
}

// readEvents is a program that prints what TensorBoard reads of a folder.
const readEvents = `
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
a = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0, "tensors": 0})
a.Reload()
tags = a.Tags()
print(json.dumps({
  "scalars": {t: [[e.step, repr(e.value)] for e in a.Scalars(t)] for t in tags["scalars"]},
  "texts": {t: [[e.step, e.tensor_proto.string_val[0].decode()] for e in a.Tensors(t)] for t in tags["tensors"]}}))
`

// checkEvents lets PyPI's tensorboard read a run's folder and wants the scalars of metrics.jsonl,
// each once, and the config and the answers as texts.
func checkEvents(t *testing.T, run string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(run, "events.out.tfevents.*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("event files %v (%v), want one", files, err)
	}
	python := os.Getenv("LWTRAIN_TEST_TENSORBOARD")
	if python == "" {
		python = "python3"
	}
	if err := exec.Command(python, "-c", "import tensorboard").Run(); err != nil {
		t.Skipf("%s has no tensorboard (%v); LWTRAIN_TEST_TENSORBOARD names a Python that has", python, err)
	}
	out, err := exec.Command(python, "-c", readEvents, run).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("%v\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	var got struct {
		Scalars map[string][][2]any
		Texts   map[string][][2]any
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string][][2]any{}
	for _, line := range metricsOf(t, run) {
		_, measured := line["eval_loss"]
		for key, v := range line {
			name, held := strings.CutPrefix(key, "eval_")
			x, isNumber := v.(float64)
			if key == "step" || key == "time" || measured && !held || !isNumber && v != nil {
				continue
			}
			if v == nil {
				x = math.NaN()
			}
			tag := "train/" + name
			if held {
				tag = "eval/" + name
			}
			want[tag] = append(want[tag], [2]any{line["step"], x})
		}
	}
	for tag, points := range want {
		if len(points) != len(got.Scalars[tag]) {
			t.Errorf("%s: TensorBoard has %d points, want %d", tag, len(got.Scalars[tag]), len(points))
			continue
		}
		for i, p := range points {
			v, err := strconv.ParseFloat(got.Scalars[tag][i][1].(string), 64)
			if w := float64(float32(p[1].(float64))); err != nil || got.Scalars[tag][i][0] != p[0] || v != w && !math.IsNaN(w) {
				t.Errorf("%s, point %d: step %v, %v, want step %v, %v", tag, i, got.Scalars[tag][i][0], v, p[0], w)
			}
		}
		delete(got.Scalars, tag)
	}
	if len(got.Scalars) > 0 {
		t.Errorf("TensorBoard has more scalars: %v", got.Scalars)
	}
	for _, tag := range []string{"config", "answers_before/1", "answers_after/1"} {
		if len(got.Texts[tag]) != 1 {
			t.Errorf("texts %q: %v, want one", tag, got.Texts[tag])
		}
	}
	if config := got.Texts["config"]; len(config) == 1 && !strings.Contains(config[0][1].(string), "\n    train:\n") {
		t.Errorf("the config is %v", config)
	}
	if !slices.IsSortedFunc(got.Scalars["train/loss"], func(a, b [2]any) int { return int(a[0].(float64) - b[0].(float64)) }) {
		t.Error("train/loss is not in order")
	}
}
