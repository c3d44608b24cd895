package main

import (
	"io"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"lwtrain/internal/fault"
)

// What Kubeflow Trainer's schema (trainer.kubeflow.org/v1alpha1, manifests/base/crds of kubeflow/trainer, 2026-08) has at each
// place: the keys that a TrainJob may have there, and which it must. "*" is any name.
var trainJobKeys = map[string]string{
	"":                                     "apiVersion kind metadata spec",
	"metadata":                             "name",
	"spec":                                 "activeDeadlineSeconds initializer managedBy runtimePatches runtimeRef! suspend trainer",
	"spec.runtimeRef":                      "apiGroup kind name!",
	"spec.trainer":                         "args command env image numNodes numProcPerNode resourcesPerNode",
	"spec.trainer.resourcesPerNode":        "claims limits requests",
	"spec.trainer.resourcesPerNode.limits": "*",
	"spec.runtimePatches":                  "manager! time trainingRuntimeSpec",
	"spec.runtimePatches.trainingRuntimeSpec":               "template",
	"spec.runtimePatches.trainingRuntimeSpec.template":      "metadata spec",
	"spec.runtimePatches.trainingRuntimeSpec.template.spec": "replicatedJobs",
}

func TestNoTextOfALaunchedFileIsALineOfItsOwn(t *testing.T) {
	for _, kind := range launchers {
		err := launch(io.Discard, kind, []string{"tiny"}, launching{Nodes: 1, Hours: 1, Image: "a\n  privileged: true"})
		if err == nil || !fault.IsUsage(err) || !strings.Contains(err.Error(), "want one line of text") {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestATrainJobHasTheKeysOfItsSchema(t *testing.T) {
	for _, gpus := range []int{0, 8} {
		var out strings.Builder
		x := launching{Name: "my-run", Command: "sft", Config: "c.yaml", Values: []string{`a=[{b: "c"}]`}, Nodes: 2, GPUs: gpus,
			Image: "i", Volume: "v", Shared: "/s"}
		if err := x.print(&out, "kubeflow"); err != nil {
			t.Fatal(err)
		}
		var job map[string]any
		if err := yaml.Unmarshal([]byte(out.String()), &job); err != nil {
			t.Fatalf("%v:\n%s", err, out.String())
		}
		checkKeys(t, "", job)
	}
}

// checkKeys holds a part of a document against the schema.
func checkKeys(t *testing.T, path string, part any) {
	t.Helper()
	if list, ok := part.([]any); ok {
		for _, x := range list {
			checkKeys(t, path, x)
		}
		return
	}
	m, ok := part.(map[string]any)
	known, there := trainJobKeys[path]
	if !ok || !there || known == "*" {
		return
	}
	allowed := map[string]bool{}
	for _, key := range strings.Fields(known) {
		name, must := strings.CutSuffix(key, "!")
		allowed[name] = true
		if _, has := m[name]; must && !has {
			t.Errorf("%s lacks %s", path, name)
		}
	}
	for key, x := range m {
		if !allowed[key] {
			t.Errorf("%s has %s, want one of %s", path, key, known)
		}
		checkKeys(t, strings.TrimPrefix(path+"."+key, "."), x)
	}
}
