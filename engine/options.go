package engine

// The engines that there are.
const (
	Native = "native"
	Torch  = "torch"
)

// Options choose what computes a run. Each field is a key of the YAML: package configs
// shows its comment to users. A run goes on with another value of any of them.
type Options struct {
	// what computes: the embedded engine, on the processor, or PyTorch, on GPUs where there are any
	Kind string `yaml:"kind" enum:"native|torch"`
	// torch: the Python that has it; empty: $LWTRAIN_PYTHON, then .venv/bin/python, then python3
	Python string `yaml:"python"`
	// torch: processes on this machine; 0: one for each GPU, or 1 without one
	Processes int `yaml:"processes" min:"0" max:"1024"`
	// torch: processes that share one copy of the weights (HSDP); 0: all
	Shard int `yaml:"shard" min:"0" max:"1024"`
	// torch: how often a run goes on by itself, from its last checkpoint, after a process was killed
	Restarts int `yaml:"restarts" min:"0" max:"1000"`
	// torch: compile the blocks of the model; auto: on GPUs
	Compile string `yaml:"compile" enum:"auto|true|false"`
	// torch: the same bytes on the same number of processes; slower on GPUs
	Deterministic bool `yaml:"deterministic"`
}

// Default is what holds where nothing else is said.
func Default() Options { return Options{Kind: Native, Compile: "auto"} }

// Validate returns what is wrong between the options, by key; nil when nothing is.
func (o Options) Validate() map[string]string {
	bad := map[string]string{}
	if o.Kind == Torch {
		return nil
	}
	for key, set := range map[string]bool{
		"python": o.Python != "", "processes": o.Processes > 0, "shard": o.Shard > 0, "deterministic": o.Deterministic,
		"restarts": o.Restarts > 0,
		"compile":  o.Compile != Default().Compile,
	} {
		if set {
			bad[key] = "is for kind: torch, and kind is " + o.Kind
		}
	}
	if len(bad) == 0 {
		return nil
	}
	return bad
}
