package configs

import "strings"

// Key describes one key of the configuration.
type Key struct {
	Path   string   // train.learning_rate
	Doc    string   // meaning
	Want   string   // what values it takes, in words
	Values []string // all of them, where they are few; else nil
}

// Keys lists every key that takes a value, in the order of the file.
func Keys() []Key {
	var out []Key
	for _, f := range table().leaves {
		out = append(out, Key{f.path, f.doc, f.want(), f.enum})
	}
	return out
}

// envName is the environment variable of a key: LWTRAIN_TRAIN_LEARNING_RATE for
// train.learning_rate.
func envName(path string) string {
	return "LWTRAIN_" + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}
