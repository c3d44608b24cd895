package store

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Cache is a folder of stores, each in a folder of its own that is named by the source and
// by all that the store depends on.
type Cache struct {
	Dir string
	// ShardTokens is about how many tokens are in a shard; 0: 64 Mi, which are 256 MiB.
	ShardTokens int64
}

func (c Cache) folder(name string, in Inputs) string {
	return filepath.Join(c.Dir, fileName(name)+"-"+in.key()[:16])
}

// Open opens the store of a source if it is in the cache. The error is os.ErrNotExist
// where it is not, and another where it is damaged.
func (c Cache) Open(name string, in Inputs) (*Store, error) {
	return openStore(c.folder(name, in), in, false)
}

// WhyNew says what changed since the source at a path was tokenised last.
func (c Cache) WhyNew(path string, in Inputs) string {
	var last manifest
	var nearest int // how much of it is the same, then how late it was made
	var made time.Time
	found, _ := fs.Glob(os.DirFS(c.Dir), "*/"+manifestName)
	for _, name := range found {
		at := filepath.Join(c.Dir, name)
		m, err := readManifest(filepath.Dir(at))
		info, statErr := os.Stat(at)
		if err != nil || statErr != nil || m.Source != path {
			continue
		}
		near := 1
		if m.Inputs.Chat == in.Chat {
			near++
		}
		if m.Inputs.File == in.File {
			near++
		}
		if m.Inputs.Read == in.Read {
			near++
		}
		if near > nearest || near == nearest && info.ModTime().After(made) {
			last, nearest, made = m, near, info.ModTime()
		}
	}
	if nearest == 0 {
		return "new"
	}
	var changed []string
	if last.Inputs.File != in.File {
		changed = append(changed, "the file")
	}
	if last.Inputs.Chat != in.Chat {
		changed = append(changed, "the tokenizer or the template")
	}
	if last.Inputs.Read != in.Read {
		changed = append(changed, "how it is read")
	}
	if last.Format != Format {
		changed = append(changed, "the store's format")
	}
	return strings.Join(changed, " and ") + " changed"
}

// removeStale removes what runs left behind that were killed a day ago.
func (c Cache) removeStale() {
	found, _ := fs.Glob(os.DirFS(c.Dir), tempPrefix+"*")
	for _, name := range found {
		dir := filepath.Join(c.Dir, name)
		if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) > 24*time.Hour {
			os.RemoveAll(dir)
		}
	}
}

// fileName makes a name that is fit for a folder.
func fileName(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || '0' <= r && r <= '9' || 'a' <= r|0x20 && r|0x20 <= 'z' && r < 0x80 {
			return r
		}
		return '_'
	}, name)
}
