package torch

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"lwtrain/model"
)

func TestWhatLaunchersSayOfTheMachines(t *testing.T) {
	type vars = map[string]string
	slurm := func(more vars) vars {
		all := vars{
			"SLURM_JOB_ID": "40123", "SLURM_NNODES": "2", "SLURM_NODEID": "1", "SLURM_PROCID": "1", "SLURM_LOCALID": "0",
			"SLURM_STEP_NODELIST": "gpu[03-04]", "SLURM_JOB_NODELIST": "login,gpu[03-04]",
		}
		maps.Copy(all, more)
		return all
	}
	for name, c := range map[string]struct {
		environment vars
		want        Cluster
		wrong       string
	}{
		"nobody": {nil, Cluster{Port: 29500}, ""},
		"torchrun's variables": {vars{
			"PET_NNODES": "4", "PET_NODE_RANK": "3", "PET_NPROC_PER_NODE": "8", "PET_MASTER_ADDR": "job-node-0-0.job",
			"PET_MASTER_PORT": "29400",
		}, Cluster{4, 3, 8, "job-node-0-0.job", 29400, "torchrun"}, ""},
		"Kubeflow's, with as many processes as there are GPUs": {vars{
			"PET_NNODES": "2", "PET_NODE_RANK": "0", "PET_NPROC_PER_NODE": "auto", "PET_MASTER_ADDR": "a",
		}, Cluster{2, 0, 0, "a", 29500, "torchrun"}, ""},
		"torchrun's come before Slurm's": {slurm(vars{"PET_NNODES": "1", "PET_NPROC_PER_NODE": "2"}),
			Cluster{1, 0, 2, "", 29500, "torchrun"}, ""},
		"an elastic number of machines": {vars{"PET_NNODES": "1:4"}, Cluster{}, `PET_NNODES is "1:4", want a number`},
		"a node that there is not": {vars{"PET_NNODES": "2", "PET_NODE_RANK": "2", "PET_MASTER_ADDR": "a"}, Cluster{},
			"torchrun says node 2 of 2, want 0 to 1"},
		"no word of which machine this is": {vars{"PET_NNODES": "2", "PET_MASTER_ADDR": "a"}, Cluster{},
			"torchrun says 2 machines and not which of them this is (PET_NODE_RANK)"},
		"a port that there is not": {vars{"PET_NNODES": "2", "PET_NODE_RANK": "1", "PET_MASTER_ADDR": "a", "PET_MASTER_PORT": "99999"},
			Cluster{}, "torchrun says port 99999, want at most 65535"},
		"no first machine": {vars{"PET_NNODES": "2", "PET_NODE_RANK": "1"}, Cluster{},
			"torchrun says 2 machines and not the address of the first"},
		"a task of Slurm":       {slurm(nil), Cluster{2, 1, 0, "gpu03", 20123, "Slurm"}, ""},
		"Slurm on one machine":  {slurm(vars{"SLURM_NNODES": "1", "SLURM_NODEID": "0"}), Cluster{1, 0, 0, "", 29500, "Slurm"}, ""},
		"Slurm's batch script":  {slurm(vars{"SLURM_PROCID": ""}), Cluster{}, "this is the batch script"},
		"many tasks a machine":  {slurm(vars{"SLURM_LOCALID": "1"}), Cluster{}, "more than one task on a machine"},
		"Slurm without a list":  {slurm(vars{"SLURM_STEP_NODELIST": "", "SLURM_JOB_NODELIST": ""}), Cluster{}, "want names such as"},
		"a list of whole names": {slurm(vars{"SLURM_STEP_NODELIST": "a-1.x,b"}), Cluster{2, 1, 0, "a-1.x", 20123, "Slurm"}, ""},
		"a list with an ending": {slurm(vars{"SLURM_STEP_NODELIST": "r[1,3-9]c2,b"}), Cluster{2, 1, 0, "r1c2", 20123, "Slurm"}, ""},
		"SkyPilot": {vars{
			"SKYPILOT_NODE_IPS": "10.0.0.5\n10.0.0.6\n", "SKYPILOT_NODE_RANK": "1", "SKYPILOT_NUM_NODES": "2",
			"SKYPILOT_NUM_GPUS_PER_NODE": "8",
		}, Cluster{2, 1, 8, "10.0.0.5", 29500, "SkyPilot"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ReadCluster(func(name string) (string, bool) { v, ok := c.environment[name]; return v, ok })
			switch {
			case c.wrong == "" && (err != nil || got != c.want):
				t.Errorf("got %+v, %v, want %+v", got, err, c.want)
			case c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)):
				t.Errorf("got %v, want an error with %q", err, c.wrong)
			}
		})
	}
}

// TestMachinesWaitForTheFirstOnesData holds that the launchers of the others do not give up while the first machine prepares the run:
// by themselves they do after a quarter of an hour.
func TestMachinesWaitForTheFirstOnesData(t *testing.T) {
	c := Cluster{Nodes: 2, Node: 1, Master: "gpu03", Port: 20123}
	want := []string{"--nnodes=2", "--node-rank=1", "--master-addr=gpu03", "--master-port=20123", "--rdzv-conf=timeout=7200"}
	if got := c.meeting(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := strings.Join(Cluster{}.meeting(), " "); strings.Contains(got, "master") || !strings.Contains(got, "--local-addr=127.0.0.1") {
		t.Errorf("one machine alone: %v", got)
	}
}

// TestOtherMachinesSeeFreshWeights holds that what they read lies in the folder that all share, and not in a temporary one of the first.
func TestOtherMachinesSeeFreshWeights(t *testing.T) {
	o := options(1)
	o.Dir, o.Fresh, o.Cluster = t.TempDir(), true, Cluster{Nodes: 2, Master: "a", Port: 1}
	c, err := model.Check(folder("llama-tied"))
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(model.Empty(c), folder("llama-tied"), &Installation{}, o)
	if err != nil {
		t.Fatal(err)
	}
	head, err := e.opening()
	if err != nil {
		t.Fatal(err)
	}
	for name, pieces := range head["tensors"].(map[string][]piece) {
		for _, p := range pieces {
			if path := p[0].(string); !strings.HasPrefix(path, o.Dir) {
				t.Errorf("%s is read from %s, want it below %s", name, path, o.Dir)
			}
		}
	}
}

func TestTheEnvironmentOfWorkers(t *testing.T) {
	t.Setenv("PET_NNODES", "7")
	t.Setenv("PYTHONPATH", ":/opt/torch::lib:")
	t.Setenv("PYTHONOPTIMIZE", "2")
	t.Setenv("PYTHON_EXEC", "/bin/false")
	t.Setenv("PYTORCH_ALLOC_CONF", "")
	t.Setenv("PYTORCH_CUDA_ALLOC_CONF", "")
	has := func(o Options, text string) bool { return slices.Contains(environment("log", 2, o), text) }
	for text, want := range map[string]bool{
		"PYTHONPATH=/opt/torch:lib": true, "PYTHONOPTIMIZE=2": false, "PYTHON_EXEC=/bin/false": false,
		"PET_NNODES=7": false, "PYTHONUTF8=1": true, "OMP_NUM_THREADS=4": true, "LWTRAIN_LOG=log": true,
		"PYTORCH_ALLOC_CONF=expandable_segments:True": true,
		"CUBLAS_WORKSPACE_CONFIG=:4096:8":             false, "TORCHINDUCTOR_DETERMINISTIC=1": false,
	} {
		if got := has(Options{Threads: 8}, text); got != want {
			t.Errorf("%s is there: %t, want %t", text, got, want)
		}
	}
	for _, text := range []string{"CUBLAS_WORKSPACE_CONFIG=:4096:8", "TORCHINDUCTOR_DETERMINISTIC=1"} {
		if !has(Options{Threads: 8, Deterministic: true}, text) {
			t.Errorf("no %s where the same bytes are wanted", text)
		}
	}
	t.Setenv("PYTORCH_CUDA_ALLOC_CONF", "max_split_size_mb:512")
	if has(Options{}, "PYTORCH_ALLOC_CONF=expandable_segments:True") {
		t.Error("what the user says of the memory is overruled")
	}
}
