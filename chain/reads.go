package chain

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lwtrain/agentwrite"
	"lwtrain/internal/rundir"
	"lwtrain/pairs"
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
		if _, value, with := strings.Cut(text, "="); with && strings.HasPrefix(text, "-") { // of an option: --from=FILE
			text = value
		}
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

// files are those that a command leaves in its folder for others to read, where these are few.
var files = map[string][]string{
	"agentwrite": {agentwrite.TrainFile, agentwrite.ItemsFile, agentwrite.DroppedFile, agentwrite.CallsFile},
	"pairs":      {pairs.PairsFile, pairs.CandidatesFile},
}

// Coming names the step that will have written a path when step i reads it: one before it that is not done yet, in whose folder it
// lies; nil: none will. wrong says that it is known to write no such file.
func (r *Run) Coming(i int, path string) (by *Step, wrong string) {
	path = filepath.Clean(path)
	for k := range r.Steps[:i] {
		s := &r.Steps[k]
		in, below := strings.CutPrefix(path+"/", filepath.Clean(s.Dir)+"/")
		if !below || s.State == Done {
			continue
		}
		known := files[strings.Join(s.Command, " ")]
		if in = strings.TrimSuffix(in, "/"); in != "" && known != nil && !slices.Contains(known, in) && !strings.ContainsAny(in, `*?[/`) {
			wrong = fmt.Sprintf("step %s writes no such file, want one of %s", s.Name, strings.Join(known, ", "))
		}
		return s, wrong
	}
	return nil, ""
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
	walk(path, "", nil, add)
	return hex.EncodeToString(h.Sum(nil))
}

// walk sees the files below a folder in the order of their names, through links too, and each folder once on its way down: what
// is there now, and can be read.
func walk(dir, name string, above []string, add func(file, name string, info fs.FileInfo)) {
	at, err := filepath.EvalSymlinks(dir)
	if err != nil || slices.Contains(above, at) {
		return
	}
	above = append(slices.Clip(above), at)
	entries, _ := os.ReadDir(at)
	for _, e := range entries {
		file, name := filepath.Join(dir, e.Name()), name+"/"+e.Name()
		info, err := os.Stat(file) // of what a link leads to
		switch {
		case err != nil:
		case info.IsDir():
			walk(file, name, above, add)
		case !strings.HasPrefix(e.Name(), ".") && e.Name() != RecordFile:
			add(file, name, info)
		}
	}
}
