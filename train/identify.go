package train

import "maps"

// identifyModel adds the base model to the identity of the run, before any
// checkpoint takes its place.
func (t *trainer) identifyModel() error {
	hash, err := t.model.Fingerprint()
	if err != nil {
		return err
	}
	t.Identity.Contents = maps.Clone(t.Identity.Contents)
	if t.Identity.Contents == nil {
		t.Identity.Contents = map[string]string{}
	}
	t.Identity.Contents["model"] = hash
	return nil
}
