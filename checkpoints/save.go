package checkpoints

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lwtrain/internal/atomicfile"
	"lwtrain/internal/fault"
	"lwtrain/internal/plainjson"
)

// Checkpoint is a saved step of a run: the folder <root>/step-000400.
type Checkpoint struct {
	Path string
	Step int
}

// Broken is a folder of a run that is not a complete checkpoint. Reason starts
// with the file's name within the folder.
type Broken struct {
	Path       string
	Reason     error
	Unfinished bool // never was a checkpoint: its save did not end
}

// Found is what [Latest] found. Path is "" if there is no good checkpoint.
type Found struct {
	Checkpoint
	Broken []Broken // those that are not whole, the newest first
}

// Damaged are the broken ones that had been complete.
func (f Found) Damaged() []Broken {
	return slices.DeleteFunc(slices.Clone(f.Broken), func(b Broken) bool { return b.Unfinished })
}

// Save writes the checkpoint of a step in two phases. write fills a hidden folder of root; all of it is
// flushed to the disk, a manifest with the size and SHA-256 of every file is added, and only then
// does the folder get its name, step-000400. On any error, the checkpoints that
// were there are as before, and the hidden folder is gone; after a crash it
// stays until the next Save. One process at a time may save into root.
//
// Where write returns rest, that writes what is left, and goes on beside the caller with all that comes after; no
// other save may begin in root before [Saving.Wait] has returned. Else all is done when Save returns.
//
// A step that is there already is left as it is if it has the same content,
// replaced if it is broken, and otherwise an error.
func Save(root string, step int, write func(dir string) (rest func() error, err error)) (*Saving, error) {
	return disk{}.save(root, step, write)
}

// Saving is a save that has begun.
type Saving struct {
	Step int
	done chan struct{} // closed at its end
	path string
	err  error
}

// Done is closed once [Saving.Wait] does not wait any more.
func (s *Saving) Done() <-chan struct{} { return s.done }

// Wait waits for the end of the save, and returns the checkpoint's path.
func (s *Saving) Wait() (path string, err error) {
	<-s.done
	return s.path, s.err
}

// List names the checkpoints of a run, the oldest first: all folders that have
// a manifest. It does not look at their content; [Files] does.
func List(root string) ([]Checkpoint, error) {
	steps, _, err := scan(root)
	return slices.DeleteFunc(steps, func(c Checkpoint) bool { return !exists(filepath.Join(c.Path, manifestFile)) }), err
}

// Latest finds the newest complete checkpoint of a run: from the newest step
// back it checks every byte against the manifest, until one is whole, and then until
// keep are: those that [Prune] keeps. Broken ones are named with what is wrong with them.
// A root that does not exist has no checkpoints, which is not an error.
func Latest(root string, keep int) (Found, error) {
	var found Found
	steps, unfinished, err := scan(root)
	if err != nil {
		return found, err
	}
	for _, path := range unfinished {
		found.Broken = append(found.Broken, Broken{path, errors.New("a save that was interrupted, or is still going on"), true})
	}
	whole := 0
	for _, c := range slices.Backward(steps) {
		if whole == max(keep, 1) {
			break
		}
		if _, err := verify(c.Path); err != nil {
			found.Broken = append(found.Broken, Broken{c.Path, err, errors.Is(err, errNoManifest)})
			continue
		}
		if whole++; whole == 1 {
			found.Checkpoint = c
		}
	}
	return found, nil
}

// Seal writes down what the files of a model's folder are, so that [VerifyModel] finds
// what changes in them.
func Seal(dir string) error {
	m, err := describe(dir, 0)
	if err != nil {
		return err
	}
	return fault.Disk(disk{}.writeManifest(dir, m))
}

// VerifyModel is [Files] for the model in a checkpoint, without what a resume
// needs besides it. A folder without a manifest is no checkpoint, and not looked
// at.
func VerifyModel(dir string) error {
	m, err := readManifest(dir)
	if errors.Is(err, errNoManifest) {
		return nil
	}
	if err == nil {
		m.Files = slices.DeleteFunc(m.Files, func(f File) bool { return strings.HasPrefix(f.Name, "state/") })
		err = m.verify(dir)
	}
	if err != nil {
		return fault.Hint(fmt.Errorf("%s%c%w", filepath.Clean(dir), filepath.Separator, err),
			"the folder is damaged; of a run's checkpoint take another one")
	}
	return nil
}

// Files checks every byte of a checkpoint against its manifest, and lists what it
// holds. The error names the first file that is missing, of another size, changed or
// unreadable. Files that the manifest does not list are not looked at.
func Files(dir string) ([]File, error) {
	m, err := verify(dir)
	if err != nil {
		return nil, fmt.Errorf("%s%c%w", filepath.Clean(dir), filepath.Separator, err)
	}
	return m.Files, nil
}

// Clean removes what interrupted saves have left in root, as the next [Save]
// would. Nobody may be saving into root.
func Clean(root string) error {
	if !exists(root) {
		return nil
	}
	return removeTemps(root, tempPrefix)
}

// Prune deletes old checkpoints: all but the keep newest that are complete,
// which it verifies first, those newer than the oldest of these, and that of the step
// best; below 0: of none. Broken ones do not count. As long as there are not more than
// keep it reads nothing.
func Prune(root string, keep, best int) error { return disk{}.prune(root, keep, best) }

// scan lists the steps of a run, the oldest first, and the hidden folders of
// saves that were not completed.
func scan(root string) (steps []Checkpoint, unfinished []string, err error) {
	entries, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		path := filepath.Join(root, e.Name())
		if step, ok := stepOf(e.Name()); ok {
			steps = append(steps, Checkpoint{path, step})
		} else if isTemp(e, tempPrefix) {
			unfinished = append(unfinished, path)
		}
	}
	slices.SortFunc(steps, func(a, b Checkpoint) int { return a.Step - b.Step })
	return steps, unfinished, nil
}

func (d disk) save(root string, step int, write func(dir string) (rest func() error, err error)) (*Saving, error) {
	temp, err := d.begin(root, step)
	if err != nil {
		return nil, fault.Disk(err)
	}
	var s *Saving
	defer func() {
		if s == nil {
			os.RemoveAll(temp)
		}
	}()
	rest, err := write(temp)
	if err != nil {
		return nil, fault.Disk(err)
	}
	s = &Saving{Step: step, done: make(chan struct{})}
	end := func() {
		defer close(s.done)
		defer os.RemoveAll(temp) // after the rename there is nothing left of it
		if rest != nil {
			s.err = rest()
		}
		if s.err == nil {
			s.err = d.complete(root, step, temp)
		}
		if s.path = filepath.Join(root, Name(step)); s.err != nil {
			s.path, s.err = "", fault.Disk(s.err)
		}
	}
	if rest == nil {
		end()
	} else {
		go end()
	}
	return s, nil
}

// begin makes the hidden folder of a step.
func (d disk) begin(root string, step int) (temp string, err error) {
	if step < 0 {
		return "", fmt.Errorf("step is %d, want 0 or more", step)
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return "", err
	}
	if err := removeTemps(root, tempPrefix); err != nil {
		return "", err
	}
	return d.tempDir(root, hidden(step))
}

// hidden is what the names of a step's hidden folders begin with.
func hidden(step int) string { return fmt.Sprintf("%s%06d-", tempPrefix, step) }

// complete makes the hidden folder of a step, which holds all files, its checkpoint.
func (d disk) complete(root string, step int, temp string) error {
	if err := d.syncTree(temp); err != nil {
		return err
	}
	m, err := describe(temp, step)
	if err != nil {
		return err
	}
	if err := d.writeManifest(temp, m); err != nil {
		return err
	}
	path := filepath.Join(root, Name(step))
	if _, err := os.Lstat(path); err == nil {
		aside := uniqueName(filepath.Join(root, hidden(step)))
		defer os.RemoveAll(aside)
		same, err := d.clear(path, aside, m)
		if same || err != nil {
			return err
		}
	}
	return d.rename(temp, path)
}

func (d disk) writeManifest(dir string, m *manifest) error {
	data, err := plainjson.MarshalFile(m)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, manifestFile)
	if err := d.check("write", path); err != nil {
		return err
	}
	return atomicfile.WriteBytes(path, data)
}

// clear makes room for a step whose folder exists: it moves a broken one
// aside. It reports whether the one that is there is the same as the new one.
func (d disk) clear(path, aside string, m *manifest) (same bool, err error) {
	old, err := verify(path)
	if err != nil {
		return false, d.rename(path, aside)
	}
	if !slices.Equal(old.Files, m.Files) {
		return false, fault.Hint(fmt.Errorf("%s: a complete checkpoint of this step with other content, want none", path),
			"it belongs to another run; remove it, or give this run another folder")
	}
	return true, nil
}

func (d disk) prune(root string, keep, best int) error {
	if keep < 1 {
		return fmt.Errorf("%d checkpoints to keep, want at least 1", keep)
	}
	steps, _, err := scan(root)
	if err != nil || len(steps) <= keep {
		return err
	}
	for i, c := range slices.Backward(steps) {
		if _, err := verify(c.Path); err == nil {
			keep--
		}
		if keep == 0 {
			var errs []error
			for _, old := range steps[:i] {
				if old.Step == best {
					continue
				}
				errs = append(errs, d.removeStep(root, old))
			}
			return errors.Join(errs...)
		}
	}
	return nil
}

// removeStep takes away the name first, so that a crash in between leaves an
// interrupted save and not a broken checkpoint.
func (d disk) removeStep(root string, c Checkpoint) error {
	temp := uniqueName(filepath.Join(root, hidden(c.Step)))
	if err := d.rename(c.Path, temp); err != nil {
		return err
	}
	return os.RemoveAll(temp)
}
