package chain

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lwtrain/configs"
	"lwtrain/internal/fault"
	"lwtrain/internal/rundir"
)

// letters is a chain of steps a, b, c, of which b reads what a writes, and d what b writes.
func letters() *configs.Chain {
	step := func(name string, args []string, reads ...string) configs.Step {
		return configs.Step{Name: name, Command: []string{"do"}, Args: args, Dir: filepath.Join("run", name), Reads: reads}
	}
	return &configs.Chain{Dir: "run", Steps: []configs.Step{
		step("a", []string{"in.txt"}), step("b", []string{"run/a/out"}, "a"), step("c", nil), step("d", []string{"run/b"}, "b"),
	}}
}

// world is what commands do: they write out, with what they read in it, and fail where they are told to.
type world struct {
	did  []string
	fail map[string]error
}

func (w *world) do(_ context.Context, command []string) error {
	names := map[string]string{"in.txt": "a", "run/a/out": "b", "": "c", "run/b": "d"}
	read := strings.Join(command[1:], " ")
	name := names[read]
	w.did = append(w.did, name)
	if err := w.fail[name]; err != nil {
		return err
	}
	raw, _ := os.ReadFile(read)
	return os.WriteFile(filepath.Join("run", name, "out"), append(raw, name...), 0o644)
}

// run does the chain, and returns what was begun and how far each step is.
func (w *world) run(t *testing.T, again ...string) (did string, states string, err error) {
	t.Helper()
	w.did = nil
	r, err := Open(letters())
	if err != nil {
		t.Fatal(err)
	}
	steps, err := r.Anew(again)
	if err == nil {
		_, err = r.Aside(steps)
	}
	if err != nil {
		t.Fatal(err)
	}
	err = r.Do(t.Context(), Events{}, w.do)
	for _, s := range r.Steps {
		states += string(s.State) + " "
	}
	return strings.Join(w.did, ""), strings.TrimSpace(states), err
}

func begin(t *testing.T) *world {
	t.Chdir(t.TempDir())
	write(t, "in.txt", "x")
	return &world{fail: map[string]error{}}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsDoneAgain(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(t *testing.T)
		again  []string
		want   string // the steps that are begun
	}{
		{"nothing, where nothing changed", func(*testing.T) {}, nil, ""},
		{"nothing, where a file has another time", func(t *testing.T) { write(t, "in.txt", "x") }, nil, ""},
		{"what reads a file that changed, and what reads that", func(t *testing.T) { write(t, "in.txt", "y") }, nil, "abd"},
		{"a step whose folder is gone, alone, where it comes out the same", func(t *testing.T) {
			if err := os.RemoveAll("run/a"); err != nil {
				t.Fatal(err)
			}
		}, nil, "a"},
		{"a step without a record", func(t *testing.T) {
			if err := os.Remove("run/b/" + RecordFile); err != nil {
				t.Fatal(err)
			}
		}, nil, "b"},
		{"what is named, and what reads it through others", func(*testing.T) {}, []string{"a"}, "abd"},
		{"what is named alone, where nothing reads it", func(*testing.T) {}, []string{"d", "c"}, "cd"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := begin(t)
			if did, _, err := w.run(t); err != nil || did != "abcd" {
				t.Fatalf("at first %s was begun: %v", did, err)
			}
			c.change(t)
			did, states, err := w.run(t, c.again...)
			if err != nil || did != c.want || states != "done done done done" {
				t.Errorf("%q was begun, want %q; %s: %v", did, c.want, states, err)
			}
			if did, _, _ := w.run(t); did != "" {
				t.Errorf("and then again %q", did)
			}
		})
	}
}

func TestAFileThatAnOptionNamesIsRead(t *testing.T) {
	begin(t)
	for _, args := range [][]string{{"--from=in.txt"}, {"--from", "in.txt"}, {"-m=in.txt"}, {"in.txt"}} {
		s := Step{Step: configs.Step{Command: []string{"do"}, Args: args, Dir: "run/a"}}
		before := s.now()
		write(t, "in.txt", "other")
		if got := before.differs(s.now()); got != "in.txt" {
			t.Errorf("%v: %q has changed, want in.txt", args, got)
		}
		write(t, "in.txt", "x")
	}
}

func TestAStepThatEndsBadlyEndsTheChain(t *testing.T) {
	wrong := errors.New("wrong")
	for _, c := range []struct {
		name     string
		err      error
		states   string
		next     string // that the next run begins with
		recorded bool
	}{
		{"it failed", wrong, "done failed to do to do", "bcd", true},
		{"it was asked for the impossible: it has written nothing", fault.Usage(wrong), "done failed to do to do", "bcd", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := begin(t)
			w.fail["b"] = c.err
			did, states, err := w.run(t)
			if did != "ab" || states != c.states || !errors.Is(err, wrong) || err.Error() != "step b: wrong" {
				t.Fatalf("%s was begun: %s, %v", did, states, err)
			}
			if _, err := os.Stat("run/b/" + RecordFile); (err == nil) != c.recorded {
				t.Errorf("its record: %v", err)
			}
			delete(w.fail, "b")
			if did, _, err := w.run(t); did != c.next || err != nil {
				t.Errorf("then %s was begun, want %s: %v", did, c.next, err)
			}
		})
	}
}

func TestARefusalLeavesWhatWasDone(t *testing.T) {
	w := begin(t)
	if _, _, err := w.run(t); err != nil {
		t.Fatal(err)
	}
	write(t, "in.txt", "y")
	for _, refusal := range []error{
		rundir.OtherRunError{Dir: "run/a", Differences: []string{"x"}}, fault.Hint(errors.New("a folder is in the way"), "remove it"),
	} {
		w.fail["a"] = fault.Usage(refusal)
		_, states, err := w.run(t)
		if err == nil || !strings.HasSuffix(fault.HintOf(err), "--again a") || states != "failed done done done" {
			t.Errorf("%s: %v (%s)", states, err, fault.HintOf(err))
		}
	}
	write(t, "in.txt", "x")
	if did, states, err := w.run(t); did != "" || err != nil {
		t.Errorf("the change is taken back, and %s was begun: %s %v", did, states, err)
	}
}

func TestAnInterruptionEndsTheChain(t *testing.T) {
	w := begin(t)
	r, err := Open(letters())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	err = r.Do(ctx, Events{Begin: func(i int) {
		if i == 1 {
			stop()
			w.fail["b"] = ctx.Err()
		}
	}}, w.do)
	if !errors.Is(err, context.Canceled) || r.Steps[1].State != Stopped || strings.Join(w.did, "") != "ab" {
		t.Errorf("%v was begun, and b is %s: %v", w.did, r.Steps[1].State, err)
	}
	if err := r.Do(ctx, Events{}, w.do); !errors.Is(err, context.Canceled) || len(w.did) != 2 {
		t.Errorf("%v was begun: %v", w.did, err)
	}
}

func TestWhatIsDoneAnewIsKept(t *testing.T) {
	w := begin(t)
	for range 2 {
		if _, _, err := w.run(t, "b"); err != nil {
			t.Fatal(err)
		}
	}
	found, err := filepath.Glob("run/*")
	want := []string{"run/a", "run/b", "run/b.before-1", "run/c", "run/d", "run/d.before-1"}
	if !slices.Equal(found, want) || err != nil {
		t.Error(cmp.Diff(want, found), err)
	}
	r, err := Open(letters())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Anew([]string{"x"}); err == nil || err.Error() != "--again x: no step of that name, want one of a, b, c, d" {
		t.Errorf("got %v", err)
	}
}

func TestOneProcessDoesAChain(t *testing.T) {
	w := begin(t)
	folder, err := rundir.Enter("run")
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	if _, _, err := w.run(t); err == nil || !strings.Contains(err.Error(), "another process is at work in this folder") {
		t.Errorf("got %v", err)
	}
}

func TestWhatCountsOfAFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, dir := range []string{"plain", "run/checkpoints/step-000002"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name, folder, file string
		counts             bool
	}{
		{"a file in it", "plain", "plain/a", true},
		{"a file that is being written", "plain", "plain/.a.tmp-1", false},
		{"the record of a step", "plain", "plain/" + RecordFile, false},
		{"a checkpoint of a run", "run", "run/checkpoints/step-000002/model.safetensors", true},
		{"what a run says beside its checkpoints", "run", "run/report.html", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := stamp(c.folder)
			write(t, c.file, "x")
			if after := stamp(c.folder); (after != before) != c.counts {
				t.Errorf("%s before, %s after", before, after)
			}
		})
	}
	if stamp("nothing") != "" {
		t.Error("nothing has a stamp")
	}
}

func TestAFolderIsSeenThroughLinks(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, dir := range []string{"far/below", "plain"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"link": "far", "plain/link": "../far", "far/below/up": "../../far", "plain/none": "gone"} {
		if err := os.Symlink(to, link); err != nil {
			t.Skip(err)
		}
	}
	write(t, "far/below/a", "x")
	for _, folder := range []string{"far", "link", "plain"} {
		before := stamp(folder)
		write(t, "far/below/a", folder)
		if stamp(folder) == before {
			t.Errorf("%s: what changed in it is not seen", folder)
		}
	}
}

func TestAStepThatFailedIsSaidToHave(t *testing.T) {
	w := begin(t)
	w.fail["b"] = errors.New("a cable was cut")
	if _, states, err := w.run(t); err == nil || states != "done failed to do to do" {
		t.Fatalf("%s: %v", states, err)
	}
	r, err := Open(letters())
	if err != nil || r.Steps[1].State != Failed {
		t.Errorf("opened again it is %s: %v", r.Steps[1].State, err)
	}
	delete(w.fail, "b")
	if did, states, err := w.run(t); did != "bcd" || states != "done done done done" || err != nil {
		t.Errorf("%q was begun, %s: %v", did, states, err)
	}
}

func TestWhatHintsSayOfOutputDirTheChainSaysOfItself(t *testing.T) {
	w := begin(t)
	for want, err := range map[string]error{
		"give the chain another folder, dir=FOLDER": rundir.RefuseForeign(".", "in.txt"),
		"take back the change, or do the step and all that reads it anew: --again a": rundir.Same("run/a", rundir.Identity{},
			rundir.Identity{Settings: map[string]string{"x": "1"}}),
	} {
		w.fail["a"] = err
		r, err := Open(letters())
		if err != nil {
			t.Fatal(err)
		}
		dry := r.Steps[0].Try(t.Context(), func(_ context.Context, command []string) error {
			if command[len(command)-1] != "--dry-run" {
				t.Errorf("%v", command)
			}
			return w.fail["a"]
		}, "--dry-run")
		_, _, err = w.run(t)
		if fault.HintOf(err) != want || fault.HintOf(dry) != want {
			t.Errorf("the hints are %q, and %q of a dry run, want %q", fault.HintOf(err), fault.HintOf(dry), want)
		}
	}
}

func TestWhatAStepBeforeWillHaveWritten(t *testing.T) {
	t.Chdir(t.TempDir())
	step := func(name, command string) Step {
		return Step{Step: configs.Step{Name: name, Command: []string{command}, Dir: filepath.Join("run", name)}, State: ToDo}
	}
	r := &Run{Steps: []Step{step("write", "agentwrite"), step("sft", "sft"), step("dpo", "dpo")}}
	r.Steps[0].State = Begun
	for _, c := range []struct {
		path, by, wrong string
	}{
		{"run/write/train.jsonl", "write", ""},
		{"./run/write/*.jsonl", "write", ""},
		{"run/write/trian.jsonl", "write",
			"step write writes no such file, want one of train.jsonl, items.jsonl, dropped.jsonl, calls.jsonl"},
		{"run/sft", "sft", ""},
		{"run/sft/checkpoints/step-000004", "sft", ""},
		{"run/dpo", "", ""},
		{"run/sftx", "", ""},
		{"long.jsonl", "", ""},
	} {
		by, wrong := r.Coming(2, c.path)
		name := ""
		if by != nil {
			name = by.Name
		}
		if name != c.by || wrong != c.wrong {
			t.Errorf("%s: by %q, %q; want %q, %q", c.path, name, wrong, c.by, c.wrong)
		}
	}
	r.Steps[1].State = Done
	if by, _ := r.Coming(2, "run/sft"); by != nil {
		t.Errorf("%s is done, and is said to come", by.Name)
	}
}
