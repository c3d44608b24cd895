package show

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lwtrain/agentwrite"
	"lwtrain/configs"
	"lwtrain/internal/human"
	"lwtrain/internal/terminal"
	"lwtrain/session"
)

// AgentWritePlan says what will be written, and what it takes.
func AgentWritePlan(w io.Writer, c *configs.Config, run *session.AgentWrite) {
	line := terminal.Summary(w)
	o, x := c.AgentWrite, run.Outlook()
	from := o.Writer.Model + " at " + o.Writer.URL
	if m := run.Model; m != nil {
		from = m.Describe()
	}
	line("writer", "%s", from)
	line("select", "%s, %s of them by the rules", human.Count(x.Instructions, "instruction"), human.Grouped(x.Selected))
	if len(run.Dropped) > 0 {
		line("", "records that are none: %s", human.Counts(run.Dropped))
	}
	if len(x.Dropped) > 0 {
		line("", "left out: %s", human.Counts(x.Dropped))
	}
	switch {
	case o.Select.AskModel:
		line("", "the writer is asked which of the selected need a long answer")
	case x.Unstated > 0:
		line("", "%s no length, and a long text is written to each: agentwrite.select.ask_model=true has the writer asked whether "+
			"it needs one, agentwrite.select.stated_length=required leaves them out", stateText(x.Unstated))
	}
	line("texts", "%s, at most %d paragraphs, temperature %g, top-p %g", o.Variant, o.MaxParagraphs, o.Temperature, o.TopP)
	if x.Calls > 0 {
		line("about", "%s words, in %s", human.Grouped(x.Words), askedText(x.Calls, x.Prompt, x.Reply, 0))
	}
	kept, left := run.Left()
	if x.Cost > 0 {
		text := fmt.Sprintf("%.2f by the price in the config", x.Cost)
		if o.Budget > 0 {
			text += fmt.Sprintf(", and %g may be spent", o.Budget)
		}
		line("cost", "%s", text)
	}
	if kept.Calls > 0 {
		line("kept", "%s: paid for, and not asked again", askedText(kept.Calls, kept.Prompt, kept.Reply, kept.Cost))
		if left.Calls == 0 {
			line("left", "nothing is asked for any more")
		} else {
			line("left", "about %s", askedText(left.Calls, left.Prompt, left.Reply, left.Cost))
		}
	}
	if n := run.Needs(); n.Batch > 0 {
		line("memory", "%s of weights, up to %s for the keys and values of %s at a time", human.Bytes(n.Weights), human.Bytes(n.Cache),
			human.Count(n.Batch, "text"))
		if n.Batch < n.Most {
			line("", "%d of agentwrite.batch: more would not fit into the memory that is free", n.Batch)
		}
	}
	line("output", "%s", c.Output.Dir)
}

func stateText(n int) string {
	if n == 1 {
		return "1 of them states"
	}
	return human.Grouped(n) + " of them state"
}

// askedText is what calls take, and their cost where there is one.
func askedText(calls, prompt, reply int, cost float64) string {
	text := fmt.Sprintf("%s of %s prompt and %s reply tokens", human.Count(calls, "call"), human.Grouped(prompt), human.Grouped(reply))
	if cost > 0 {
		text += fmt.Sprintf(", %.2f", cost)
	}
	return text
}

// Writing shows how far training data is.
type Writing struct {
	bar    *terminal.Progress
	price  bool
	told   bool
	budget float64
}

// NewWriting begins to show the way of the selected instructions.
func NewWriting(w io.Writer, c *configs.Config, items int) *Writing {
	return &Writing{
		bar: terminal.NewProgress(w, "writing", int64(items)), price: c.AgentWrite.Writer.Price != agentwrite.Price{},
		budget: c.AgentWrite.Budget,
	}
}

// enoughToProject is how many texts have ended before what all of them cost is projected.
const enoughToProject = 20

// Progress shows how things stand, and once some texts have ended what all of them will cost.
func (x *Writing) Progress(p agentwrite.Progress) {
	fields := fmt.Sprintf("texts  %s  %s", human.Count(p.Calls, "call"), human.Count(p.Reply, "token"))
	if x.price {
		fields += fmt.Sprintf("  %.2f spent", p.Cost+p.Lost)
	}
	x.bar.Set(int64(p.Ended), fields)
	if !x.told && p.Ended >= enoughToProject && p.Items > p.Ended {
		x.told = true
		all := float64(p.Items) / float64(p.Ended)
		text := fmt.Sprintf("%d texts took %s calls and %s tokens: all %d take about %s tokens", p.Ended, human.Grouped(p.Calls),
			human.Grouped(p.Prompt+p.Reply), p.Items, human.Grouped(int(all*float64(p.Prompt+p.Reply))))
		if x.price {
			text += fmt.Sprintf(", %.2f", all*(p.Cost+p.Lost))
		}
		x.bar.Println(text)
	}
}

// Close ends the display.
func (x *Writing) Close() { x.bar.Abandon() }

// AgentWriteResult says what became of the instructions.
func AgentWriteResult(
	w io.Writer, c *configs.Config, items []*agentwrite.Item, spent agentwrite.Spent, only agentwrite.Stage, took time.Duration,
) {
	line := terminal.Summary(w)
	counts := agentwrite.Count(items)
	line("done", "%s in %s", human.Count(counts.Instructions, "instruction"), human.Span(took))
	label := "left out"
	for _, stage := range agentwrite.Stages {
		if reasons := counts.Dropped[stage]; len(reasons) > 0 {
			line(label, "%s: %s", stage, human.Counts(reasons))
			label = ""
		}
	}
	label = "waiting"
	for _, stage := range agentwrite.Stages {
		if n := counts.Waiting[stage]; n > 0 {
			line(label, "%s for %s", human.Count(n, "instruction"), stage)
			label = ""
		}
	}
	line("taken", "%s", human.Count(counts.Taken, "answer"))
	line("spent", "%s, %s prompt and %s reply tokens%s", human.Count(spent.Calls, "call"), human.Grouped(spent.Prompt),
		human.Grouped(spent.Reply), costText(spent))
	if spent.Estimated > 0 {
		line("", "of %s the server did not say the tokens: they are estimated", human.Count(spent.Estimated, "call"))
	}
	files := []string{agentwrite.ItemsFile, agentwrite.DroppedFile}
	exported := only == "" || only == agentwrite.Export
	if exported {
		files = append([]string{agentwrite.TrainFile}, append(files, agentwrite.ManifestFile)...)
	}
	line("output", "%s/{%s}", c.Output.Dir, strings.Join(files, ","))
	line("", "%s", filepath.Join(c.Output.Dir, agentwrite.ReportFile))
	path := filepath.Join(c.Output.Dir, agentwrite.TrainFile)
	switch _, err := os.Stat(path); {
	case !exported && err == nil:
		line("", "%s is of an earlier export; the stage export, with the same settings, makes it anew", path)
	case exported && counts.Taken > 0:
		terminal.Labelled(w)("next", "lwtrain init my.yaml --model %s --data %s", terminal.ShellWord(cmp.Or(c.Model.Path, "MODEL")),
			terminal.ShellWord(path))
	}
}

func costText(s agentwrite.Spent) (text string) {
	if s.Cost > 0 {
		text = fmt.Sprintf(", %.2f by the price in the config", s.Cost)
	}
	if s.Lost > 0 {
		text += fmt.Sprintf(", and %.2f for replies that failed", s.Lost)
	}
	return text
}
