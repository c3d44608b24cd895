package configs

import (
	_ "embed"
	"encoding/json"
	"fmt"
)

// What is said of each key is the comment of its field in the packages' Options. The
// binary has no comments, so a test collects them here, and fails where they are old.
//
//go:generate go test -run TestDocsAreTheCommentsOfTheFields -update
//go:embed docs.json
var docsJSON []byte

// docs is what is said of every key, by its path; a key in a list of sources is
// data.sources[].name.
func docs() map[string]string {
	var out map[string]string
	if err := json.Unmarshal(docsJSON, &out); err != nil {
		panic(fmt.Sprintf("configs: docs.json: %v", err)) // embedded
	}
	return out
}

// eachKey visits keys, and all below them, in the order of the file. Held-out sources
// have the keys of the others.
func eachKey(keys []*field, prefix string, visit func(key string, f *field)) {
	for _, f := range keys {
		visit(prefix+f.name, f)
		switch f.kind {
		case section:
			eachKey(f.keys, prefix+f.name+".", visit)
		case list:
			eachKey(f.keys, prefix+f.name+"[].", visit)
		case heldOut:
			eachKey(f.keys, "data.sources[].", visit)
		}
	}
}
