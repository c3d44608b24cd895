package torch

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"lwtrain/internal/fault"
	"lwtrain/internal/plainjson"
)

//go:embed probe.py
var probeScript string

// Installation is a Python with torch, and what it finds on this machine.
type Installation struct {
	Path         string `json:"path"` // of the interpreter
	Python       string `json:"python"`
	Torch        string `json:"torch"`
	Transformers string `json:"transformers"`
	Safetensors  string `json:"safetensors"`
	Numpy        string `json:"numpy"`
	CUDA         string `json:"cuda,omitempty"` // that torch was built for
	GPUs         []GPU  `json:"gpus"`
	BF16         bool   `json:"bf16"`             // the GPUs compute in it
	Compiles     bool   `json:"compiles"`         // torch.compile finds what it builds kernels with
	Broken       string `json:"broken,omitempty"` // why torch cannot be imported
}

// GPU is a graphics card; sizes are in bytes.
type GPU struct {
	Name   string `json:"name"`
	Memory int64  `json:"memory"`
	Free   int64  `json:"free"`
}

// The oldest versions that the worker knows.
const (
	leastTorch        = "2.11"
	leastTransformers = "5.0" // those before know no rope_parameters, and compute with other rotary bases than such a config.json says
)

const install = "python3 -m venv .venv && .venv/bin/pip install torch transformers safetensors numpy"

// probeTime is how long importing torch may take, from a slow disk.
const probeTime = 3 * time.Minute

// Find finds a Python and asks it what it has. python is the config's key engine.python.
// An error is one of usage, with a way out.
func Find(ctx context.Context, python string) (*Installation, error) {
	path, from := interpreter(python)
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "-c", aside+probeScript)
	var errOut bytes.Buffer
	cmd.Stderr, cmd.Env = &errOut, pythonEnvironment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // where it is a script, what that started ends with it
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 2 * time.Second // or holds the output open
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil
	}
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		return nil, fault.Usage(fault.Hint(fmt.Errorf("no Python: there is no %s (%s)", path, from),
			"install Python 3.10 or later with torch ("+install+"), or say where it is: engine.python"))
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%s does not answer: %w", path, ctx.Err())
	}
	answer, said := lastAnswer(string(out))
	in := &Installation{Path: path}
	if err == nil && said {
		err = plainjson.Decode([]byte(answer), maxValues, in)
	}
	if err != nil || !said {
		err = fmt.Errorf("%s (%s) does not run as Python 3: %w", path, from, cmp.Or(err, errors.New("it says nothing of itself")))
		if text := lastLines(errOut.String(), 3); text != "" {
			err = fmt.Errorf("%w: %s", err, fault.Excerpt([]byte(text)))
		}
		return nil, fault.Usage(pollution(err))
	}
	if err := in.check(); err != nil {
		return nil, fault.Usage(err)
	}
	return in, nil
}

// lastAnswer is what probe.py says in a line of its own: libraries, and what wraps a Python, may print before and after it.
func lastAnswer(out string) (answer string, said bool) {
	for line := range strings.Lines(out) {
		if rest, ok := strings.CutPrefix(line, "lwtrain {"); ok {
			answer, said = "{"+strings.TrimSpace(rest), true
		}
	}
	return answer, said
}

// interpreter is the Python to take, and who says so.
func interpreter(python string) (path, from string) {
	if python != "" {
		return python, "engine.python"
	}
	if p := os.Getenv("LWTRAIN_PYTHON"); p != "" {
		return p, "LWTRAIN_PYTHON"
	}
	if p := ".venv/bin/python"; exists(p) {
		return p, "in this folder"
	}
	return "python3", "on the path"
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// check refuses what the worker could not run on.
func (in *Installation) check() error {
	for _, p := range []struct{ name, have, least string }{
		{"torch", in.Torch, leastTorch}, {"transformers", in.Transformers, leastTransformers},
		{"safetensors", in.Safetensors, "0.4"}, {"numpy", in.Numpy, "1.24"},
	} {
		way := install
		if p.have != "" {
			way = in.Path + " -m pip install -U " + p.name
		}
		switch {
		case p.have == "":
			return fault.Hint(fmt.Errorf("%s (Python %s) has no %s, want %s or later", in.Path, in.Python, p.name, p.least), way)
		case older(p.have, p.least):
			return fault.Hint(fmt.Errorf("%s has %s %s, want %s or later", in.Path, p.name, p.have, p.least), way)
		}
	}
	if in.Broken != "" {
		err := fmt.Errorf("%s: torch %s cannot be imported: %s", in.Path, in.Torch, in.Broken)
		if os.Getenv("PYTHONPATH") != "" {
			return pollution(err)
		}
		return fault.Hint(err, "the driver or the installation is broken: try "+in.Path+" -c 'import torch', and install torch again")
	}
	return nil
}

// pollution adds a hint to the error of a Python where it looks for what it imports in folders of the user's.
func pollution(err error) error {
	if path := os.Getenv("PYTHONPATH"); path != "" {
		return fault.Hint(err, "what lies in PYTHONPATH ("+path+") is imported before what is installed: try without it")
	}
	return err
}

// pythonEnvironment is this program's, without what would let a worker import or compute something else.
func pythonEnvironment() (env []string) {
	for _, v := range os.Environ() {
		switch name, value, _ := strings.Cut(v, "="); {
		case strings.HasPrefix(name, "PET_"): // torchrun takes its flags from them, and gets those that count
		case name == "PYTHON_EXEC": // by which it would start the workers
		case name == "PYTHONOPTIMIZE" || name == "PYTHONINSPECT": // transformers reads its own docstrings; an end is an end
		case name == "PYTHONPATH": // where nothing stands between two colons it is the working folder
			parts := slices.DeleteFunc(filepath.SplitList(value), func(dir string) bool { return dir == "" })
			env = append(env, name+"="+strings.Join(parts, string(filepath.ListSeparator)))
		default:
			env = append(env, v)
		}
	}
	return env
}

var versionParts = regexp.MustCompile(`^(\d+)\.(\d+)`)

// older compares two versions by their first two numbers.
func older(have, least string) bool {
	number := func(v string) (n int) {
		if m := versionParts.FindStringSubmatch(v); m != nil {
			major, _ := strconv.Atoi(m[1])
			minor, _ := strconv.Atoi(m[2])
			n = major<<16 + minor
		}
		return n
	}
	return number(have) < number(least)
}

// Device says in words what computes.
func (in *Installation) Device() string {
	if len(in.GPUs) == 0 {
		return "processor"
	}
	return in.GPUs[0].Name
}

// lastLines are the last lines of a text that say something.
func lastLines(text string, most int) string {
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}
