package session

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"lwtrain/configs"
	"lwtrain/data/record"
	"lwtrain/internal/rundir"
)

// pairsIdentity is what two runs that make pairs must have in common to be one, but for
// what answers.
func pairsIdentity(c *configs.Config, prompts []record.Prompt) (rundir.Identity, error) {
	content, err := contentOf(prompts)
	return rundir.Identity{Contents: map[string]string{"prompts": content}, Settings: c.Settings("pairs")}, err
}

// contentOf is a hash of what prompts ask.
func contentOf(prompts []record.Prompt) (string, error) {
	type asked struct {
		Messages []map[string]string
		Required int
		Least    int `json:",omitempty"`
		Most     int `json:",omitempty"`
	}
	h := sha256.New()
	enc := json.NewEncoder(h)
	for _, p := range prompts {
		a := asked{Required: p.Required, Least: p.Least, Most: p.Most}
		for _, m := range p.Messages {
			a.Messages = append(a.Messages, map[string]string{"role": m.Role, "content": m.Content})
		}
		if err := enc.Encode(a); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
