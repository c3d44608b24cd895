package torch

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"lwtrain/internal/atomicfile"
	"lwtrain/internal/fault"
)

// Cluster is the machines that compute a run together, and which of them this one is. The zero value
// is this machine alone.
type Cluster struct {
	Nodes   int    // 0, 1: this machine alone
	Node    int    // from 0, which conducts
	PerNode int    // processes on each machine; 0: one for each GPU
	Master  string // address of node 0
	Port    int    // there
	From    string // whose variables say so; "": nobody's
}

// Alone reports whether there is one machine.
func (c Cluster) Alone() bool { return c.Nodes <= 1 }

// meeting are the arguments by which the launchers of all machines find each other.
func (c Cluster) meeting() []string {
	if c.Alone() {
		return []string{"--nnodes=1", "--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0", "--local-addr=127.0.0.1"}
	}
	return []string{
		fmt.Sprint("--nnodes=", c.Nodes), fmt.Sprint("--node-rank=", c.Node), "--master-addr=" + c.Master,
		fmt.Sprint("--master-port=", c.Port), fmt.Sprint("--rdzv-conf=timeout=", int(joinTime.Seconds())),
	}
}

// ReadCluster reads from the environment what a launcher says of the machines: torchrun and what speaks as it
// does (Kubeflow: PET_*), then Slurm (SLURM_*), then SkyPilot (SKYPILOT_*).
func ReadCluster(look func(name string) (string, bool)) (Cluster, error) {
	v := variables{look: look}
	var c Cluster
	rank := "PET_NODE_RANK"
	switch {
	case v.has("PET_NNODES"):
		c = Cluster{
			From: "torchrun", Nodes: v.number("PET_NNODES"), Node: v.number("PET_NODE_RANK"), PerNode: v.processes("PET_NPROC_PER_NODE"),
			Master: v.text("PET_MASTER_ADDR"), Port: v.number("PET_MASTER_PORT"),
		}
	case v.has("SLURM_JOB_ID"):
		c, rank = v.slurm(), "SLURM_NODEID"
	case v.has("SKYPILOT_NODE_IPS"):
		rank = "SKYPILOT_NODE_RANK"
		master, _, _ := strings.Cut(strings.TrimSpace(v.text("SKYPILOT_NODE_IPS")), "\n")
		c = Cluster{
			From: "SkyPilot", Nodes: v.number("SKYPILOT_NUM_NODES"), Node: v.number("SKYPILOT_NODE_RANK"),
			PerNode: v.number("SKYPILOT_NUM_GPUS_PER_NODE"), Master: strings.TrimSpace(master),
		}
	}
	if v.err != nil {
		return c, fault.Usage(v.err)
	}
	if c.Port == 0 {
		c.Port = 29500 // torchrun's own
	}
	switch {
	case c.Alone():
		return c, nil
	case c.Port > math.MaxUint16:
		return c, fault.Usage(fmt.Errorf("%s says port %d, want at most %d", c.From, c.Port, math.MaxUint16))
	case !v.has(rank): // each would take itself for the first one
		return c, fault.Usage(fmt.Errorf("%s says %d machines and not which of them this is (%s)", c.From, c.Nodes, rank))
	case c.Node < 0 || c.Node >= c.Nodes:
		return c, fault.Usage(fmt.Errorf("%s says node %d of %d, want 0 to %d", c.From, c.Node, c.Nodes, c.Nodes-1))
	case c.Master == "":
		return c, fault.Usage(fmt.Errorf("%s says %d machines and not the address of the first", c.From, c.Nodes))
	}
	return c, nil
}

// variables reads the environment, and keeps the first thing that is wrong there.
type variables struct {
	look func(string) (string, bool)
	err  error
}

func (v *variables) has(name string) bool { return v.text(name) != "" }

func (v *variables) text(name string) string {
	s, _ := v.look(name)
	return s
}

// number is a number, 0 where there is none.
func (v *variables) number(name string) int {
	text := strings.TrimSpace(v.text(name))
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		v.bad("%s is %q, want a number", name, text)
	}
	return n
}

// processes is a number of processes; 0 for words that mean one for each GPU.
func (v *variables) processes(name string) int {
	switch v.text(name) {
	case "auto", "gpu", "cpu":
		return 0
	}
	return v.number(name)
}

func (v *variables) bad(format string, args ...any) {
	if v.err == nil {
		v.err = fmt.Errorf(format, args...)
	}
}

// slurm reads what srun says to each of its tasks.
func (v *variables) slurm() Cluster {
	c := Cluster{From: "Slurm", Nodes: v.number("SLURM_NNODES"), Node: v.number("SLURM_NODEID")}
	if c.Nodes == 0 {
		c.Nodes = v.number("SLURM_JOB_NUM_NODES")
	}
	hosts := v.text("SLURM_STEP_NODELIST")
	if hosts == "" {
		hosts = v.text("SLURM_JOB_NODELIST")
	}
	switch {
	case c.Nodes <= 1:
		return c
	case !v.has("SLURM_PROCID"):
		v.err = fault.Hint(fmt.Errorf("Slurm gives %d machines, and this is the batch script, which runs on one of them", c.Nodes),
			"put `srun --ntasks-per-node=1` before lwtrain")
	case v.number("SLURM_LOCALID") > 0:
		v.err = fault.Hint(errors.New("Slurm starts more than one task on a machine, want one, which starts a process for each GPU itself"),
			"srun --ntasks-per-node=1")
	}
	var err error
	if c.Master, err = firstHost(hosts); err != nil {
		v.bad("%w", err)
	}
	// Two jobs may share a machine: each has a port of its own.
	const first, many = 20000, 20000
	c.Port = first + v.number("SLURM_JOB_ID")%many
	return c
}

var hostRange = regexp.MustCompile(`^([^\[\],]*)(?:\[([^\]]*)\])?([^\[\],]*)`)

// firstHost is the first name of a list as Slurm writes it: gpu[03-05,9],login.
func firstHost(list string) (string, error) {
	m := hostRange.FindStringSubmatch(list)
	first, _, _ := strings.Cut(m[2], ",")
	first, _, _ = strings.Cut(first, "-")
	name := m[1] + first + m[3]
	if name == "" {
		return "", fmt.Errorf("the list of machines is %q, want names such as gpu[01-04]", list)
	}
	return name, nil
}

// What machines of a cluster tell each other by files of the folder that they share.
const (
	sharedFile = "shared" // which run this is, for the workers to look for
	aliveFile  = "alive"  // is written anew as long as the first machine conducts
	stopFile   = "stop"   // is there once one of the others was asked to stop
)

// How long a disk may take to show a file to another machine, how often a conductor says that it is
// there, and how long it may be silent.
const (
	shownTime   = 20 * time.Second
	aliveEvery  = 5 * time.Second
	silenceTime = 2 * time.Minute
)

// share wants that all ranks see the folder of the run, and begins to say that this machine conducts.
func (e *Engine) share() error {
	dir, err := filepath.Abs(e.work)
	if err != nil {
		return err
	}
	text := rand.Text()
	path := filepath.Join(dir, sharedFile)
	if err := atomicfile.WriteBytes(path, []byte(text)); err != nil {
		return fault.Disk(err)
	}
	told, err := e.ask(map[string]any{"op": "shared", "path": path, "text": text, "seconds": int(shownTime.Seconds())})
	if err != nil {
		return err
	}
	if len(told.Missing) > 0 {
		rank := told.Missing[0]
		return e.fail(fault.Usage(fault.Hint(fmt.Errorf("rank %d, on machine %d, does not see %s", rank, rank/e.plan.local, dir),
			"output.dir, data and model have to lie on a disk that all machines share, under the same paths")))
	}
	if err := os.Remove(filepath.Join(dir, stopFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fault.Disk(err)
	}
	go e.process.conduct(dir)
	return nil
}

// conduct says, as long as the workers run, that this machine conducts, and passes on to its own process that
// another one was asked to stop.
func (p *process) conduct(dir string) {
	for n := 0; ; n++ {
		atomicfile.WriteBytes(filepath.Join(dir, aliveFile), strconv.AppendInt(nil, int64(n), 10)) // the next one may go well
		if _, err := os.Stat(filepath.Join(dir, stopFile)); err == nil {
			syscall.Kill(os.Getpid(), syscall.SIGTERM) // as if it had been asked itself: there is one way to stop
			return
		}
		select {
		case <-p.ended:
			return
		case <-time.After(aliveEvery):
		}
	}
}

// Join starts the workers of a machine that is not the first one, and waits for their end. dir is the engine's folder
// in the run's, which all machines share. Once ctx ends, the first machine is asked to stop: that is no error here.
func Join(ctx context.Context, in *Installation, dir string, o Options) error {
	local, err := localRanks(in, o)
	if err != nil {
		return err
	}
	temp, err := os.MkdirTemp("", "lwtrain-torch-")
	if err != nil {
		return fault.Temp(err)
	}
	defer os.RemoveAll(temp)
	script, err := writeWorker(temp)
	if err != nil {
		return err
	}
	p := &process{log: filepath.Join(temp, "log"), ended: make(chan struct{})}
	if err := os.Mkdir(p.log, 0o755); err != nil {
		return err
	}
	if err := p.start(in.Path, script, local, o.Cluster, environment(p.log, local, o)); err != nil {
		return err
	}
	defer p.kill()
	return p.follow(ctx, dir)
}

// follow waits for the end of the workers of a machine that has joined.
func (p *process) follow(ctx context.Context, dir string) error {
	asked := ctx.Done()
	old, _ := os.ReadFile(filepath.Join(dir, aliveFile)) // of a run before, or none
	said, heard := string(old), time.Time{}
	for {
		select {
		case <-p.ended:
			if p.cmd.ProcessState.Success() {
				return nil
			}
			return explain(p.log, errors.New("the run has ended"))
		case <-asked:
			asked = nil
			if err := atomicfile.WriteBytes(filepath.Join(dir, stopFile), nil); err != nil {
				return fault.Disk(err)
			}
		case <-time.After(aliveEvery):
		}
		raw, err := os.ReadFile(filepath.Join(dir, aliveFile))
		switch {
		case err == nil && string(raw) != said:
			said, heard = string(raw), time.Now()
		case !heard.IsZero() && time.Since(heard) > silenceTime:
			return fmt.Errorf("the first machine has said nothing for %v: its lwtrain has ended", silenceTime)
		}
	}
}
