// Package hub fetches models and datasets from the Hugging Face hub, or from
// another server that speaks as it does, into Hugging Face's own cache, which
// other programs read and fill as well:
//
//	hub/models--owner--name/refs/main                   the commit that main was at
//	hub/models--owner--name/trees/<commit>.json         the files of the commit
//	hub/models--owner--name/blobs/<hash>                content, by SHA-256 or git's SHA-1
//	hub/models--owner--name/blobs/<hash>.incomplete     what is there of it so far
//	hub/models--owner--name/snapshots/<commit>/<file>   a link to its blob
//	hub/.locks/models--owner--name/<hash>.lock          who fetches it
//
// Make a [Client] by [FromEnv] and call [Client.Get]: it takes what is in the cache
// and fetches what is not. The server is not trusted: a blob gets its name when its
// content has the hash and the size that were announced, names of files stay in
// the snapshot, and the token goes to no other host.
package hub

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"lwtrain/internal/fault"
)

// Get returns what is wanted of a repository: from the cache if all of it is
// there, at the commit that was fetched last, else from the hub. So a run that goes
// on reads what it began with; [Client.Fetch] looks for something newer.
func (c *Client) Get(ctx context.Context, ref Ref, want Want, progress Progress) (*Snapshot, error) {
	found, sure, err := c.Find(ref, want)
	if err == nil && (sure || c.Offline) {
		return found, nil
	}
	if c.Offline {
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		return nil, fault.Usage(fault.Hint(fmt.Errorf("%s is not in %s, and HF_HUB_OFFLINE is set", ref, c.Cache),
			"unset it, or fetch with `lwtrain pull` where there is a network"))
	}
	pinned := ref
	if found != nil { // it may be part of what is wanted: its commit is kept
		pinned.Revision = found.Commit
	}
	s, err := c.Fetch(ctx, pinned, want, progress)
	var no refusal
	if found != nil && (isDown(err) || errors.As(err, &no)) {
		return found, nil
	}
	if s != nil {
		s.Ref = ref
	}
	return s, err
}
