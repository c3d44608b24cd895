package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"lwtrain/engine"
	"lwtrain/engine/torch"
	"lwtrain/internal/fault"
	"lwtrain/internal/human"
	"lwtrain/internal/kernels"
	"lwtrain/internal/machine"
	"lwtrain/internal/terminal"
	"lwtrain/session"
)

func newDoctorCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor [-c CONFIG [key=value ...]]",
		Short: "Say what this machine has, and what makes runs faster or safer",
		Long: `Looks at the processor, the kernels, memory and disk, checks the kernels
against plain Go, measures matrix products for about a second, and says what
would make runs faster or safer. With -c also what the run of that config needs,
against what is there, and how long it takes: its data is read, and where no run
like it was done here, some steps are measured. Exit status: 0 when runs can be
made here, 1 when something is broken.`,
		Example: "  lwtrain doctor\n  lwtrain doctor -c my.yaml --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			var s *session.Session
			if cmd.Flags().Changed("config") || len(args) > 0 {
				var err error
				if s, err = openSession(cmd, args, true); err != nil {
					return err
				}
				defer s.Close()
			}
			if err := useThreads(cmd); err != nil {
				return err
			}
			d, err := diagnose(cmd, s)
			out := cmd.OutOrStdout()
			if asJSON {
				enc := json.NewEncoder(out)
				enc.SetIndent("", "  ")
				enc.Encode(d)
			} else {
				d.print(out)
			}
			if broken := d.count("broken"); err == nil && broken > 0 {
				err = errors.New(human.Count(broken, "problem") + " found")
			}
			return err
		},
	}
	addConfigFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// diagnosis is what doctor found out.
type diagnosis struct {
	Version   string            `json:"version"`
	Build     build             `json:"build"`
	Processor machine.Processor `json:"processor"`
	Kernels   kernelFacts       `json:"kernels"`
	Torch     torchFacts        `json:"torch"`
	Memory    machine.Memory    `json:"memory"`
	Disk      disk              `json:"disk"`
	Terminal  screen            `json:"terminal"`
	Run       *runNeeds         `json:"run,omitempty"`
	Findings  []finding         `json:"findings"`
}

// finding is what costs speed or safety.
type finding struct {
	Level  string `json:"level"` // broken: no run can be trusted or made; advice
	Text   string `json:"text"`
	Advice string `json:"advice"`
}

type build struct {
	Go   string `json:"go"`
	CGO  bool   `json:"cgo"`
	Arch string `json:"arch"`
}

type kernelFacts struct {
	ISA        string  `json:"isa"`
	Product    string  `json:"product"`
	Refused    string  `json:"refused,omitempty"`
	NativeBF16 bool    `json:"native_bf16"`
	FastBF16   bool    `json:"fast_bf16"` // faster than float32: what precision auto goes by
	Threads    int     `json:"threads"`
	SelfCheck  string  `json:"self_check"` // passed, or what differs
	Float32    float64 `json:"float32_gflops"`
	BFloat16   float64 `json:"bf16_gflops"`
}

// torchFacts are what engine.kind: torch would run on.
type torchFacts struct {
	*torch.Installation
	Missing string `json:"missing,omitempty"` // why there is none
}

type disk struct {
	machine.Disk
	Dir      string  `json:"dir"` // the folder of the run, or what there is of the way to it
	Writable bool    `json:"writable"`
	Sync     float64 `json:"sync_milliseconds"` // of a flush of 1 MiB
}

type screen struct {
	Terminal bool   `json:"terminal"`
	Width    int    `json:"width,omitempty"`
	Term     string `json:"term,omitempty"`
}

func (d *diagnosis) find(level, text, advice string) {
	d.Findings = append(d.Findings, finding{level, text, advice})
}

func (d *diagnosis) count(level string) int {
	n := 0
	for _, f := range d.Findings {
		if f.Level == level {
			n++
		}
	}
	return n
}

// diagnose looks at everything, and at what the run of a session needs, if there is one. An
// error is about the config, and what is known without it is there all the same.
func diagnose(cmd *cobra.Command, s *session.Session) (*diagnosis, error) {
	watch := machine.NewWatch()
	d := &diagnosis{Version: session.Version(), Processor: machine.ReadProcessor(), Memory: machine.ReadMemory(), Findings: []finding{}}
	dir := "runs"
	if s != nil {
		dir = s.Config.Output.Dir
	}
	d.lookAtBuild()
	d.lookAtProcessor()
	d.lookAtKernels()
	d.lookAtTorch(cmd.Context(), s)
	if others, ok := watch.OtherWork(); ok && others >= session.Busy {
		d.find("advice", fmt.Sprintf("other work takes %.0f %% of the processors now, and runs are slower beside it", 100*others),
			"wait for its end, or leave it some of them (threads)")
	}
	d.lookAtMemory()
	d.lookAtDisk(dir)
	if f, ok := cmd.OutOrStdout().(*os.File); ok && terminal.IsTerminal(f) {
		d.Terminal.Terminal = true
		d.Terminal.Width, _, _ = term.GetSize(int(f.Fd()))
	}
	d.Terminal.Term = os.Getenv("TERM")
	if s == nil {
		return d, nil
	}
	return d, d.lookAtRun(cmd.Context(), s)
}

func (d *diagnosis) lookAtBuild() {
	d.Build = build{Go: runtime.Version(), Arch: runtime.GOOS + "/" + runtime.GOARCH, CGO: kernels.Describe().ISA != "go"}
	if !d.Build.CGO {
		d.find("advice", "this binary was built without C: its kernels are plain Go, many times slower",
			"on Linux with glibc 2.34 or later take the archive's lwtrain, not lwtrain-static; or install a C compiler and build again")
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "-race" && s.Value == "true" {
				d.find("advice", "this binary was built with the race detector", "build again without -race")
			}
		}
	}
}

func (d *diagnosis) lookAtProcessor() {
	p := d.Processor
	if p.Arch == "amd64" && !slices.Contains(p.Features, "avx2") {
		d.find("advice", "the processor has no AVX2: kernels work without vectors of 8 or 16 values",
			"use a processor from 2013 or later; in a virtual machine pass the host's processor through")
	}
	if p.Quota > 0 && p.Quota < float64(p.Threads) {
		d.find("advice", fmt.Sprintf("a control group allows %.3g of %d processors", p.Quota, p.Threads),
			"raise its limit (docker run --cpus), or set threads to that number")
	}
}

func (d *diagnosis) lookAtKernels() {
	k := kernels.Describe()
	d.Kernels = kernelFacts{
		ISA: k.ISA, Product: k.Product, Refused: k.Refused,
		NativeBF16: k.NativeBF16, FastBF16: k.FastBF16, Threads: k.Threads, SelfCheck: "passed",
	}
	if err := kernels.Check(); err != nil {
		d.Kernels.SelfCheck = err.Error()
		advice := "report it with this output; CGO_ENABLED=0 builds without these kernels"
		if strings.HasPrefix(k.Product, "oneDNN") {
			advice = "set LWTRAIN_NO_ONEDNN=1, or install another version of oneDNN"
		}
		d.find("broken", "the kernels compute wrongly: "+err.Error(), advice)
	}
	d.Kernels.Float32, d.Kernels.BFloat16 = kernels.QuickGFLOPs(false), kernels.QuickGFLOPs(true)
	if k.NativeBF16 {
		auto, other, gain := "float32", "bf16", d.Kernels.BFloat16/d.Kernels.Float32
		if k.FastBF16 {
			auto, other, gain = other, auto, 1/gain
		}
		if gain > 1.25 {
			d.find("advice", fmt.Sprintf("train.precision: auto is %s here, and %s is %.1f times as fast", auto, other, gain),
				"train.precision: "+other)
		}
	}
	switch {
	case k.ISA == "go" || strings.HasPrefix(k.Product, "oneDNN"):
	case k.Refused != "":
		d.find("advice", "oneDNN is not used: "+k.Refused, "unset LWTRAIN_NO_ONEDNN, or install a version of oneDNN that passes its check")
	default:
		d.find("advice", "oneDNN is not installed: matrix products are several times faster with it",
			"apt-get install libdnnl-dev (other systems: onednn, version 2 or 3); nothing has to be built again")
	}
}

// lookAtTorch looks for a Python with torch. That there is none is a problem for a run that asks for one.
func (d *diagnosis) lookAtTorch(ctx context.Context, s *session.Session) {
	python, asked := "", false
	if s != nil {
		python, asked = s.Config.Engine.Python, s.Config.Engine.Kind == engine.Torch
	}
	var err error
	d.Torch.Installation, err = torch.Find(ctx, python)
	if err == nil {
		if gpus := d.Torch.GPUs; asked && len(gpus) == 0 {
			d.find("advice", "torch finds no GPU: it computes on the processor, where the embedded engine needs less memory",
				"engine.kind: native, or a driver and a torch that go together (nvidia-smi; torch.version.cuda)")
		} else if len(gpus) > 0 && !d.Torch.BF16 {
			d.find("advice", "the GPUs do not compute in bf16: train.precision: auto is float32 there",
				"use GPUs of compute capability 8.0 or later")
		} else if len(gpus) > 0 && !d.Torch.Compiles {
			d.find("advice", "runs on GPUs are slower without torch.compile: "+torch.NoCompiler, torch.Compilers)
		}
		return
	}
	d.Torch.Missing = err.Error()
	if asked {
		d.find("broken", "engine.kind is torch: "+err.Error(), fault.HintOf(err))
	}
}

func (d *diagnosis) lookAtMemory() {
	m := d.Memory
	if m.Limit > 0 {
		d.find("advice", fmt.Sprintf("a control group limits memory to %s", human.Bytes(m.Limit)),
			"raise its limit (docker run --memory), if more is needed")
	}
	if m.Total > 0 && m.SwapTotal == 0 {
		d.find("advice", "there is no swap: what outgrows the memory is killed",
			"add a swap file, or keep train.memory_limit below what is free")
	}
	if free := m.Available(); free < 2<<30 {
		d.find("advice", fmt.Sprintf("only %s of memory are free", human.Bytes(free)), "end what else uses memory")
	}
}

// lookAtDisk tries what a checkpoint does in the folder of a run, or in what
// there is of the way to it: write, flush.
func (d *diagnosis) lookAtDisk(dir string) {
	d.Disk.Dir = machine.Existing(dir)
	var err error
	if d.Disk.Disk, err = machine.ReadDisk(d.Disk.Dir); err == nil && d.Disk.Total > 0 {
		if d.Disk.Type == "tmpfs" {
			d.find("advice", d.Disk.Dir+" lies in memory (tmpfs): it takes memory, and is lost when the machine stops",
				"give output.dir a folder on a disk")
		}
		if d.Disk.Free < 1<<30 {
			d.find("advice", fmt.Sprintf("only %s are free in %s", human.Bytes(d.Disk.Free), d.Disk.Dir),
				"make room, or give output.dir a folder on another disk")
		}
	}
	took, err := machine.TryDisk(d.Disk.Dir)
	if err != nil {
		d.find("broken", "nothing can be written: "+err.Error(), "give output.dir a folder that can be written to")
		return
	}
	d.Disk.Writable, d.Disk.Sync = true, float64(took.Microseconds())/1000
}

func (d *diagnosis) lookAtRun(ctx context.Context, s *session.Session) error {
	r, err := needsOfRun(ctx, s)
	if err != nil {
		return err
	}
	d.Run = r
	if s.Config.Train.SaveSteps > 0 && r.Checkpoints == 0 {
		d.find("advice", "every checkpoint is kept (train.save_total_limit is 0)",
			fmt.Sprintf("train.save_total_limit: 3 keeps the newest; one takes %s", human.Bytes(r.Checkpoint)))
	}
	if r.Memory > r.Free {
		d.find("broken", fmt.Sprintf("the run needs %s of memory, and %s are free", human.Bytes(r.Memory), human.Bytes(r.Free)),
			r.less+", or end what else uses memory")
	}
	need := r.Checkpoint*int64(max(1, r.Checkpoints)) + r.Parts
	left := fmt.Sprintf("%s are free in %s", human.Bytes(d.Disk.Free), d.Disk.Dir)
	switch {
	case d.Disk.Total == 0:
	case r.Checkpoint+r.Parts > d.Disk.Free:
		d.find("broken", fmt.Sprintf("writing a checkpoint takes %s, and %s", human.Bytes(r.Checkpoint+r.Parts), left),
			"make room, or give output.dir a folder on another disk")
	case need > d.Disk.Free:
		d.find("advice", fmt.Sprintf("%d checkpoints take %s, and %s", r.Checkpoints, human.Bytes(need), left),
			"lower train.save_total_limit, or make room")
	}
	return nil
}

// print writes the diagnosis in lines of at most 80 columns.
func (d *diagnosis) print(w io.Writer) {
	p, k, m := d.Processor, d.Kernels, d.Memory
	line := func(label, format string, args ...any) { terminal.Hang(w, label, fmt.Sprintf(format, args...)) }
	line("lwtrain", "%s, cgo %s", d.Version, onOff(d.Build.CGO))
	shared := ""
	if p.Hyper {
		shared = " (two on a core)"
	}
	line("processor", "%s, %s%s; %s", cmp.Or(p.Model, p.Arch), human.Count(p.Threads, "thread"),
		shared, cmp.Or(strings.Join(p.Features, ", "), "no vector instructions that are known"))
	line("kernels", "%s on %s; products by %s; self-check %s", k.ISA, human.Count(k.Threads, "thread"), k.Product, k.SelfCheck)
	slow := ""
	switch {
	case !k.NativeBF16:
		slow = " (not native: precision auto is float32 here)"
	case !k.FastBF16:
		slow = " (precision auto is float32 here)"
	}
	line("speed", "%s GFLOP/s in float32, %s in bf16%s", human.Speed(k.Float32), human.Speed(k.BFloat16), slow)
	d.Torch.print(line)
	if m.Total > 0 {
		line("memory", "%s, %s free; swap %s", human.Bytes(m.Total), human.Bytes(m.Free), swapText(m))
	}
	if m.Limit > 0 {
		line("", "control group: %s, %s left", human.Bytes(m.Limit), human.Bytes(m.LimitFree))
	}
	written := "cannot be written to"
	if d.Disk.Writable {
		written = fmt.Sprintf("writable, a flush takes %.3g ms", d.Disk.Sync)
	}
	abs, err := filepath.Abs(d.Disk.Dir)
	if err != nil {
		abs = d.Disk.Dir
	}
	line("disk", "%s: %s free of %s%s; %s", abs, human.Bytes(d.Disk.Free), human.Bytes(d.Disk.Total), brackets(d.Disk.Type), written)
	if d.Terminal.Terminal {
		line("terminal", "%d columns%s; no colours are used", d.Terminal.Width, brackets(d.Terminal.Term))
	} else {
		line("terminal", "none: progress is told in plain lines")
	}
	if d.Run != nil {
		d.Run.print(line)
	}
	for _, f := range d.Findings {
		fmt.Fprintln(w)
		line(f.Level, "%s", f.Text)
		line("", "-> %s", f.Advice)
	}
	if len(d.Findings) == 0 {
		fmt.Fprintln(w, "\nnothing to improve")
	}
}

// print says what torch there is.
func (t torchFacts) print(line func(label, format string, args ...any)) {
	if t.Installation == nil {
		line("torch", "%s", t.Missing)
		return
	}
	line("torch", "%s, transformers %s, Python %s (%s)", t.Torch, t.Transformers, t.Python, t.Path)
	for i, g := range t.GPUs {
		line("", "GPU %d: %s, %s of %s free", i, g.Name, human.Bytes(g.Free), human.Bytes(g.Memory))
	}
	if len(t.GPUs) == 0 {
		line("", "no GPU: it would compute on the processor, with SDPA for each document")
		return
	}
	line("", "CUDA %s, bf16 %s, torch.compile %s", t.CUDA, onOff(t.BF16), onOff(t.Compiles))
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func swapText(m machine.Memory) string {
	if m.SwapTotal == 0 {
		return "none"
	}
	return fmt.Sprintf("%s, %s free", human.Bytes(m.SwapTotal), human.Bytes(m.SwapFree))
}

func brackets(s string) string {
	if s == "" {
		return ""
	}
	return " (" + s + ")"
}
