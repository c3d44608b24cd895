package main

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"unicode"

	"github.com/spf13/cobra"

	"lwtrain/configs"
	"lwtrain/engine"
	"lwtrain/engine/torch"
	"lwtrain/internal/fault"
	"lwtrain/internal/rundir"
	"lwtrain/internal/terminal"
	"lwtrain/session"
)

//go:embed launch/*.tmpl
var launchFiles embed.FS

// launchers are what lwtrain launch prints a file for.
var launchers = []string{"slurm", "kubeflow", "sky", "docker"}

// launching is what the files are made of.
type launching struct {
	Name    string // of the job
	Command string // sft or dpo
	Config  string // path of the config, or name of a recipe
	Values  []string
	Nodes   int
	GPUs    int // on each machine
	Image   string
	Volume  string // a claim with the folder that all machines share
	Shared  string // where it lies
	Hours   int
	Version string
}

func newLaunchCmd() *cobra.Command {
	x := launching{}
	cmd := &cobra.Command{
		Use:   "launch slurm|kubeflow|sky|docker RUN [key=value ...]",
		Short: "Print a file that trains on a cluster",
		Long: `Prints a file that runs lwtrain node on the machines of a cluster: a batch
script for Slurm, a TrainJob for Kubeflow Trainer, a task for SkyPilot, or a
Dockerfile with what all of them need. RUN is a config, or the folder of a run,
which goes on. Nothing is started: read the file, and give it to sbatch,
kubectl, sky or docker.`,
		Example: `  lwtrain launch slurm glm4.yaml --nodes 2 --gpus 8 > job.sh && sbatch job.sh
  lwtrain launch kubeflow runs/glm4 --image my/lwtrain:1 --volume shared
  lwtrain launch docker > Dockerfile`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 || !slices.Contains(launchers, args[0]) {
				return errors.New("want slurm, kubeflow, sky or docker first")
			}
			if len(args) == 1 && args[0] != "docker" {
				return errors.New("want a config or the folder of a run behind " + args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return launch(cmd.OutOrStdout(), args[0], args[1:], x)
		},
	}
	f := cmd.Flags()
	f.StringVar(&x.Command, "command", "", "sft or dpo; of a run's folder, what it is")
	f.StringVar(&x.Name, "name", "", "of the job; the config's where nothing is said")
	f.IntVar(&x.Nodes, "nodes", 1, "machines")
	f.IntVar(&x.GPUs, "gpus", 8, "GPUs on each machine")
	f.IntVar(&x.Hours, "hours", 24, "slurm: how long the job may take")
	f.StringVar(&x.Image, "image", "lwtrain:latest", "kubeflow, sky: the image of the Dockerfile that launch docker prints")
	f.StringVar(&x.Volume, "volume", "shared", "kubeflow: the claim of the folder that all machines share; sky: its bucket")
	f.StringVar(&x.Shared, "mount", "/shared", "kubeflow, sky: where that folder lies, with config, data, model and output.dir in it")
	return cmd
}

// launch writes the file.
func launch(w io.Writer, kind string, args []string, x launching) error {
	if x.Nodes < 1 || x.GPUs < 0 || x.Hours < 1 {
		return fault.Usage(fmt.Errorf("--nodes %d --gpus %d --hours %d, want at least 1, 0 and 1", x.Nodes, x.GPUs, x.Hours))
	}
	for _, text := range append([]string{x.Image, x.Volume, x.Shared}, args...) {
		if strings.ContainsFunc(text, unicode.IsControl) { // what follows a break of lines would be a line of the file
			return fault.Usage(fmt.Errorf("%q has a control character, want one line of text", text))
		}
	}
	x.Version = session.Version()
	if kind != "docker" {
		if err := x.of(args[0], args[1:]); err != nil {
			return err
		}
	}
	return x.print(w, kind)
}

// print writes the file of a kind.
func (x launching) print(w io.Writer, kind string) error {
	t, err := template.New("").Funcs(template.FuncMap{"shell": terminal.ShellWord, "yaml": yamlText}).ParseFS(launchFiles, "launch/*.tmpl")
	if err != nil {
		return err
	}
	return t.ExecuteTemplate(w, kind+".tmpl", x)
}

// of fills in what a config or the folder of a run says.
func (x *launching) of(run string, values []string) error {
	x.Config, x.Values = run, values
	if info, err := os.Stat(run); err == nil && info.IsDir() {
		x.Config = filepath.Join(run, rundir.Config)
		if kind, err := session.KindOf(run); err != nil {
			return err
		} else if x.Command == "" {
			x.Command = kind
		}
		x.Values = append([]string{"output.dir=" + run}, values...)
	}
	if x.Command == "" {
		x.Command = "sft"
	}
	if _, ok := methodOf(x.Command); !ok {
		return fault.Usage(fmt.Errorf("--command %s, want sft or dpo", x.Command))
	}
	x.Values = append([]string{"engine.kind=" + engine.Torch}, x.Values...) // which lwtrain node does not say by itself on one machine
	c, err := configs.Load(x.Config, x.Values, func(string) (string, bool) { return "", false })
	if err != nil {
		return err
	}
	if x.Name == "" {
		x.Name = filepath.Base(c.Output.Dir)
	}
	x.Name = strings.Trim(notInNames.ReplaceAllString(strings.ToLower(x.Name), "-"), "-")
	if x.Name == "" {
		x.Name = "lwtrain"
	}
	return nil
}

var notInNames = regexp.MustCompile(`[^a-z0-9]+`) // of Kubernetes' objects

// yamlText is a text as YAML and JSON read it.
func yamlText(s string) string { return fmt.Sprintf("%q", s) }

// methodOf is the way of training of a command.
func methodOf(command string) (how session.Method, ok bool) {
	switch command {
	case "sft":
		return session.SFT, true
	case "dpo":
		return session.DPO, true
	}
	return how, false
}

func newNodeCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "node sft|dpo -c CONFIG [key=value ...]",
		Short: "Train with several machines: the same command on each",
		Long: `Trains as lwtrain sft or dpo do with engine.kind: torch, on all machines of a
job. Each gets the same command, once: which machine it is, how many there are
and where the first one is say the variables of torchrun and Kubeflow (PET_*),
Slurm (SLURM_*) or SkyPilot (SKYPILOT_*). The first machine conducts the run;
the others compute, and end when it does. Without such variables, or on one
machine, it is the command itself.

output.dir, data and model lie on a disk that all machines share. To stop, any
of them may be asked (Ctrl-C, SIGTERM): the run saves and ends. docs/gpus.md has
files for Slurm, Kubeflow and SkyPilot, which lwtrain launch prints.`,
		Example: `  srun --ntasks-per-node=1 lwtrain node sft -c glm4.yaml
  PET_NNODES=2 PET_NODE_RANK=0 PET_MASTER_ADDR=10.0.0.5 \
      lwtrain node sft -c my.yaml`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runNode(cmd, args)
		},
	}
	addConfigFlags(cmd)
	keyed := cmd.Args
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			if _, ok := methodOf(args[0]); ok {
				return keyed(cmd, args[1:])
			}
		}
		return errors.New("want sft or dpo first: lwtrain node sft -c CONFIG")
	}
	return cmd
}

// runNode does a machine's part of a run.
func runNode(cmd *cobra.Command, args []string) error {
	cluster, err := torch.ReadCluster(os.LookupEnv)
	if err != nil {
		return err
	}
	how, _ := methodOf(args[0])
	args = args[1:]
	if !cluster.Alone() {
		args = append([]string{"engine.kind=" + engine.Torch}, args...)
	}
	s, err := openSession(cmd, args, false)
	if err != nil {
		return err
	}
	defer s.Close()
	s.Cluster = cluster
	w := cmd.ErrOrStderr()
	switch {
	case cluster.Alone():
		return trainIn(cmd, s, how)
	case s.Config.Engine.Kind != engine.Torch:
		return fault.Usage(fmt.Errorf("engine.kind is %s, and %s says %d machines: want %s, which computes on several",
			s.Config.Engine.Kind, cluster.From, cluster.Nodes, engine.Torch))
	case cluster.Node == 0:
		fmt.Fprintf(w, "%s: this is the first of %d machines, and conducts\n", cluster.From, cluster.Nodes)
		return trainIn(cmd, s, how)
	}
	fmt.Fprintf(w, "%s: machine %d of %d computes for %s\n", cluster.From, cluster.Node+1, cluster.Nodes, cluster.Master)
	return s.Join(cmd.Context())
}
