package session

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"lwtrain/configs"
	"lwtrain/data/record"
	"lwtrain/internal/rundir"
)

// identity is what makes a training run this run, but for the weights of its model, which package
// train adds once they are read.
func (r *Run) identity() rundir.Identity {
	id := rundir.Identity{Contents: r.Data.Contents(), Settings: r.session.Config.Settings(r.method.kind)}
	if r.Model.dir != "" { // each checkpoint has them
		id.Contents[rundir.TokenizerFiles] = r.Model.Tokenizer.FilesHash()
	}
	return id
}

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
	}
	h := sha256.New()
	enc := json.NewEncoder(h)
	for _, p := range prompts {
		a := asked{Required: p.Required}
		for _, m := range p.Messages {
			a.Messages = append(a.Messages, map[string]string{"role": m.Role, "content": m.Content})
		}
		if err := enc.Encode(a); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
