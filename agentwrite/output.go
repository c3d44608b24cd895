package agentwrite

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lwtrain/internal/jsonl"
	"lwtrain/internal/llm"
	"lwtrain/internal/rundir"
)

// Files of a job's folder.
const (
	CallsFile    = "calls.jsonl"   // what was asked and replied
	ItemsFile    = "items.jsonl"   // a line for each instruction
	DroppedFile  = "dropped.jsonl" // a line for each that is left out
	TrainFile    = "train.jsonl"   // {"messages"}
	ManifestFile = "manifest.json" // what made it
	ReportFile   = "report.html"   // the page
)

// Manifest says what training data was made of.
type Manifest struct {
	Program      string            `json:"program"`      // its version
	Begun        string            `json:"begun"`        // day and time at which the folder was begun
	Writer       string            `json:"writer"`       // the model, and where it was
	Model        string            `json:"model"`        // as replies are kept by
	Instructions string            `json:"instructions"` // SHA-256 of the instructions, in their order
	Prompts      map[string]string `json:"prompts"`      // SHA-256 of the prompts, by name
	Settings     Settings          `json:"settings"`
	Counts       Counts            `json:"counts"`
	Spent        Spent             `json:"spent"`
	Train        string            `json:"train"` // SHA-256 of train.jsonl
	License      string            `json:"license"`
}

// Another lists the settings of stages before the one that is done, by key, that are not as they were when those were done: by what
// was selected and, for the export, by what was filtered. It goes by those of now.
func (j *Job) Another(then, now map[string]string) (out []string) {
	of := map[Stage][]string{Plan: selecting, Write: selecting, Filter: selecting, Export: slices.Concat(selecting, filtering)}[j.Only]
	for _, key := range slices.Sorted(maps.Keys(now)) {
		was, known := then[key]
		if known && was != now[key] && slices.ContainsFunc(of, func(begin string) bool { return strings.HasPrefix(key, begin) }) {
			out = append(out, fmt.Sprintf("%s: %s then, %s now", key, was, now[key]))
		}
	}
	return out
}

// Done adds to the settings by which stages were done before those by which they are now.
func (j *Job) Done(then, now map[string]string) map[string]string {
	out := maps.Clone(then)
	if out == nil {
		out = map[string]string{}
	}
	sifted := j.Only == "" || j.Only == Filter || j.Only == Export
	for key, value := range now {
		if sifted || !strings.HasPrefix(key, filtering[0]) {
			out[key] = value
		}
	}
	return out
}

// How the keys begin by which a stage chooses.
var selecting, filtering = []string{"agentwrite.select.", "--limit"}, []string{"agentwrite.filter."}

// Settings are those that the texts depend on; config.yaml has all.
type Settings struct {
	Variant       string  `json:"variant"`
	PlanInOutput  bool    `json:"plan_in_output"`
	MaxParagraphs int     `json:"max_paragraphs"`
	Tries         int     `json:"tries"`
	Rounds        int     `json:"rounds"`
	Temperature   float64 `json:"temperature"`
	TopP          float64 `json:"top_p"`
	MaxNewTokens  int     `json:"max_new_tokens"`
	Seed          uint64  `json:"seed"`
}

// Counts are the instructions by what became of them. They add up.
type Counts struct {
	Instructions int                      `json:"instructions"`
	Taken        int                      `json:"taken"`
	Waiting      map[Stage]int            `json:"waiting"` // for a stage
	Dropped      map[Stage]map[string]int `json:"dropped"` // at a stage, for a reason
}

// Count counts items.
func Count(items []*Item) Counts {
	c := Counts{Instructions: len(items), Waiting: map[Stage]int{}, Dropped: map[Stage]map[string]int{}}
	for _, it := range items {
		switch it.State {
		case Taken:
			c.Taken++
		case Waiting:
			c.Waiting[it.Stage]++
		case Dropped:
			if c.Dropped[it.Stage] == nil {
				c.Dropped[it.Stage] = map[string]int{}
			}
			c.Dropped[it.Stage][it.Reason]++
		}
	}
	return c
}

// line is a line of train.jsonl.
type line struct {
	Messages []llm.Message `json:"messages"`
}

// Save writes items.jsonl and dropped.jsonl and, where all stages are done, train.jsonl and manifest.json, each
// whole or not at all. Of the manifest, what the job knows is filled in.
func (j *Job) Save(dir string, m Manifest) error {
	dropped := []Dropping{}
	train := []line{}
	for _, it := range j.items {
		switch it.State {
		case Dropped:
			dropped = append(dropped, Dropping{it.ID, it.Stage, it.Reason, it.Evidence})
		case Taken:
			text := it.Text
			if j.PlanInOutput && len(it.Plan) > 0 {
				text = it.Plan.String() + "\n\n" + text
			}
			train = append(train, line{append(llm.Messages(it.messages), llm.Message{Role: "assistant", Content: text})})
		}
	}
	if err := jsonl.Write(filepath.Join(dir, ItemsFile), j.items); err != nil {
		return err
	}
	if err := jsonl.Write(filepath.Join(dir, DroppedFile), dropped); err != nil {
		return err
	}
	if j.Only != "" && j.Only != Export {
		return nil
	}
	path := filepath.Join(dir, TrainFile)
	if err := jsonl.Write(path, train); err != nil {
		return err
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	m.Train, m.Instructions = hashOf(raw), j.hash()
	m.Writer, m.Model, m.Prompts, m.Counts, m.Spent = j.Name, j.Model, promptHashes(), Count(j.items), j.Spent
	m.License = "that of the instructions, and the terms of whoever runs the writer: fill in"
	m.Settings = j.settings()
	return rundir.WriteJSON(filepath.Join(dir, ManifestFile), m)
}

func (j *Job) settings() Settings {
	return Settings{
		j.Variant, j.PlanInOutput, j.MaxParagraphs, j.Tries, j.Rounds, j.Temperature, j.TopP, j.MaxNewTokens, j.Seed,
	}
}

// Anew is what replies are kept by and was otherwise when the job was last done: its texts are asked for anew.
func (j *Job) Anew(before Manifest) (out []string) {
	add := func(key string, then, now any) {
		if then != now {
			out = append(out, fmt.Sprintf("%s: %v then, %v now", key, then, now))
		}
	}
	then, now := before.Settings, j.settings()
	if then == (Settings{}) {
		return nil // it was not done yet
	}
	if before.Model != j.Model && j.Model != "" {
		add("the writer", before.Writer, j.Name)
	}
	add("agentwrite.variant", then.Variant, now.Variant)
	add("agentwrite.temperature", then.Temperature, now.Temperature)
	add("agentwrite.top_p", then.TopP, now.TopP)
	add("agentwrite.max_new_tokens", then.MaxNewTokens, now.MaxNewTokens)
	add("seed", then.Seed, now.Seed)
	return out
}

// hash is that of the instructions, in their order.
func (j *Job) hash() string {
	h := sha256.New()
	for _, it := range j.items {
		for _, m := range it.messages {
			fmt.Fprintf(h, "%s\x00%s\x00", m.Role, m.Content)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

func hashOf(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}
