package torch

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"lwtrain/internal/atomicfile"
	"lwtrain/internal/fault"
)

//go:embed worker/*.py
var workerFiles embed.FS

// How long the workers may take to begin, on this machine and where other ones are to come as well, to end once they were asked to,
// and the launcher to say why they ended by themselves.
const (
	startTime   = 10 * time.Minute
	gatherTime  = time.Hour
	endTime     = 10 * time.Second
	explainTime = time.Minute
)

// joinTime is how long launchers wait for the first machine's, which begins once the data are tokenised and packed. By themselves they
// wait for a quarter of an hour. Where that machine fails before, the others stand idle until then.
const joinTime = 2 * time.Hour

// aside begins what Python is given to run (-c): the working folder, which it would look into before all else for what is imported,
// may have a torch.py or a json.py of somebody's.
const aside = "import sys\nif sys.path and not sys.path[0]:\n    del sys.path[0]\n"

// launcherScript is `python -m torch.distributed.run`.
const launcherScript = aside + "from torch.distributed.run import main\nmain()\n"

// process is the launcher with its workers, and the socket to rank 0.
type process struct {
	wire
	cmd   *exec.Cmd
	stdin io.Closer     // all workers end when it closes
	ended chan struct{} // closed when the launcher has ended
	log   string        // the folder of what the workers write
	hello said
}

// launch starts the workers of this machine, which is the first one. dir is the folder for their files and logs.
func launch(ctx context.Context, in *Installation, dir string, plan plan, o Options) (*process, error) {
	script, err := writeWorker(dir)
	if err != nil {
		return nil, err
	}
	p := &process{log: filepath.Join(dir, "log"), ended: make(chan struct{})}
	if err := errors.Join(os.RemoveAll(p.log), os.MkdirAll(p.log, 0o755)); err != nil {
		return nil, err
	}
	temp, err := os.MkdirTemp(socketRoot(), "lwtrain-") // which only this user can enter
	if err != nil {
		return nil, fault.Temp(err)
	}
	defer os.RemoveAll(temp) // the socket is of no use once rank 0 is connected
	listener, err := net.Listen("unix", filepath.Join(temp, "socket"))
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	token := rand.Text()
	env := append(environment(p.log, plan.local, o), "LWTRAIN_SOCKET="+listener.Addr().String(), "LWTRAIN_TOKEN="+token)
	if err := p.start(in.Path, script, plan.local, o.Cluster, env); err != nil {
		return nil, err
	}
	if err := p.greet(ctx, listener.(*net.UnixListener), token, plan); err != nil {
		p.kill()
		return nil, err
	}
	return p, nil
}

// socketRoot is where the folder of the socket lies: systems take paths of up to 103 bytes for one, and some put temporary files
// at the end of longer ones.
func socketRoot() string {
	const name = len("/lwtrain-1234567890/socket")
	if dir := os.TempDir(); len(dir)+name <= 103 {
		return dir
	}
	return "/tmp"
}

// environment is that of the workers of a machine.
func environment(log string, local int, o Options) []string {
	env := pythonEnvironment()
	env = append(env, "LWTRAIN_LOG="+log, fmt.Sprint("OMP_NUM_THREADS=", max(1, o.Threads/local)), "PYTHONUNBUFFERED=1",
		"PYTHONUTF8=1", // messages have paths in it, whatever a locale says
		"PYTHONDONTWRITEBYTECODE=1", "HF_HUB_OFFLINE=1", "TRANSFORMERS_OFFLINE=1")
	if os.Getenv("PYTORCH_ALLOC_CONF")+os.Getenv("PYTORCH_CUDA_ALLOC_CONF") == "" { // packs of many sizes cut memory into pieces
		env = append(env, "PYTORCH_ALLOC_CONF=expandable_segments:True")
	}
	c := o.Cluster
	if runtime.GOOS == "linux" && (c.Alone() || c.Master == "127.0.0.1" || c.Master == "localhost") {
		env = append(env, "GLOO_SOCKET_IFNAME=lo")
	}
	if o.Deterministic { // and what torch.compile measures chooses no kernels
		env = append(env, "CUBLAS_WORKSPACE_CONFIG=:4096:8", "TORCHINDUCTOR_DETERMINISTIC=1")
	}
	return env
}

// writeWorker writes the worker's files into a folder named by their content. Python looks there first for all that it imports, and
// takes what is compiled for what it says: nothing else may lie there, of a run's folder that comes from somebody else.
func writeWorker(dir string) (script string, err error) {
	files, err := workerFiles.ReadDir("worker")
	if err != nil {
		return "", err
	}
	h := sha256.New()
	content := map[string][]byte{}
	for _, f := range files {
		raw, err := workerFiles.ReadFile("worker/" + f.Name())
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %d\n", f.Name(), len(raw))
		h.Write(raw)
		content[f.Name()] = raw
	}
	script = filepath.Join(dir, "worker-"+hex.EncodeToString(h.Sum(nil))[:16])
	if err := errors.Join(os.RemoveAll(script), os.MkdirAll(script, 0o755)); err != nil {
		return "", fault.Disk(err)
	}
	for name, raw := range content {
		if err := atomicfile.WriteBytes(filepath.Join(script, name), raw); err != nil {
			return "", fault.Disk(err)
		}
	}
	return filepath.Abs(script)
}

// start starts the launcher in a process group of its own, which a terminal's Ctrl-C does not
// reach.
func (p *process) start(python, script string, ranks int, c Cluster, env []string) error {
	out, err := os.Create(filepath.Join(p.log, launcherLog))
	if err != nil {
		return err
	}
	defer out.Close()
	args := append([]string{"-c", launcherScript, "--log-dir=" + p.log}, c.meeting()...)
	p.cmd = exec.Command(python, append(args, fmt.Sprint("--nproc-per-node=", ranks), "--max-restarts=0", script)...)
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = env, out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return err
	}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	go func() {
		p.cmd.Wait() // how it ended stands in its log
		close(p.ended)
	}()
	return nil
}

// greet waits for rank 0, and hears which worker it is.
func (p *process) greet(ctx context.Context, listener *net.UnixListener, token string, plan plan) error {
	most := startTime
	if plan.ranks > plan.local {
		most = gatherTime
	}
	ctx, cancel := context.WithTimeoutCause(ctx, most, fmt.Errorf("the workers did not begin within %v", most))
	defer cancel()
	accepted := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		p.conn = conn
		accepted <- err
	}()
	var err error
	select {
	case err = <-accepted:
	case <-p.ended:
		listener.Close()
		<-accepted
		return p.died(io.EOF)
	case <-ctx.Done():
		listener.Close()
		<-accepted
		return context.Cause(ctx)
	}
	if err != nil {
		return err
	}
	if p.hello, err = p.hear(); err != nil {
		return p.died(err)
	}
	switch h := p.hello; {
	case h.Op != "hello" || h.Token != token:
		return errors.New("something else than the worker answers on its socket")
	case h.Protocol != protocol:
		return fault.Hint(fmt.Errorf("the worker speaks protocol %d, want %d", h.Protocol, protocol),
			"its files were changed: remove "+filepath.Dir(p.log))
	case h.Ranks != plan.ranks:
		return fmt.Errorf("%d workers began, want %d", h.Ranks, plan.ranks)
	}
	return nil
}

// quit ends the workers: those that are at rest by themselves, all others after a while.
func (p *process) quit() {
	if p.send(map[string]any{"op": "quit"}) == nil {
		select {
		case <-p.ended:
		case <-time.After(endTime):
		}
	}
	p.kill()
}

// kill ends launcher and workers, whatever they are at.
func (p *process) kill() {
	p.stdin.Close()
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM) // the launcher ends what it started, and then itself
	select {
	case <-p.ended:
	case <-time.After(endTime):
		syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.ended
	}
	if p.conn != nil {
		p.conn.Close()
	}
}
