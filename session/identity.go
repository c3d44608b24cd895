package session

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"lwtrain/configs"
	"lwtrain/data"
	"lwtrain/train"
)

// identity is what makes this run this run, but for its model.
func (r *Run) identity() train.Identity {
	return train.Identity{Contents: r.Store.Contents(), Settings: runSettings(r.session.Config, r.method.pairs)}
}

// runSettings is what two runs must have in common to be the same run: all
// but where it is written, how often, and with how many threads. Paths are left
// out: the content of what lies there counts, not the place.
func runSettings(c *configs.Config, pairs bool) map[string]string {
	same := *c
	same.Model.Path, same.Model.Template = "", ""
	same.Data.Sources = withoutPaths(c.Data.Sources)
	same.Data.HeldOut.Sources = withoutPaths(c.Data.HeldOut.Sources)
	free := []string{
		"pairs.", "model.path", "model.template", "output.", "threads", "sample.", "data.cache_dir", "train.logging_steps", "train.eval_steps",
		"train.save_", "train.memory_limit", "train.gradient_checkpointing",
	}
	if pairs {
		free = append(free, "packing.strategy", "packing.weighting")
		if hasReferenceModel(c) {
			same.DPO.Reference = "a model"
		}
	} else {
		free = append(free, "dpo.")
	}
	out := same.Settings()
	for key := range out {
		if slices.ContainsFunc(free, func(prefix string) bool { return strings.HasPrefix(key, prefix) }) {
			delete(out, key)
		}
	}
	return out
}

func withoutPaths(sources []data.Source) []data.Source {
	out := slices.Clone(sources)
	for i := range out {
		out[i].Path, out[i].Paths, out[i].Files = "", nil, nil
	}
	return out
}

// pairsIdentity is what two runs that make pairs must have in common to be one, but for
// what answers: not how fast they ask.
func pairsIdentity(c *configs.Config, prompts []data.Prompt) (train.Identity, error) {
	id := train.Identity{Contents: map[string]string{}, Settings: map[string]string{}}
	for key, value := range c.Settings() {
		free := slices.ContainsFunc([]string{".timeout", ".retries", ".concurrency", ".key_env", ".batch", ".command_timeout"},
			func(end string) bool { return strings.HasSuffix(key, end) })
		if key == "seed" || strings.HasPrefix(key, "pairs.") && !free {
			id.Settings[key] = value
		}
	}
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
			return id, err
		}
	}
	id.Contents["prompts"] = hex.EncodeToString(h.Sum(nil))
	return id, nil
}
