package show

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lwtrain/hub"
	"lwtrain/hub/hubtest"
	"lwtrain/session"
)

// TestAFileThatIsWaitedForIsSaidWhileOthersAreFetched is for the race detector: another
// program holds the lock of one file, while the others of its repository come in.
func TestAFileThatIsWaitedForIsSaidWhileOthersAreFetched(t *testing.T) {
	h := hubtest.New()
	defer h.Close()
	big := strings.Repeat("{\"messages\":[]}\n", 1<<16)
	h.Datasets["o/n"] = hubtest.Repo{
		"train-0.jsonl": "first" + big, "train-1.jsonl": "second" + big, "train-2.jsonl": "third" + big,
	}
	cache := t.TempDir()
	t.Setenv("HF_ENDPOINT", h.URL)
	t.Setenv("HF_HUB_CACHE", cache)
	large, _ := hubtest.Hashes("first" + big)
	locks := filepath.Join(cache, ".locks", "datasets--o--n")
	if err := os.MkdirAll(locks, 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(locks, large+".lock"))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(2*time.Second, func() { f.Close() })
	var out safeBuffer
	s, err := session.OpenHub(Session(&out))
	if err != nil {
		t.Fatal(err)
	}
	ref, err := hub.Parse(hub.Dataset, "o/n")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Pull(t.Context(), ref, true); err != nil {
		t.Fatal(err)
	}
	if got := out.b.String(); !strings.Contains(got, "waiting for another program that fetches") {
		t.Errorf("said %q", got)
	}
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}
