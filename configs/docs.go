package configs

import (
	_ "embed"
	"encoding/json"
)

// What is said of each key is the comment of its field in the packages' Options. The
// binary has no comments, so a test collects them here, and fails where they are old.
//
//go:generate go test -run TestDocsAreTheCommentsOfTheFields -update
//go:generate go test -run TestOptionsPage -update
//go:embed docs.json
var docsJSON []byte

// docs is what is said of every key, by its path; a key in a list of sources is
// data.sources[].name.
func docs() map[string]string {
	var out map[string]string
	if json.Unmarshal(docsJSON, &out) != nil {
		panic("configs: docs.json is no JSON of texts") // embedded
	}
	return out
}
