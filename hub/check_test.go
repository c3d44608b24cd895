package hub

import (
	"os"
	"strings"
	"testing"

	"lwtrain/internal/fault"
)

func TestWhatChangedInTheCacheIsFoundAndFetchedAgain(t *testing.T) {
	for _, name := range []string{"config.json", "model.safetensors"} {
		h, c := newHub(t)
		s, err := c.Get(t.Context(), ref(t, Model, "owner/model"), WholeModel, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Check(t.Context(), s); err != nil {
			t.Errorf("nothing changed: %v", err)
		}
		path := s.Path(File{Path: name})
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		raw := []byte(string(whole))
		raw[len(raw)/2] ^= 1
		if err := os.WriteFile(path, raw, 0o644); err != nil {
			t.Fatal(err)
		}
		for _, listed := range []bool{true, false} { // without a list the link names the content
			if !listed {
				if err := os.Remove(c.treePath(s.Ref, s.Commit)); err != nil {
					t.Fatal(err)
				}
			}
			found, _, err := c.Find(s.Ref, WholeModel)
			if err != nil {
				t.Fatal(err)
			}
			err = c.Check(t.Context(), found)
			if err == nil || !strings.Contains(err.Error(), name+": its content in the cache") || !fault.IsUsage(err) {
				t.Errorf("listed %v: got %v", listed, err)
			}
		}
		h.Forget()
		if s, err = c.Fetch(t.Context(), s.Ref, WholeModel, nil); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(path); string(got) != string(whole) || c.Check(t.Context(), s) != nil {
			t.Errorf("%s is not what the hub has", name)
		}
		fetched := 0
		for _, line := range h.Asked() {
			if strings.Contains(line, "/resolve/") {
				fetched++
			}
		}
		if fetched != 1 {
			t.Errorf("%d files were fetched, want 1", fetched)
		}
	}
}
