package session

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"lwtrain/train"
)

// identity is what makes this run this run, but for its model.
func (r *Run) identity() train.Identity {
	return train.Identity{Contents: r.Data.Contents(), Settings: r.session.Config.Settings(r.method.kind)}
}

// identity is what two runs that make pairs must have in common to be one, but for what
// answers.
func (r *PairsRun) identity() (train.Identity, error) {
	id := train.Identity{Contents: map[string]string{}, Settings: r.session.Config.Settings("pairs")}
	type asked struct {
		Messages []map[string]string
		Required int
	}
	h := sha256.New()
	enc := json.NewEncoder(h)
	for _, p := range r.Prompts {
		a := asked{Required: p.Required}
		for _, m := range p.Messages {
			a.Messages = append(a.Messages, map[string]string{"role": m.Role, "content": m.Content})
		}
		if err := enc.Encode(a); err != nil {
			return id, err
		}
	}
	id.Contents["prompts"] = hex.EncodeToString(h.Sum(nil))
	return id, nil
}
