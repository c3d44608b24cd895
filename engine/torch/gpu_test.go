package torch

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"lwtrain/model"
)

// TestWhatGPUsDoByAProcessorThatPlaysOne runs testdata/gpu.py over layers of each kind: all alike, with windows in some, without
// positions in some, with frequencies by length, and with adapters.
func TestWhatGPUsDoByAProcessorThatPlaysOne(t *testing.T) {
	for _, form := range some("cohere2", "llama-tied", "gemma3", "smollm3", "phi3", "chatglm", "qwen3") {
		for _, recompute := range some("true", "false") {
			trained := model.Training{}
			if form == "cohere2" || form == "chatglm" {
				trained = goneOn(t, folder(form), adapters(model.DoRA, 0.3))
			}
			o := options(1)
			o.GradientCheckpointing = recompute
			e := plannedTo(t, folder(form), o, trained)
			e.work = t.TempDir()
			script, err := writeWorker(e.work)
			if err != nil {
				t.Fatal(err)
			}
			head, err := e.opening()
			if err != nil {
				t.Fatal(err)
			}
			raw, err := json.Marshal(head)
			how := filepath.Join(e.work, "how.json")
			if err == nil {
				err = os.WriteFile(how, raw, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Run(fmt.Sprintf("%s, blocks computed again: %s", form, recompute), func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
				defer cancel()
				cmd := exec.CommandContext(ctx, e.in.Path, "testdata/gpu.py", script, how)
				var said bytes.Buffer
				cmd.Stdout, cmd.Stderr = &said, &said
				if err := cmd.Run(); err != nil {
					t.Errorf("%v\n%s", err, lastLines(said.String(), 25))
				}
			})
		}
	}
}
