package session

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"lwtrain/hub"
	"lwtrain/internal/fault"
)

// Hub takes what is in the cache of the Hugging Face hub, and fetches what is not. That of
// a dry run fetches into a folder that close removes.
type Hub struct {
	client *hub.Client
	events Events
	dryRun bool
	temp   string
}

// OpenHub makes a Hub of what the environment says, as Hugging Face's own programs do.
func OpenHub(e Events) (*Hub, error) {
	c, err := hub.FromEnv(os.LookupEnv)
	if err != nil {
		return nil, err
	}
	c.Waiting, c.Pausing = e.Waiting, e.Pausing
	return &Hub{client: c, events: e}, nil
}

func (h *Hub) close() {
	if h.temp != "" {
		os.RemoveAll(h.temp)
	}
}

// get returns what is wanted of a repository.
func (h *Hub) get(ctx context.Context, ref hub.Ref, want hub.Want) (*hub.Snapshot, error) {
	if !h.dryRun {
		s, err := h.told(ref, func(p hub.Progress) (*hub.Snapshot, error) { return h.client.Get(ctx, ref, want, p) })
		if err == nil {
			err = h.client.Check(ctx, s)
		}
		return s, err
	}
	if s, _, err := h.client.Find(ref, want); err == nil {
		return s, h.client.Check(ctx, s)
	}
	if h.temp == "" {
		var err error
		if h.temp, err = os.MkdirTemp("", "lwtrain-"); err != nil {
			return nil, fault.Temp(err)
		}
	}
	c := *h.client
	c.Cache = h.temp
	s, err := h.told(ref, func(p hub.Progress) (*hub.Snapshot, error) { return c.Get(ctx, ref, want, p) })
	if err == nil && h.events.Discarded != nil {
		h.events.Discarded(ref.String(), s.Size())
	}
	return s, err
}

// told tells how far a fetch is, once something has to be fetched.
func (h *Hub) told(ref hub.Ref, fetch func(hub.Progress) (*hub.Snapshot, error)) (*hub.Snapshot, error) {
	s, err := fetch(func(done, total int64) {
		if h.events.Fetching != nil {
			h.events.Fetching(ref.Repo, done, total)
		}
	})
	h.events.ended(err)
	if errors.Is(err, context.Canceled) {
		err = fault.Hint(err, "the same command goes on with what is there")
	}
	return s, err
}

// model returns the folder or the .gguf file that a model's name on the hub stands
// for, and the name with its commit for a revision.
func (h *Hub) model(ctx context.Context, name string, want hub.Want) (path string, ref hub.Ref, err error) {
	ref, err = hub.Parse(hub.Model, name)
	if err != nil {
		return "", ref, err
	}
	if ref.Path != "" && !strings.HasSuffix(ref.Path, ".gguf") {
		return "", ref, fault.Usage(fault.Hint(fmt.Errorf("%s: a file of a model, want the model, or a .gguf file of it", ref),
			"leave out what is behind the model's name"))
	}
	if ref.Path != "" && h.dryRun {
		if _, _, err := h.client.Find(ref, want); err != nil {
			return "", ref, fault.Usage(fault.Hint(fmt.Errorf("%s is not in the cache, and a dry run fetches no weights", ref),
				"`lwtrain pull "+ref.String()+"` fetches it"))
		}
	}
	s, err := h.get(ctx, ref, want)
	if err != nil {
		return "", ref, err
	}
	ref.Revision = s.Commit
	if ref.Path != "" {
		return s.Path(s.Files[0]), ref, nil
	}
	return s.Dir, ref, nil
}

// Pull fetches the newest commit of a repository: what training reads of it or, of a
// model without weights, all but these. Where the hub must not be asked it takes what is
// in the cache.
func (h *Hub) Pull(ctx context.Context, ref hub.Ref, weights bool) (*hub.Snapshot, error) {
	want, fetch := pulled(ref, weights), h.client.Fetch
	if h.client.Offline {
		fetch = h.client.Get
	}
	s, err := h.told(ref, func(p hub.Progress) (*hub.Snapshot, error) { return fetch(ctx, ref, want, p) })
	if err != nil {
		return nil, h.hintKind(ctx, ref, err)
	}
	return s, nil
}

// Look asks what [Hub.Pull] would fetch, and how many bytes of it are missing.
func (h *Hub) Look(ctx context.Context, ref hub.Ref, weights bool) (s *hub.Snapshot, missing int64, err error) {
	return h.client.Look(ctx, ref, pulled(ref, weights))
}

func pulled(ref hub.Ref, weights bool) hub.Want {
	if ref.Kind == hub.Model && !weights {
		return hub.ModelConfig
	}
	return wantOf(ref.Kind)
}

// hintKind says so where a name is that of a dataset.
func (h *Hub) hintKind(ctx context.Context, ref hub.Ref, err error) error {
	if !fault.IsUsage(err) || ref.Kind != hub.Model || errors.Is(err, fs.ErrNotExist) || h.client.Offline {
		return err
	}
	ref.Kind = hub.Dataset
	nothing := func(hub.Ref, []hub.File, hub.Reader) ([]hub.File, error) { return nil, nil }
	if _, _, e := h.client.Look(ctx, ref, nothing); e == nil {
		return fault.Usage(fault.Hint(err, "there is a dataset of that name: --dataset"))
	}
	return err
}
