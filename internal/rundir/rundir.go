// Package rundir is the folder of a run: which run it holds, that one process
// works in it at a time and stays in it, and its small files, which are whole or
// absent.
package rundir

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lwtrain/internal/atomicfile"
	"lwtrain/internal/fault"
	"lwtrain/internal/plainjson"
)

// The names of a run's files in its folder.
const (
	File        = "run.json"      // which run it is
	Config      = "config.yaml"   // the config as it was resolved
	Metrics     = "metrics.jsonl" // of a training run
	Table       = "metrics.csv"   // of a training run, where output.report_to says so
	Answers     = "answers.json"  // to held-out prompts, of a training run
	Best        = "best.json"     // which checkpoint of a training run has the lowest held-out loss
	Checkpoints = "checkpoints"   // the folder of a training run's checkpoints
	Engine      = "engine"        // the folder of what an engine writes beside a run: its workers' files and logs
)

// What hints say of a folder that does not do. A chain, which gives its steps their folders, says it in its own way.
const (
	OwnDir    = "give this run an output.dir of its own"
	OtherDisk = "give output.dir a folder on another disk"
)

// Identity is what makes two runs the same run.
type Identity struct {
	Contents map[string]string `json:"contents"` // what was read, by name, as SHA-256
	Settings map[string]string `json:"settings"` // every one that the result depends on, by key
}

// Asking is what run.json says of work that asks for replies: besides what it is, for who watches it.
type Asking struct {
	Identity
	Total int  `json:"total,omitempty"` // lines that its file of replies will have; 0: not known
	About bool `json:"about,omitempty"` // so many, about
}

// HashOf is by what the content of texts and numbers is known: the SHA-256 of the JSON that v is.
func HashOf(v any) string {
	h := sha256.New()
	if err := json.NewEncoder(h).Encode(v); err != nil {
		panic(err) // v is of a type that JSON has no form of, or a number that is none
	}
	return hex.EncodeToString(h.Sum(nil))
}

// TokenizerFiles are contents of training runs that folders of earlier versions do not name: nothing is known of
// them there, so they are no others.
const TokenizerFiles = "tokenizer files"

// OtherRunError says that a folder holds another run than the one that is to go on there.
type OtherRunError struct {
	Dir         string
	Differences []string // "train.max_steps: 16 then, 32 now"
}

func (e OtherRunError) Error() string {
	return fmt.Sprintf("%s holds another run: %s", e.Dir, strings.Join(e.Differences, "; "))
}

// Same refuses the folder of the run there for the run now, with the
// differences: an [OtherRunError].
func Same(dir string, there, now Identity) error {
	diff := there.differences(now)
	if len(diff) == 0 {
		return nil
	}
	return fault.Usage(fault.Hint(OtherRunError{dir, diff}, OwnDir+", or take back the changes to go on with the old one"))
}

// RefuseForeign refuses a folder without a run that holds one of the files which a run
// would write over.
func RefuseForeign(dir string, names ...string) error {
	for _, name := range names {
		path := filepath.Join(dir, name)
		if _, err := os.Lstat(path); err == nil {
			return fault.Usage(fault.Hint(fmt.Errorf("%s is there, without %s, and would be written over", path, File), OwnDir))
		}
	}
	return nil
}

func (a Identity) differences(b Identity) []string {
	var out []string
	compare := func(label string, then, now map[string]string, show func(string) string) {
		keys := maps.Clone(then)
		if keys == nil {
			keys = map[string]string{}
		}
		maps.Copy(keys, now)
		for _, k := range slices.Sorted(maps.Keys(keys)) {
			if then[k] != now[k] && (k != TokenizerFiles || then[k] != "") {
				out = append(out, fmt.Sprintf("%s%s: %s then, %s now", label, k, show(then[k]), show(now[k])))
			}
		}
	}
	compare("content of ", a.Contents, b.Contents, func(hash string) string { return orNone(hash[:min(12, len(hash))]) })
	compare("", a.Settings, b.Settings, orNone)
	return out
}

func orNone(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

// ReadJSON reads a file into v; false if there is none.
func ReadJSON(path string, v any) (bool, error) {
	raw, err := ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := plainjson.Decode(raw, len(raw), v); err != nil {
		return false, plainjson.In(path, err)
	}
	return true, nil
}

// WriteJSON writes a file that people can read, whole or not at all.
func WriteJSON(path string, v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return fault.Disk(atomicfile.WriteBytes(path, append(raw, '\n')))
}
