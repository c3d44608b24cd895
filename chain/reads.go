package chain

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"lwtrain/internal/rundir"
)

// named are the paths that a step's command and config may read: all texts in them, but where the step writes and
// where it keeps what can be made again.
func (s *Step) named() []string {
	texts, cache := s.Args, ""
	if s.Config != nil {
		texts, cache = s.Config.Texts(), s.Config.Data.CacheDir
	}
	var out []string
	for _, text := range texts {
		if text == "" || text == cache {
			continue
		}
		found, err := filepath.Glob(text)
		if err != nil || len(found) == 0 {
			found = []string{text}
		}
		for _, path := range found {
			if !strings.HasPrefix(path+"/", s.Dir+"/") {
				out = append(out, path)
			}
		}
	}
	return out
}

// mostHashed is the size in bytes up to which the content of a file counts, and not its time.
const mostHashed = 16 << 20

// stamp is a hash of what lies at a path: names and contents, and of large files sizes and times; "" where nothing
// does. Of a run's folder its checkpoints count, which are what others read of it.
func stamp(path string) string {
	info, err := os.Stat(path)
	if err != nil { // it is no path, or cannot be read: the command says so
		return ""
	}
	h := sha256.New()
	add := func(file, name string, info fs.FileInfo) {
		fmt.Fprintf(h, "%q %d\n", name, info.Size())
		if f, err := rundir.Open(file); err == nil && info.Size() <= mostHashed {
			_, _ = io.CopyN(h, f, mostHashed) // to its end; what cannot be read, the command says
			f.Close()
		} else {
			fmt.Fprintln(h, info.ModTime().UnixNano())
		}
	}
	if !info.IsDir() {
		add(path, "", info)
		return hex.EncodeToString(h.Sum(nil))
	}
	in := filepath.Join(path, rundir.Checkpoints)
	if info, err := os.Stat(in); err == nil && info.IsDir() {
		path = in
	}
	_ = filepath.WalkDir(path, func(file string, e fs.DirEntry, err error) error { // what is there now, and can be read
		switch {
		case err != nil || e.IsDir() || strings.HasPrefix(e.Name(), ".") || e.Name() == RecordFile:
		default:
			if info, err := os.Stat(file); err == nil { // of what a link leads to
				add(file, strings.TrimPrefix(file, path), info)
			}
		}
		return nil
	})
	return hex.EncodeToString(h.Sum(nil))
}
