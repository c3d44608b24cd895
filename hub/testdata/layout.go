// Command layout writes testdata/layout.txt: the cache that Python's
// huggingface_hub makes of the repositories of hubtest.Example. It fails if package
// hub can not read that cache as it is, with the lists of files and without them,
// as older versions leave it.
//
//	go run hub/testdata/layout.go PYTHON > hub/testdata/layout.txt
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/exec"

	"lwtrain/data/read"
	"lwtrain/hub"
	"lwtrain/hub/hubtest"
)

const program = `
import huggingface_hub as h
h.snapshot_download("owner/model", allow_patterns=["*.json", "model*.safetensors"], ignore_patterns=["*/*"])
h.snapshot_download("owner/data", repo_type="dataset", allow_patterns=["*.jsonl", "README.md"])
h.snapshot_download("owner/data", repo_type="dataset", allow_patterns=["*.jsonl", "README.md"], revision="` + hubtest.Other + `")
`

func main() {
	server := hubtest.Example()
	defer server.Close()
	cache, err := os.MkdirTemp("", "layout-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(cache)
	python := exec.Command(os.Args[1], "-c", program)
	python.Env = append(os.Environ(), "HF_ENDPOINT="+server.URL, "HF_HUB_CACHE="+cache, "HF_HOME="+cache+"/home",
		"HF_TOKEN=", "HF_HUB_DISABLE_TELEMETRY=1", "NO_PROXY=127.0.0.1")
	python.Stderr = os.Stderr
	if err := python.Run(); err != nil {
		log.Fatal(err)
	}
	fmt.Print(hubtest.Listing(cache))
	for _, older := range []bool{false, true} {
		for _, want := range []struct {
			kind hub.Kind
			name string
			want hub.Want
		}{{hub.Model, "owner/model", hub.WholeModel}, {hub.Dataset, "owner/data", hub.Files(read.Pick)}} {
			ref, err := hub.Parse(want.kind, want.name)
			if err != nil {
				log.Fatal(err)
			}
			c := hub.Client{Cache: cache, Offline: true}
			if older {
				os.RemoveAll(cache + "/" + string(want.kind) + "s--owner--" + ref.Repo[len("owner/"):] + "/trees")
			}
			s, err := c.Get(context.Background(), ref, want.want, nil)
			if err != nil {
				log.Fatalf("%s is not read as it is: %v", ref, err)
			}
			for _, f := range s.Files {
				if _, err := os.ReadFile(s.Path(f)); err != nil {
					log.Fatal(err)
				}
			}
		}
	}
}
