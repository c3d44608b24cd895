package torch

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lwtrain/internal/fault"
	"lwtrain/model"
)

// fakeEnv makes the test binary a Python with torch, and its worker: its value says what is wrong with it.
const fakeEnv = "LWTRAIN_FAKE_WORKER"

// timedOut is what a rank writes that NCCL's watchdog ends.
const timedOut = "terminate called after throwing an instance of 'c10::DistBackendError'\n" +
	"  what():  [PG ID 0 PG GUID 0(default_pg) Rank 1] Process group watchdog thread terminated with exception: [Rank 1] " +
	"Watchdog caught collective operation timeout: WorkNCCL(SeqNum=7, OpType=_ALLGATHER_BASE, Timeout(ms)=600000) ran for " +
	"600023 milliseconds before timing out.\n"

// fakeWorker answers as probe.py and as a worker do, but for what is wrong.
func fakeWorker() {
	env := os.Getenv // set by what starts a worker
	how := env(fakeEnv)
	if os.Args[2] != launcherScript {
		fakeProbe(how)
	}
	dir := env("LWTRAIN_LOG")
	if how == "its port is in use" {
		fmt.Fprintln(os.Stderr, "Traceback:\n  File \"b.py\", line 1\nDistNetworkError: port: 29500, code: -98, name: EADDRINUSE")
		os.Exit(1)
	}
	if how == "it does not begin" {
		fmt.Fprintln(os.Stderr, "ModuleNotFoundError: No module named 'torch.distributed.run'")
		os.Exit(1)
	}
	conn, err := net.Dial("unix", env("LWTRAIN_SOCKET"))
	if err != nil {
		panic(err)
	}
	say := func(head map[string]any, body []byte) {
		text, _ := json.Marshal(head)
		b := binary.LittleEndian.AppendUint32([]byte(magic), uint32(len(text)))
		b = binary.LittleEndian.AppendUint64(b, uint64(len(body)))
		conn.Write(append(append(b, text...), body...))
	}
	hello := map[string]any{"op": "hello", "protocol": protocol, "token": env("LWTRAIN_TOKEN"), "ranks": 1, "torch": "2.12.0"}
	switch how {
	case "an old protocol":
		hello["protocol"] = protocol - 1
	case "a stranger":
		hello["token"] = "x"
	case "another number of ranks":
		hello["ranks"] = 3
	case "no message":
		conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
	case "a head without end":
		conn.Write(append([]byte(magic), bytes.Repeat([]byte{0xff}, 12)...))
	}
	say(hello, nil)
	w := &wire{conn: conn}
	for {
		s, err := w.hear()
		if err != nil {
			os.Exit(1)
		}
		w.raw(s, int(s.body/4))
		switch {
		case s.Op == "quit":
			os.Exit(0)
		case s.Op == "open":
			say(map[string]any{"op": "done"}, nil)
		case how == "it lies about lengths":
			conn.Write([]byte(magic + "\x0f\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\x00" + `{"op": "done"}` + " "))
		case how == "too few losses":
			say(map[string]any{"op": "done"}, make([]byte, 8))
		case how == "another answer":
			say(map[string]any{"op": "gradient"}, nil)
		case how == "a norm that is none":
			say(map[string]any{"op": "done", "norm": "large"}, nil)
		case how == "its memory is full":
			raw, _ := json.Marshal(failure{0, kindMemory, "forward and backward pass of a pack of 30 tokens",
				"OutOfMemoryError: CUDA out of memory. Tried to allocate 9 GiB"})
			os.WriteFile(filepath.Join(dir, "error-0.json"), raw, 0o644)
			os.WriteFile(filepath.Join(dir, "rank-0.log"), []byte("Traceback\n  line 1\n"), 0o644)
			os.Exit(1)
		case how == "a rank is asked to end":
			fmt.Println("Root Cause (first observed failure):\n[0]:\n  rank      : 1 (local_rank: 1)\n  exitcode  : -15 (pid: 77)")
			os.Exit(1)
		case how == "something is raised":
			raw, _ := json.Marshal(failure{0, kindError, "opening the model", "ValueError: no such\nkind"})
			os.WriteFile(filepath.Join(dir, "error-0.json"), raw, 0o644)
			os.WriteFile(filepath.Join(dir, "rank-0.log"), []byte("Traceback:\n  File \"a.py\"\nm.ValueError: no such\nkind\n"), 0o644)
			os.Exit(1)
		case how == "GPUs lose each other":
			os.WriteFile(filepath.Join(dir, "rank-1.log"), []byte(timedOut+strings.Repeat("frame #0: c10::Error::Error\n", 9)), 0o644)
			fmt.Println("Root Cause (first observed failure):\n[0]:\n  rank      : 1 (local_rank: 1)\n  exitcode  : -6 (pid: 77)")
			os.Exit(1)
		case how == "a rank is killed":
			raw, _ := json.Marshal(failure{0, kindPeer, "learn", "RuntimeError: [gloo] Connection closed by peer"})
			os.WriteFile(filepath.Join(dir, "error-0.json"), raw, 0o644)
			fmt.Println("Failures:\n  <NO_OTHER_FAILURES>\nRoot Cause (first observed failure):\n[0]:\n" +
				"  time      : 2026-11-27_23:00:00\n  host      : h\n  rank      : 1 (local_rank: 1)\n" +
				"  exitcode  : -9 (pid: 77)\n  error_file: <N/A>")
			os.Exit(1)
		default:
			time.Sleep(time.Hour)
		}
	}
}

// fakeProbe answers as probe.py does.
func fakeProbe(how string) {
	facts := map[string]any{
		"python": "3.12.1", "torch": "2.12.0", "transformers": "5.1.0", "safetensors": "0.6", "numpy": "2.1", "gpus": []any{},
	}
	switch how {
	case "no torch":
		facts["torch"] = ""
	case "an old torch":
		facts["torch"] = "2.9.1+cu128"
	case "an old transformers":
		facts["transformers"] = "4.57.6"
	case "a broken torch":
		facts["broken"] = "ImportError: libcudart.so.13: no such file"
	case "no Python":
		fmt.Println("usage: something else")
		os.Exit(0)
	case "a Python that fails":
		fmt.Fprintln(os.Stderr, "Fatal Python error: init_fs_encoding")
		os.Exit(1)
	}
	raw, _ := json.Marshal(facts)
	fmt.Println("lwtrain is where this lies, says a library\nlwtrain " + string(raw) + "\nand another one takes its leave")
	os.Exit(0)
}

// fake opens an engine whose Python is this test binary.
func fake(t *testing.T, how string) (*Engine, error) {
	t.Helper()
	t.Setenv(fakeEnv, how)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	in, err := Find(context.Background(), self)
	if err != nil {
		return nil, err
	}
	c, err := model.Check(folder("llama-tied"))
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(model.Empty(c), folder("llama-tied"), in, options(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e, nil
}

// says reports whether an error, behind which $ stands, and its hint have the texts that are wanted.
func says(err error, want [2]string) bool {
	return err != nil && strings.Contains(err.Error()+"$", want[0]) && strings.Contains(fault.HintOf(err), want[1])
}

func TestWhatIsWrongWithAPythonIsSaidWithAWayOut(t *testing.T) {
	for how, want := range map[string][2]string{
		"no torch":                               {"has no torch, want 2.11 or later", "pip install torch"},
		"an old torch":                           {"torch 2.9.1+cu128, want 2.11 or later", "pip install -U torch"},
		"an old transformers":                    {"transformers 4.57.6, want 5.0 or later", "pip install -U transformers"},
		"a broken torch":                         {"torch 2.12.0 cannot be imported: ImportError: libcudart", "import torch"},
		"no Python":                              {"does not run as Python 3", ""},
		"a Python that fails":                    {"does not run as Python 3: exit status 1: Fatal Python error: init_fs_encoding", ""},
		"a broken torch where PYTHONPATH is set": {"torch 2.12.0 cannot be imported: ImportError: libcudart", "PYTHONPATH (/opt/x)"},
	} {
		t.Run(how, func(t *testing.T) {
			how, _, path := strings.Cut(how, " where PYTHONPATH is set")
			t.Setenv("PYTHONPATH", map[bool]string{true: "/opt/x"}[path])
			_, err := fake(t, how)
			if !says(err, want) || !fault.IsUsage(err) {
				t.Errorf("got %v (hint: %s), want %v", err, fault.HintOf(err), want)
			}
		})
	}
	aScriptThatWaits(t)
	_, err := Find(context.Background(), "/nowhere/python")
	if err == nil || !strings.Contains(err.Error(), "there is no /nowhere/python (engine.python)") || !fault.IsUsage(err) {
		t.Errorf("no Python: %v", err)
	}
}

// TestPythonImportsNothingOfTheWorkingFolder runs what is given to Python (-c) where files have the names of what it imports.
func TestPythonImportsNothingOfTheWorkingFolder(t *testing.T) {
	python := cmp.Or(os.Getenv("LWTRAIN_PYTHON"), "python3")
	if _, err := exec.LookPath(python); err != nil {
		t.Skipf("no Python here: %v", err)
	}
	dir := t.TempDir()
	for _, name := range []string{"json.py", "os.py", "torch.py"} {
		text := "raise SystemExit('" + name + " of the working folder')\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PYTHONPATH", ":/nowhere:")
	for _, script := range []string{aside + "import json, os", aside + probeScript, launcherScript} {
		cmd := exec.Command(python, "-c", script, "--help")
		cmd.Dir, cmd.Env = dir, pythonEnvironment()
		if out, err := cmd.CombinedOutput(); strings.Contains(string(out), "of the working folder") {
			t.Errorf("%v: %s", err, out)
		}
	}
}

func TestNothingElseLiesBesideTheWorkersFiles(t *testing.T) {
	dir := t.TempDir()
	script, err := writeWorker(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"json.py", "__pycache__/model.cpython-311.pyc"} {
		path := filepath.Join(script, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("exit()"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	again, err := writeWorker(dir)
	if err != nil || again != script {
		t.Fatalf("written again into %s (%v), want %s", again, err, script)
	}
	left, err := filepath.Glob(filepath.Join(script, "*"))
	files, _ := workerFiles.ReadDir("worker")
	if err != nil || len(left) != len(files) {
		t.Errorf("there are %v (%v), want the worker's %d files", left, err, len(files))
	}
}

// TestCompilingTakesPythonsHeaders asks the probe of a Python without Python.h.
func TestCompilingTakesPythonsHeaders(t *testing.T) {
	dir := t.TempDir()
	lost := "import sysconfig\nreally = sysconfig.get_paths\n" +
		"sysconfig.get_paths = lambda *a, **b: really(*a, **b) | {'include': '/nowhere'}\n"
	if err := os.WriteFile(filepath.Join(dir, "sitecustomize.py"), []byte(lost), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PYTHONPATH", dir)
	if in := installation(t); in.Compiles {
		t.Error("it says that torch.compile works without Python.h")
	}
}

// aScriptThatWaits holds that what a script started ends with it: nobody is left to write to a pipe.
func aScriptThatWaits(t *testing.T) {
	t.Helper()
	script, pipe := filepath.Join(t.TempDir(), "python"), filepath.Join(t.TempDir(), "pipe")
	if err := os.WriteFile(script, fmt.Appendf(nil, "#!/bin/sh\nexec 8>'%s'\nsleep 1000\n", pipe), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := syscall.Open(pipe, syscall.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	if _, err := Find(ctx, script); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("a script that waits: %v", err)
	}
	for range 100 {
		if _, err = syscall.Read(fd, make([]byte, 1)); err == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("what the script started goes on: %v", err)
}

func TestAWorkerThatGoesWrongEndsTheCallWithItsReason(t *testing.T) {
	temp := filepath.Join(t.TempDir(), "[a]") // which is no pattern
	if err := os.Mkdir(temp, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", temp)
	for how, want := range map[string][2]string{
		"it does not begin":       {"No module named 'torch.distributed.run'", "the logs are in"},
		"its port is in use":      {"the launcher says:\nDistNetworkError: port: 29500", "(PET_MASTER_PORT); the logs are in"},
		"a rank is asked to end":  {"rank 1 failed: it was killed (signal -15)$", "its whole log is"},
		"something is raised":     {"rank 0 failed at opening the model: ValueError: no such\nkind$", "its whole log is"},
		"an old protocol":         {"the worker speaks protocol 1, want 2", "remove"},
		"a stranger":              {"something else than the worker", ""},
		"another number of ranks": {"3 workers began, want 1", ""},
		"no message":              {`the worker sent "HTTP"`, ""},
		"a head without end":      {"a head of 4294967295 bytes", ""},
		"it lies about lengths":   {`the worker's "done" brings 72057594037927935 bytes, want`, ""},
		"too few losses":          {"brings 8 bytes, want", ""},
		"another answer":          {`the worker says "gradient", want [done weigh]`, ""},
		"its memory is full": {"rank 0 failed at forward and backward pass of a pack of 30 tokens: OutOfMemoryError: CUDA out of memory. " +
			"Tried to allocate 9 GiB; the end of its log:\nTraceback\n  line 1", "lower packing.capacity"},
		"a rank is killed": {"rank 1 failed: it was killed (signal -9)", "too much memory"},
		"GPUs lose each other": {"rank 1 failed: it was killed (signal -6): Watchdog caught collective operation timeout: " +
			"WorkNCCL(SeqNum=7, OpType=_ALLGATHER_BASE, Timeout(ms)=600000) ran for 600023 milliseconds before timing out.",
			"waited in vain for another"},
	} {
		t.Run(how, func(t *testing.T) {
			e, err := fake(t, how)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second call finds no worker
				_, err = e.Learn(context.Background(), 1, packs(t, "token")[:1], nil)
				if !says(err, want) {
					t.Errorf("got %v (hint: %s), want %v", err, fault.HintOf(err), want)
				}
			}
		})
	}
	t.Run("a norm that is none", func(t *testing.T) {
		e, err := fake(t, "a norm that is none")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Update(1, 1, 1, 1); err == nil || !strings.Contains(err.Error(), `the worker's norm is "large"`) {
			t.Errorf("got %v", err)
		}
	})
}

// TestTheSocketLiesWhereItsPathIsShort begins with a folder for temporary files whose path is too long for one.
func TestTheSocketLiesWhereItsPathIsShort(t *testing.T) {
	temp := filepath.Join(t.TempDir(), strings.Repeat("long", 25))
	if err := os.Mkdir(temp, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", "/nowhere")
	lost, err := fake(t, "a norm that is none")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lost.Update(1, 1, 1, 1); !says(err, [2]string{"/nowhere", "TMPDIR names another folder"}) {
		t.Errorf("without a folder for temporary files: %v (hint: %s)", err, fault.HintOf(err))
	}
	t.Setenv("TMPDIR", temp)
	e, err := fake(t, "a norm that is none")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Update(1, 1, 1, 1); err == nil || !strings.Contains(err.Error(), "norm") {
		t.Errorf("got %v, want that the worker answers", err)
	}
	if left, _ := filepath.Glob(filepath.Join(temp, "*")); len(left) != 1 { // its files and logs
		t.Errorf("left %v", left)
	}
}

func TestPathsThatMessagesCannotSayAreRefused(t *testing.T) {
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "gr\xfcn"))
	if err := os.Mkdir(os.TempDir(), 0o755); err != nil {
		t.Skipf("this disk wants UTF-8 itself: %v", err)
	}
	e, err := fake(t, "a norm that is none")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Update(1, 1, 1, 1); !says(err, [2]string{"is not UTF-8, want paths that are"}) {
		t.Errorf("got %v", err)
	}
}

func TestABeginningIsInterrupted(t *testing.T) {
	e, err := fake(t, "it waits")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := e.Learn(ctx, 1, packs(t, "token")[:1], nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that it was interrupted", err)
	}
}
