package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"lwtrain/engine"
	"lwtrain/engine/torch"
	"lwtrain/internal/fault"
	"lwtrain/session"
)

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
		Long: `Trains as lwtrain sft or dpo do with engine.kind: torch, on all machines of a job.
Each gets the same command, once: which machine it is, how many there are and where
the first one is say the variables of torchrun and Kubeflow (PET_*), Slurm (SLURM_*)
or SkyPilot (SKYPILOT_*). The first machine conducts the run; the others compute, and
end when it does. Without such variables, or on one machine, it is the command
itself.

output.dir, data and model lie on a disk that all machines share. To stop, any of
them may be asked (Ctrl-C, SIGTERM): the run saves and ends. docs/gpus.md has files
for Slurm, Kubeflow and SkyPilot, which lwtrain launch prints.`,
		Example: `  srun --ntasks-per-node=1 lwtrain node sft -c glm4.yaml
  PET_NNODES=2 PET_NODE_RANK=0 PET_MASTER_ADDR=10.0.0.5 lwtrain node sft -c my.yaml`,
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
