package agentwrite

import (
	"context"

	"lwtrain/internal/llm"
	"lwtrain/internal/prose"
)

// Outlook is what a job takes, about: as if every plan and paragraph could be used at once.
type Outlook struct {
	Instructions, Selected int            // by the rules, without asking a model
	Unstated               int            // of the selected: no length is stated
	Dropped                map[string]int // by the rules, for a reason
	Words                  int            // that are asked for; [unstated] where no length is stated
	Calls, Prompt, Reply   int            // requests, and tokens of both
	Cost                   float64
}

// What is expected of a text: words where no length is stated, and of a paragraph; tokens of a word,
// and of a line of a plan and of a prompt without the text so far.
const (
	unstated, paragraphWords = 3000, 450
	wordTokens               = 1.4
	lineTokens, promptTokens = 60, 250
)

// Outlook reckons what the job takes from its beginning.
func (j *Job) Outlook() Outlook {
	o := Outlook{Instructions: len(j.Prompts), Dropped: map[string]int{}}
	all, verdicts := j.rules()
	if !j.Select.AskModel {
		j.Select.Balance(all, verdicts)
	}
	for i, v := range verdicts {
		if v.Reason != "" {
			o.Dropped[v.Reason]++
			continue
		}
		o.Selected++
		if all[i].Asked() == 0 {
			o.Unstated++
		}
		j.reckon(&o, &Item{Stage: Select, instruction: all[i]})
	}
	o.Cost = j.Writer.Price.of(o.Prompt, o.Reply)
	return o
}

// nobody is who answers nothing.
type nobody struct{}

// Converse implements [llm.Answerer].
func (nobody) Converse(context.Context, []llm.Request, func(int, llm.Reply) ([]llm.Request, error)) error {
	return nil
}

// Left is what was spent on the replies that are kept, and what the job takes beside them.
func (j *Job) Left(ctx context.Context) (kept Spent, left Outlook, err error) {
	probe := *j
	probe.Budget, probe.Progress = 0, nil
	probe.open()
	from := probe.Calls.Keep(nobody{}, probe.Model)
	if err = probe.choose(ctx, from); err == nil {
		err = probe.write(ctx, from)
	}
	for _, it := range probe.items {
		if it.State == Waiting {
			j.reckon(&left, it)
		}
	}
	left.Cost = j.Writer.Price.of(left.Prompt, left.Reply)
	return probe.Spent, left, err
}

// reckon adds what an item takes from where it is, of the stages that are done.
func (j *Job) reckon(o *Outlook, it *Item) {
	words := it.instruction.Asked()
	if words == 0 {
		words = unstated
	}
	does := func(s Stage) bool { return j.Only == "" || j.Only == s }
	text := int(wordTokens * float64(words))
	instruction := int(wordTokens * float64(prose.Words(it.instruction.Text)))
	if it.Stage == Filter {
		return
	}
	if it.Stage == Select && j.Select.AskModel && does(Select) {
		o.Calls++
		o.Prompt += instruction + promptTokens
		o.Reply += lineTokens
	}
	if j.Variant == "extend" {
		if all := 1 + 2*j.Rounds; does(Write) {
			done := max(0, 2*len(it.Paragraphs)-1)
			if it.half != "" {
				done++
			}
			left := all - min(all, done)
			o.Words += words * left / all
			o.Calls += left
			o.Prompt += (instruction + j.Rounds*(2*instruction+2*promptTokens+text)) * left / all
			o.Reply += text * 2 * left / all
		}
		return
	}
	n, done := max(2, (words+paragraphWords-1)/paragraphWords), 0
	if it.Stage == Write {
		n, done = len(it.Plan), len(it.Plan)-it.left
	}
	plan := n * lineTokens
	if it.Stage != Write && does(Plan) {
		o.Calls++
		o.Prompt += instruction + promptTokens
		o.Reply += plan
	}
	if does(Write) {
		o.Words += words * (n - done) / n
		o.Calls += n - done
		o.Prompt += (n - done) * (instruction + promptTokens + plan)
		o.Reply += text * (n - done) / n
		if j.Variant == "serial" {
			o.Prompt += text * (n*(n-1) - done*(done-1)) / 2 / n // before each paragraph, all that is written
		}
	}
}
