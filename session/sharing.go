package session

import (
	"fmt"
	"path/filepath"

	"lwtrain/dpo"
	"lwtrain/engine/native"
	"lwtrain/internal/fault"
	"lwtrain/internal/rundir"
	"lwtrain/train"
)

// sharing says how a run of m against a reference, which may be nil, shares the prompts of its pairs.
func (s *Session) sharing(m, reference *Model) (train.Sharing, error) {
	const key = "dpo.share_prompts"
	if err := s.shareAsBefore(key); err != nil {
		return train.Sharing{}, err
	}
	how := s.Config.DPO.SharePrompts
	if how == dpo.Nowhere || s.Config.DPO.Labelled() {
		return train.Sharing{Why: "dpo.share_prompts is false"}, nil
	}
	out := train.Sharing{Always: how == dpo.Wherever}
	out.Cost, out.Target = native.Cost(m.Config)
	if out.Most, out.Why = m.Config.Branches(); reference != nil {
		if most, why := reference.Config.Branches(); most < out.Most {
			out.Most, out.Why = most, "the reference: "+why
		}
	}
	if s.usesTorch() {
		out.Most, out.Why = 0, "engine.kind: torch"
	}
	if out.Most == 0 && how == dpo.Wherever {
		return out, fault.Usage(fault.Hint(fmt.Errorf("%s is true (%s), and prompts can not be shared: %s", key, s.Config.Origin(key), out.Why),
			"auto shares them where they can be"))
	}
	return out, nil
}

// shareAsBefore lets the run of a folder that was begun before there was the key, or without sharing, go on so where the config
// leaves it open.
func (s *Session) shareAsBefore(key string) error {
	c := s.Config
	if c.DPO.SharePrompts != dpo.WhereItPays {
		return nil
	}
	var there rundir.Identity
	known, err := rundir.ReadJSON(filepath.Join(c.Output.Dir, rundir.File), &there)
	if _, says := there.Settings[key]; err == nil && known && !says {
		c.DPO.SharePrompts = dpo.Nowhere
	}
	return err
}
