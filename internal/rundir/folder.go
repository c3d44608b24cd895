package rundir

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"lwtrain/internal/fault"
)

// Folder is a run's folder that this process works in. No other one does until it is
// closed.
type Folder struct {
	path   string
	handle *os.File // of the folder itself, wherever it lies now
}

// Enter makes the folder of a run, or finds it, and keeps other processes out. The
// system lets them in again when this one ends, however it ends. A file system
// without locks is taken as it is.
func Enter(path string) (*Folder, error) {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, fault.Usage(err)
	}
	handle, err := os.Open(path)
	if err != nil {
		return nil, fault.Usage(err)
	}
	if err := syscall.Flock(int(handle.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		handle.Close()
		return nil, fault.Usage(fault.Hint(fmt.Errorf("%s: another process is at work in this folder", path),
			"wait for it, stop it, or "+OwnDir))
	}
	return &Folder{path, handle}, nil
}

// MovedError says that a run's folder is no longer where the run began.
type MovedError struct {
	Path string
	Now  string // where it lies; "": it was removed, or the system does not say
}

func (e MovedError) Error() string {
	if e.Now == "" {
		return e.Path + ": the run's folder was removed, or moved away, while the run was going on"
	}
	return fmt.Sprintf("%s: the run's folder was moved to %s while the run was going on", e.Path, e.Now)
}

// Check returns a [MovedError] unless the folder's path still leads to the folder that
// was entered, by device and inode: another one in its place is not written to.
func (f *Folder) Check() error {
	own, err := f.handle.Stat()
	if err != nil {
		return err
	}
	if there, err := os.Stat(f.path); err == nil && os.SameFile(there, own) {
		return nil
	}
	now, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.handle.Fd())) // Linux alone can say
	if err == nil {
		var there os.FileInfo
		if there, err = os.Stat(now); err == nil && os.SameFile(there, own) {
			return MovedError{f.path, now}
		}
	}
	return MovedError{Path: f.path}
}

// Follow takes the folder to lie at another path from now on, as a [MovedError] says.
func (f *Folder) Follow(path string) { f.path = path }

// Close lets other processes in.
func (f *Folder) Close() error { return f.handle.Close() }

// Held reports whether a process of this machine is at work in a folder, without touching its lock.
// known is false where the system does not say: other systems than Linux. Processes in other
// containers, and of other machines, are not seen.
func Held(path string) (held, known bool) {
	info, err := os.Stat(path)
	if err != nil {
		return false, false
	}
	own, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false, false
	}
	locks, err := os.ReadFile("/proc/locks")
	if err != nil {
		return false, false
	}
	device := uint64(own.Dev)
	at := fmt.Sprintf("%02x:%02x:%d", unix.Major(device), unix.Minor(device), own.Ino)
	for line := range strings.Lines(string(locks)) {
		// 1: FLOCK  ADVISORY  WRITE 2641 fe:00:5644745 0 EOF
		if f := strings.Fields(line); len(f) == 8 && f[1] == "FLOCK" && f[3] == "WRITE" && f[5] == at {
			return true, true
		}
	}
	return false, true
}
