package push

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"lwtrain/internal/human"
	"lwtrain/internal/rundir"
	"lwtrain/report"
)

// Card is what a model card says beside what its run's folder does.
type Card struct {
	Repo    string // owner/name, where the model will lie
	Adapter bool   // it is an adapter, not a whole model
	Step    int    // of the checkpoint; 0: it is none
}

// modelCard is the README.md of a model that a run made: settings, data by the hash of its content, figures. What only the model's
// owner can
// say (its licence, its language, what it is for) is left to be filled in, and said to be. r may be nil: a model without a run.
func modelCard(r *report.Run, c Card) []byte {
	var b bytes.Buffer
	base, by := "", ""
	if r != nil {
		base, by = setting(r, "model.path"), method(r)
	}
	b.WriteString("---\n# license:        fill in: the base model's and the data's may bind it\n# language: []      fill in\n")
	if c.Adapter {
		b.WriteString("library_name: peft\n")
	} else {
		b.WriteString("library_name: transformers\n")
	}
	b.WriteString("pipeline_tag: text-generation\n")
	if hubName(base) != "" {
		fmt.Fprintf(&b, "base_model: %s\n", hubName(base))
		if c.Adapter {
			b.WriteString("base_model_relation: adapter\n")
		} else {
			b.WriteString("base_model_relation: finetune\n")
		}
	}
	if names := hubData(r); len(names) > 0 {
		b.WriteString("datasets:\n")
		for _, n := range names {
			fmt.Fprintf(&b, "  - %s\n", n)
		}
	}
	b.WriteString("tags:\n  - lwtrain\n  - long-form-writing\n")
	if by != "" {
		fmt.Fprintf(&b, "  - %s\n", by)
	}
	_, name, _ := strings.Cut(c.Repo, "/")
	fmt.Fprintf(&b, "---\n\n# %s\n\n", name)
	if r == nil {
		b.WriteString("*(Say what the model is, what it is for, and what it is not for.)*\n")
		return b.Bytes()
	}
	what := "A fine-tune"
	if c.Adapter {
		what = "An adapter (LoRA)"
	}
	of := "a model that began with random weights"
	if base != "" {
		of = inline(cmp.Or(hubName(base), filepath.Base(base)))
	}
	fmt.Fprintf(&b, "%s of %s, made with lwtrain by `lwtrain %s`.\n", what, of, by)
	b.WriteString("\n*(Say what it is for, and what it is not for: nothing here follows from that.)*\n\n## Figures\n\n")
	figures(r, &b, c)
	b.WriteString("\n## Data\n\n")
	dataTable(r, &b)
	b.WriteString("\n## Settings\n\nThose that were set; the others have lwtrain's defaults.\n\n```yaml\n")
	for _, s := range r.Settings {
		if s.Origin != "default" && s.Origin != "" && !strings.HasPrefix(s.Key, "data.") && !private(s.Key) {
			fmt.Fprintf(&b, "%s: %s\n", s.Key, strings.ReplaceAll(s.Value, "```", "'''"))
		}
	}
	fmt.Fprintf(&b, "```\n\nComputed by lwtrain %s on %s.\n", inline(strings.Join(r.About.Versions, ", ")),
		inline(strings.Join(r.About.Machines, "; ")))
	return b.Bytes()
}

// private are settings that say where something lies on the machine that trained.
func private(key string) bool {
	return key == "model.path" || key == "output.dir" || key == "lora.from" || key == "engine.python" || strings.HasSuffix(key, ".url") ||
		strings.HasSuffix(key, ".key_env") || strings.HasSuffix(key, "_dir") || strings.HasPrefix(key, "eval.") ||
		strings.HasPrefix(key, "agentwrite.")
}

func setting(r *report.Run, key string) string {
	for _, s := range r.Settings {
		if s.Key == key {
			return strings.Trim(s.Value, `"'`)
		}
	}
	return ""
}

// method is the command that trained.
func method(r *report.Run) string {
	if r.Series["rewards/margins"] != nil || r.Series["rewards/chosen"] != nil {
		return "dpo"
	}
	return "sft"
}

// hubName is the name on the hub that a path stands for, or "".
func hubName(path string) string {
	name, ok := strings.CutPrefix(path, "hf://")
	if name, _, _ = strings.Cut(name, "@"); !ok && (strings.Count(path, "/") != 1 || strings.HasPrefix(path, ".") ||
		strings.HasPrefix(path, "runs/")) {
		return ""
	}
	parts := strings.Split(name, "/")
	if len(parts) < 2 || strings.ContainsAny(name, " \t\n#:\"'{}[]") {
		return ""
	}
	return parts[0] + "/" + parts[1]
}

// hubData are the names on the hub of the data.
func hubData(r *report.Run) []string {
	var out []string
	if r == nil || r.Data == nil {
		return nil
	}
	for _, s := range r.Data.Sources {
		if name := hubName(s.Path); strings.HasPrefix(s.Path, "hf://") && name != "" && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// figures writes what training came to.
func figures(r *report.Run, b *bytes.Buffer, c Card) {
	b.WriteString("| | |\n|---|---|\n")
	row := func(label, format string, args ...any) {
		fmt.Fprintf(b, "| %s | %s |\n", label, fmt.Sprintf(format, args...))
	}
	if r.About.Model != "" {
		row("model", "%s", cell(r.About.Model))
	}
	if c.Step > 0 {
		row("checkpoint", "step %s of %s", human.Grouped(c.Step), human.Grouped(max(r.About.Steps, c.Step)))
	}
	if held := r.Series["eval_loss"]; held != nil {
		row("held-out loss (nats a token)", "%.4f before, %.4f at the end", held.Value[0], last(held))
	}
	if loss := r.Series["token_loss"]; loss != nil {
		row("training loss of the last step", "%.4f", last(loss))
	}
	for _, key := range []string{"eval_rewards/accuracies", "eval_rewards/margins"} {
		if s := r.Series[key]; s != nil {
			row(strings.TrimPrefix(key, "eval_")+", held out", "%.4f", last(s))
		}
	}
	before, after, ended := answered(r)
	if len(after) > 0 {
		row("words of answers to held-out prompts, mean", "%s after training%s", human.Grouped(int(mean(after))), beforeText(before))
		row("of these answers end by themselves", "%d of %d", ended, len(after))
	}
}

func last(c *report.Curve) float64 { return c.Value[len(c.Value)-1] }

func beforeText(before []float64) string {
	if len(before) == 0 {
		return ""
	}
	return fmt.Sprintf(", %s before", human.Grouped(int(mean(before))))
}

func mean(v []float64) float64 {
	var sum float64
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}

// answered are the lengths of the answers before and after, and how many of those after end.
func answered(r *report.Run) (before, after []float64, ended int) {
	for _, a := range r.Answers {
		if a.Before != nil {
			before = append(before, float64(a.Before.Words))
		}
		if a.After != nil {
			after = append(after, float64(a.After.Words))
			if a.After.Stop == "end" {
				ended++
			}
		}
	}
	return before, after, ended
}

// dataTable writes the sources with the hashes of their content.
func dataTable(r *report.Run, b *bytes.Buffer) {
	var file struct{ Contents map[string]string }
	if raw, err := rundir.ReadFile(filepath.Join(r.Dir, rundir.File)); err == nil {
		_ = json.Unmarshal(raw, &file) // ReadRun has read it
	}
	if r.Data != nil {
		b.WriteString("| source | samples | target tokens | words |\n|---|---:|---:|---:|\n")
		for _, s := range r.Data.Sources {
			name := s.Name
			if hub := hubName(s.Path); strings.HasPrefix(s.Path, "hf://") && hub != "" {
				name += " (" + hub + ")"
			}
			fmt.Fprintf(b, "| %s | %s | %s | %s |\n", cell(name), human.Grouped(s.Samples), human.Grouped(s.TargetTokens),
				human.Grouped(s.Words))
		}
		b.WriteByte('\n')
	}
	if len(file.Contents) > 0 {
		b.WriteString("SHA-256 of what was read:\n\n| | |\n|---|---|\n")
		for _, what := range slices.Sorted(maps.Keys(file.Contents)) {
			fmt.Fprintf(b, "| %s | `%s` |\n", cell(what), strings.Trim(cell(file.Contents[what]), "`"))
		}
	}
}

// cell is a text that fits into a table: names of files and sources are anyone's.
func cell(s string) string {
	return strings.NewReplacer("|", "\\|", "\n", " ", "\r", " ", "<", "&lt;", "`", "'").Replace(s)
}

func inline(s string) string { return "`" + strings.Trim(cell(s), "`") + "`" }
