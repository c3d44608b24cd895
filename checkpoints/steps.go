package checkpoints

import (
	"fmt"
	"strconv"
	"strings"
)

// The names of a run's folders.
const (
	stepPrefix = "step-"
	tempPrefix = ".tmp-step-"
)

// Name is that of a step's folder: step-000400.
func Name(step int) string { return fmt.Sprintf("%s%06d", stepPrefix, step) }

// stepOf is the step of a folder's name; false if Name does not give it.
func stepOf(name string) (int, bool) {
	step, err := strconv.Atoi(strings.TrimPrefix(name, stepPrefix))
	return step, err == nil && step >= 0 && Name(step) == name
}
