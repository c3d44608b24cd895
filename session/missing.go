package session

import (
	"os"
	"path/filepath"
	"strings"

	"lwtrain/configs"
	"lwtrain/data"
	"lwtrain/hub"
)

// Missing is something that a config names and that is not here.
type Missing struct {
	Key  string // of the config
	Name string
	Hub  bool // it is to be fetched: it lies on the hub, and not in its cache
}

// FindMissing lists the files of a config that are not there, those on the hub last. With
// an error, that of an environment that names no hub, those are left out.
func FindMissing(c *configs.Config) (missing []Missing, err error) {
	look := func(key, path string) {
		if path == "" || strings.HasPrefix(path, "builtin:") || strings.HasPrefix(path, hub.Scheme) {
			return
		}
		if found, _ := filepath.Glob(path); len(found) == 0 && !isThere(path) {
			missing = append(missing, Missing{Key: key, Name: path})
		}
	}
	if !onHub(c.Model.Path) {
		look("model.path", c.Model.Path)
	}
	eachSource(c, func(key string, s *data.Source) error {
		for _, path := range s.AllPaths() {
			look(key, path)
		}
		return nil
	})
	client, err := hub.FromEnv(os.LookupEnv)
	if err != nil {
		return missing, err
	}
	return missing, HubRefs(c, func(key string, ref hub.Ref) {
		if _, _, err := client.Find(ref, wantOf(ref.Kind)); err != nil {
			missing = append(missing, Missing{key, ref.String(), true})
		}
	})
}
