package train

import (
	"fmt"
	"maps"
	"path/filepath"
	"strconv"

	"lwtrain/checkpoints"
	"lwtrain/internal/fault"
	"lwtrain/internal/rundir"
)

// sameRun refuses the folder of another run, and says how to begin one with what that has
// learnt.
func sameRun(dir string, there, now Identity) error {
	err := rundir.Same(dir, lengthened(there, now), now)
	if err == nil {
		return nil
	}
	const choice = "choice of samples"
	if now.Contents[choice] != there.Contents[choice] && alike(there, now, choice) {
		return fault.Hint(err, fmt.Sprintf("held-out samples are whole, where earlier versions left out or cut those longer than "+
			"data.max_length: data.held_out_max_length=%s takes those of then; %s", now.Settings["data.max_length"], fault.HintOf(err)))
	}
	all, _ := checkpoints.List(filepath.Join(dir, rundir.Checkpoints))
	if len(all) == 0 {
		return err
	}
	return fault.Hint(err, fmt.Sprintf("%s; model.path=%s output.dir=%s begins a new run with what the old one has learnt",
		fault.HintOf(err), all[len(all)-1].Path, filepath.Clean(dir)+"-2"))
}

// alike reports whether two runs differ in nothing but one of their contents.
func alike(a, b Identity, content string) bool {
	a.Contents, b.Contents = maps.Clone(a.Contents), maps.Clone(b.Contents)
	b.Contents[content] = a.Contents[content]
	return maps.Equal(a.Settings, b.Settings) && maps.Equal(a.Contents, b.Contents)
}

// lengthened is the run there with the length that it has now, if its steps up to the end
// that it had are the same ones: no learning rate follows from how many steps there are, and
// there are not fewer now.
func lengthened(there, now Identity) Identity {
	const steps, epochs = "train.max_steps", "train.num_train_epochs"
	number := func(id Identity, key string) float64 {
		v, err := strconv.ParseFloat(id.Settings[key], 64)
		if err != nil {
			return -1
		}
		return v
	}
	key := steps
	if number(there, steps) == 0 && number(now, steps) == 0 {
		key = epochs
	}
	constant := now.Settings["train.lr_scheduler_type"] == "constant" && number(now, "train.warmup_ratio") == 0
	if then := number(there, key); !constant || then <= 0 || number(now, key) < then {
		return there
	}
	there.Settings = maps.Clone(there.Settings)
	there.Settings[steps], there.Settings[epochs] = now.Settings[steps], now.Settings[epochs]
	return there
}
