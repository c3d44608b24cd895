package session

import (
	"context"
	"errors"
	"fmt"

	"lwtrain/chat"
	"lwtrain/data"
	"lwtrain/data/read"
	"lwtrain/hub"
	"lwtrain/internal/fault"
)

// Fetch finds the files of the sources that lie on the hub, fetches those that are not
// in its cache, and writes the commits that they are of into the config.
func (s *Session) Fetch(ctx context.Context) error {
	if len(s.Config.Data.Sources) == 0 {
		return fault.Usage(errors.New("data.sources: missing, want a list of {name: ..., path: ...}"))
	}
	h, err := s.openHub()
	if err != nil {
		return err
	}
	err = eachSource(s.Config, func(_ string, src *data.Source) error { // what is missing here is known before anything is fetched
		for _, path := range src.AllPaths() {
			if hub.HasScheme(path) {
				continue
			}
			if _, _, err := read.Expand(path); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return eachSource(s.Config, func(key string, src *data.Source) error {
		for i, path := range src.AllPaths() {
			if !hub.HasScheme(path) {
				continue
			}
			pinned, files, err := h.dataset(ctx, path)
			if err != nil {
				return fmt.Errorf("%s (%s): %w", key, s.Config.Origin(key), err)
			}
			src.SetPath(i, pinned)
			s.files[pinned] = files
		}
		return nil
	})
}

// dataset finds the files that a name on the hub stands for, and the name with its commit.
func (h *Hub) dataset(ctx context.Context, name string) (pinned string, files []read.File, err error) {
	ref, err := hub.Parse(hub.Dataset, name)
	if err != nil {
		return "", nil, err
	}
	got, err := h.get(ctx, ref, wantOf(hub.Dataset))
	if err != nil {
		return "", nil, err
	}
	for _, f := range got.Files {
		if f.Path == hub.Card && ref.Path == "" {
			continue
		}
		files = append(files, read.File{Name: hub.Scheme + ref.Repo + "/" + f.Path, Path: got.Path(f)})
	}
	ref.Revision = got.Commit
	return ref.String(), files, nil
}

// Data tokenises the data of the config, or opens what has been tokenised before. While
// it does, the percentage and the limit of this process's garbage collector are set for it,
// unless the environment says GOGC or GOMEMLIMIT.
func (s *Session) Data(ctx context.Context, template *chat.Template, run data.Run) (*data.Set, error) {
	adjust, restore := collectLess()
	defer restore()
	run.Seed, run.Files, run.DryRun = s.Config.Seed, s.files, s.DryRun
	run.Progress = func(done, total int64) {
		adjust()
		if s.events.Tokenising != nil {
			s.events.Tokenising(done, total)
		}
	}
	set, err := data.Build(ctx, s.Config.Data, template, run)
	s.events.ended(err)
	return set, err
}

// Samples opens the data of the config as it is, of conversations or of pairs, to be
// looked at: with the chat template that renders it.
func (s *Session) Samples(ctx context.Context) (*data.Set, *chat.Template, error) {
	if err := s.Fetch(ctx); err != nil {
		return nil, nil, err
	}
	m, err := s.Model(ctx)
	if err != nil {
		return nil, nil, err
	}
	m.warnPositions()
	set, err := s.Data(ctx, m.Template, data.Run{Any: true, Labels: s.Config.DPO.Labelled(), Positions: m.Config.MaxTokens})
	return set, m.Template, err
}
