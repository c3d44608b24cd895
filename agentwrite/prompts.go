package agentwrite

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"strings"
)

// The prompts for a plan and for a paragraph are those of LongWriter (agentwrite/prompts);
// the others are ours.
//
//go:embed prompts/*.txt
var promptFiles embed.FS

// prompt is a prompt with names such as $INST$ in it.
type prompt string

const (
	planPrompt       prompt = "plan"
	writePrompt      prompt = "write"
	parallelPrompt   prompt = "parallel"
	againPrompt      prompt = "again"
	firstHalfPrompt  prompt = "first-half"
	secondHalfPrompt prompt = "second-half"
)

func (p prompt) text() string {
	raw, err := promptFiles.ReadFile("prompts/" + string(p) + ".txt")
	if err != nil {
		panic(err) // it is in the binary
	}
	return strings.TrimSpace(string(raw))
}

// fill puts values in the place of names, given in turn. It reads the prompt once: a name in a
// value stays as it is.
func (p prompt) fill(namesAndValues ...string) string {
	return strings.NewReplacer(namesAndValues...).Replace(p.text())
}

// promptHashes are the SHA-256 of the prompts, by name.
func promptHashes() map[string]string {
	out := map[string]string{}
	for _, p := range []prompt{planPrompt, writePrompt, parallelPrompt, againPrompt, firstHalfPrompt, secondHalfPrompt} {
		sum := sha256.Sum256([]byte(p.text()))
		out[string(p)] = hex.EncodeToString(sum[:])
	}
	return out
}
