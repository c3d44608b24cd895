package main

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"lwtrain/engine/torch"
	"lwtrain/train"
)

var torchKills = flag.Int("torch-kills", 3, "how often the processes of runs by torch are killed")

// withTorch finds the Python that runs by torch use. Where none is named the test is skipped; make test-torch names one.
func withTorch(t *testing.T) {
	t.Helper()
	python, must := os.Getenv("LWTRAIN_PYTHON"), os.Getenv("LWTRAIN_TEST_TORCH") != ""
	if python == "" && !must {
		t.Skip("LWTRAIN_PYTHON names no Python: make test-torch does")
	}
	in, err := torch.Find(context.Background(), python)
	if err != nil && must {
		t.Fatal(err)
	}
	if err != nil {
		t.Skipf("no torch here: %v", err)
	}
	t.Setenv("LWTRAIN_PYTHON", in.Path)
}

// labelled are the answers of pairs one by one, with labels.
func labelled(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"prompt": "count to %d", "completion": "%s", "label": true}`+"\n", i, strings.Repeat(fmt.Sprint(i, " "), 3+i%9))
		fmt.Fprintf(&b, `{"prompt": "count to %d", "completion": "%d", "label": false}`+"\n", i, i)
	}
	return b.String()
}

// lines are the metrics of a run that was done with arguments, from a folder of its own.
func (w workload) lines(t *testing.T, args ...string) []map[string]any {
	t.Helper()
	dir := w.fresh(t)
	if err := os.WriteFile(filepath.Join(dir, "labels.jsonl"), []byte(labelled(12)), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("lwtrain", append([]string{w.command, "-c", "run.yaml"}, args...)...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	lines, err := train.ReproducibleMetrics(filepath.Join(dir, "run", "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// moved are arguments of preference runs whose margins come to be as large as their sums' digits ask for. At the default rate margins
// spread over 3e-3 after four steps, and are differences of sums of 80: their correlation with the lengths, of float32, is then
// no better than 5e-5 by whatever computes it.
// Prompts are counted for each answer, as torch computes them.
var moved = []string{"train.learning_rate=1e-3", "dpo.share_prompts=false"}

// TestRunsByTorchAreThoseOfTheNativeEngine compares every number that runs tell.
func TestRunsByTorchAreThoseOfTheNativeEngine(t *testing.T) {
	withTorch(t)
	full := !testing.Short()
	for _, c := range []struct {
		name  string
		work  workload
		args  []string
		ranks []int
		do    bool
		most  float64
	}{
		{"sft", sftWork, []string{"train.precision=float32", "train.save_steps=0"}, some([]int{2}, 1), true, 1e-5},
		{"sft with adapters", sftWork, []string{"train.precision=float32", "train.save_steps=0", "lora.rank=4", "lora.dropout=0.2",
			"lora.variant=dora", "lora.modules_to_save=[embed_tokens]"}, []int{2}, true, 1e-5},
		{"dpo with adapters", dpoWork, append(moved, "lora.rank=4", "lora.dropout=0.2", "lora.variant=rslora"), []int{2}, full, 1e-5},
		{"dpo with pairs in one pack", dpoWork, moved, []int{2}, true, 1e-5},
		{"dpo with pairs in two packs", dpoWork, append(moved, "packing.capacity=96", "data.max_length=96", "data.too_long=skip"),
			[]int{2}, true, 1e-5},
		{"ipo", dpoWork, append(moved, "dpo.loss_type=ipo", "train.max_steps=4"), []int{2}, full, 1e-5},
		{"simpo", dpoWork, append(moved, "dpo.loss_type=simpo", "train.max_steps=4"), []int{2}, full, 1e-5},
		{"kto", dpoWork, append(moved, "dpo.loss_type=kto", "data.sources=[{name: l, path: labels.jsonl}]", "train.max_steps=4"),
			[]int{2}, true, 1e-5},
		{"packs of hbp, averages of tokens", sftWork, packedBy("hbp", "ave_token"), []int{2}, full, 1e-5},
		{"packs of a histogram, long-ce", sftWork, packedBy("histogram", "long_ce"), []int{2}, full, 1e-5},
		{"sorted packs, weighed by message", sftWork, packedBy("sorted", "message"), []int{2}, full, 1e-5},
		{"packs of first fit, weighed by length", sftWork, packedBy("first_fit", "length"), []int{2}, full, 1e-5},
		{"packs of hbp, weighed by what is likely", sftWork, packedBy("hbp", "dft"), []int{2}, true, 1e-5},
	} {
		if !c.do {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			want := c.work.lines(t, c.args...)
			for _, ranks := range c.ranks {
				got := c.work.lines(t, append(c.args, "engine.kind=torch", fmt.Sprint("engine.processes=", ranks))...)
				sameLines(t, ranks, got, want, c.most)
				if strings.HasPrefix(c.name, "dpo") {
					startsAtLn2(t, got)
				}
			}
		})
	}
}

// some are the first values, and without -short more.
func some(few []int, more ...int) []int {
	if testing.Short() {
		return few
	}
	return append(few, more...)
}

// packedBy are arguments of a short run with a packer and a weighting.
func packedBy(packer, weighting string) []string {
	return []string{"train.precision=float32", "train.save_steps=0", "train.max_steps=6", "train.eval_steps=3", "sample.prompts=0",
		"packing.strategy=" + packer, "packing.weighting=" + weighting}
}

// sameLines holds all numbers of metrics against each other.
func sameLines(t *testing.T, ranks int, got, want []map[string]any, most float64) {
	t.Helper()
	if len(got) != len(want) || len(want) == 0 {
		t.Fatalf("%d lines of metrics, want %d", len(got), len(want))
	}
	for i, line := range want {
		if keys := slices.Sorted(maps.Keys(line)); !slices.Equal(keys, slices.Sorted(maps.Keys(got[i]))) {
			t.Fatalf("line %d has other keys than %v", i, keys)
		}
		for key, v := range line {
			if strings.HasSuffix(key, "/ties") || strings.HasSuffix(key, "/accuracies") {
				continue // of margins that are 0 but for roundings
			}
			a, number := v.(float64)
			b, _ := got[i][key].(float64)
			if number && !(math.Abs(a-b) <= most*max(1, math.Abs(a))) {
				t.Errorf("%d ranks, line %d: %s is %g, want %g", ranks, i, key, b, a)
			}
		}
	}
}

// startsAtLn2 wants the loss of pairs about which model and reference say the same: in the evaluation before training, and in
// the first step.
func startsAtLn2(t *testing.T, lines []map[string]any) {
	t.Helper()
	evaluated, _ := lines[0]["eval_loss"].(float64)
	learned, _ := lines[1]["loss"].(float64)
	if evaluated != math.Ln2 || !(math.Abs(learned-math.Ln2) <= 1e-6) {
		t.Errorf("the first losses are %.9g and %.9g, want ln 2", evaluated, learned)
	}
}

// byTorch are small runs on two processes that come out the same to the byte. The working folder has a file that Python would
// import in place of torch.
func byTorch(w workload) workload {
	w.files = maps.Clone(w.files)
	w.files["torch.py"] = "raise SystemExit('torch.py of the working folder')\n"
	w.files["run.yaml"] += "engine: {kind: torch, processes: 2, deterministic: true}\n"
	return w
}

// longer are runs of so many steps that one which is to be caught in their midst is, however late a test looks.
func longer(w workload) workload {
	w.files = maps.Clone(w.files)
	w.files["run.yaml"] = strings.ReplaceAll(w.files["run.yaml"], "max_steps: 20,", "max_steps: 60,")
	return w
}

// descendants are the processes below a process, itself first.
func descendants(pid int) []int {
	parents := map[int][]int{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		raw := string(slurp(path))
		fields := strings.Fields(raw[strings.LastIndexByte(raw, ')')+1:])
		if len(fields) < 2 {
			continue
		}
		parent, _ := strconv.Atoi(fields[1])
		child, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		parents[parent] = append(parents[parent], child)
	}
	all := []int{pid}
	for i := 0; i < len(all); i++ {
		all = append(all, parents[all[i]]...)
	}
	return all
}

// TestKilledTorchRuns kills one of the processes of runs at random moments: the program, the
// launcher, a worker. Nothing stays behind, and the same command goes on to the same bytes.
func TestKilledTorchRuns(t *testing.T) {
	withTorch(t)
	killsOfTorchRuns(t, byTorch(sftWork), *torchKills)
}

// TestKilledTorchRunsOfAdapters does so where adapters are trained, and the embedding beside them.
func TestKilledTorchRunsOfAdapters(t *testing.T) {
	withTorch(t)
	w := byTorch(sftWork)
	w.files["run.yaml"] += "lora: {rank: 4, dropout: 0.2, variant: dora, modules_to_save: [embed_tokens]}\n"
	killsOfTorchRuns(t, w, (*torchKills+2)/3)
}

// torchProcesses are those of a run, in the order of descendants.
var torchProcesses = []string{"program", "launcher", "rank 0", "rank 1"}

// atRandom waits for a random moment of a run that takes so long, after the process of a kind has begun, and returns the run's
// processes: without that one where the run has ended before.
func atRandom(pid, kind int, random *rand.Rand, whole time.Duration) []int {
	began := time.Now()
	for len(descendants(pid)) <= kind && running(pid) {
		time.Sleep(20 * time.Millisecond)
	}
	time.Sleep(time.Duration(random.Int64N(int64(max(whole-time.Since(began), whole/10)))))
	return descendants(pid)
}

// killsOfTorchRuns lets a run end under many kills.
func killsOfTorchRuns(t *testing.T, w workload, kills int) {
	t.Helper()
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("no /proc here: the processes of a run are not known")
	}
	alone, _, whole := w.alone(t)
	want := withoutEngine(readRun(t, alone))
	random := rand.New(rand.NewPCG(3, 0))
	victims := map[string]int{}
	for killed := 0; killed < kills; {
		dir := w.fresh(t)
		for first := true; ; first = false {
			cmd := w.start(t, dir)
			var all []int
			if killed < kills && (first || random.IntN(2) == 0) {
				kind := killed % len(torchProcesses)
				if all = atRandom(cmd.Process.Pid, kind, random, whole); len(all) > kind && running(all[kind]) {
					syscall.Kill(all[kind], syscall.SIGKILL)
					victims[torchProcesses[kind]]++
					killed++
				}
			}
			err := cmd.Wait()
			gone(t, all)
			if err == nil {
				break
			}
			if len(all) == 0 {
				t.Fatalf("after %d kills: %v\n%s", killed, err, cmd.Stderr)
			}
		}
		for _, name := range differences(want, withoutEngine(readRun(t, dir))) {
			t.Errorf("after %d kills in all: %s differs", killed, name)
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("killed: %v; each run ended with the same bytes as that of %v which was left alone", victims, whole.Round(time.Second))
}

// TestATorchRunGoesOnByItself kills a worker and then the launcher of a run that may go on twice.
func TestATorchRunGoesOnByItself(t *testing.T) {
	withTorch(t)
	w := longer(byTorch(sftWork))
	w.files["run.yaml"] = strings.ReplaceAll(w.files["run.yaml"], "processes: 2,", "processes: 2, restarts: 2,")
	alone, _, _ := w.alone(t)
	dir := w.fresh(t)
	cmd := w.start(t, dir)
	for i, kind := range []int{3, 1} {
		text := fmt.Sprintf(`{"step":%d,"epoch"`, 5+7*i)
		for !strings.Contains(string(slurp(filepath.Join(dir, "run", "metrics.jsonl"))), text) {
			time.Sleep(time.Millisecond)
		}
		all := descendants(cmd.Process.Pid)
		syscall.Kill(all[min(kind, len(all)-1)], syscall.SIGKILL)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, cmd.Stderr)
	}
	if said := fmt.Sprint(cmd.Stderr); strings.Count(said, "the run goes on from its last checkpoint") != 2 {
		t.Errorf("want that it went on twice:\n%s", said)
	}
	for _, name := range differences(withoutEngine(readRun(t, alone)), withoutEngine(readRun(t, dir))) {
		t.Errorf("%s differs", name)
	}
}

// withoutEngine leaves out what the workers write beside a run.
func withoutEngine(run map[string]any) map[string]any {
	maps.DeleteFunc(run, func(name string, _ any) bool { return name == "engine" || strings.HasPrefix(name, "engine/") })
	return run
}

// running reports whether a process is there and has not ended.
func running(pid int) bool {
	raw := string(slurp(fmt.Sprintf("/proc/%d/stat", pid)))
	return raw != "" && !strings.HasPrefix(raw[strings.LastIndexByte(raw, ')')+1:], " Z")
}

// gone waits until no process of a run is there any more.
func gone(t *testing.T, pids []int) {
	t.Helper()
	const most = 5 * time.Minute // of a machine that does other things as well
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		left := slices.DeleteFunc(slices.Clone(pids), func(pid int) bool { return !running(pid) })
		if len(left) == 0 {
			return
		}
		if time.Since(began) > most {
			t.Fatalf("processes %v are still there %v after a kill", left, most)
		}
	}
}

// TestAStoppedTorchRunGoesOnByAnotherEngine interrupts a run in a step, and lets the embedded engine and then another
// number of processes go on: within 1e-4 of the run by one of them.
func TestAStoppedTorchRunGoesOnByAnotherEngine(t *testing.T) {
	withTorch(t)
	w := longer(sftWork)
	precision := []string{"train.precision=float32"}
	want := w.lines(t, precision...)
	dir := w.fresh(t)
	for i, args := range [][]string{
		{"engine.kind=torch", "engine.processes=2"}, {"engine.kind=native"}, {"engine.kind=torch", "engine.processes=1"},
	} {
		cmd := exec.Command("lwtrain", append(append([]string{w.command, "-c", "run.yaml"}, precision...), args...)...)
		said := &strings.Builder{}
		cmd.Dir, cmd.Stderr = dir, said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if i < 2 {
			text := fmt.Sprintf(`{"step":%d,"epoch"`, 4+7*i)
			for !strings.Contains(string(slurp(filepath.Join(dir, "run", "metrics.jsonl"))), text) {
				time.Sleep(time.Millisecond)
			}
			cmd.Process.Signal(syscall.SIGTERM)
		}
		err := cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); i < 2 && code != exitInterrupted || i == 2 && err != nil {
			t.Fatalf("%v: exit status %d\n%s", args, code, said)
		}
	}
	got, err := train.ReproducibleMetrics(filepath.Join(dir, "run", "metrics.jsonl"))
	if err != nil || len(got) != len(want) {
		t.Fatalf("%d lines of metrics, want %d (%v)", len(got), len(want), err)
	}
	for i, line := range want {
		for _, key := range []string{"loss", "eval_loss", "grad_norm"} {
			a, there := line[key].(float64)
			if b, _ := got[i][key].(float64); there && !(math.Abs(a-b) <= 1e-4*math.Abs(a)) {
				t.Errorf("line %d: %s is %g, want %g", i, key, b, a)
			}
		}
	}
}

// TestADryRunByTorchWritesNothing wants the plan, and no process and no file.
func TestADryRunByTorchWritesNothing(t *testing.T) {
	withTorch(t)
	w := byTorch(sftWork)
	dir := w.fresh(t)
	cmd := exec.Command("lwtrain", "sft", "-c", "run.yaml", "--dry-run")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"of 1, 2, 4, 8 GPUs each holds ", "2 processes on processor, float32, deterministic",
		"more while one is made of the processes' parts",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "run")); !os.IsNotExist(err) {
		t.Errorf("the run's folder: %v, want none", err)
	}
	for line := range strings.Lines(string(out)) {
		if columns := len([]rune(strings.TrimSpace(line))); strings.Contains(line, "torch") && columns > 80 {
			t.Errorf("%d columns: %s", columns, line)
		}
	}
}
