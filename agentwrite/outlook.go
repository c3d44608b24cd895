package agentwrite

import (
	"lwtrain/agentwrite/sift"
	"lwtrain/internal/prose"
)

// Outlook is what a job takes, about: as if every plan and paragraph could be used at once.
type Outlook struct {
	Instructions, Selected int            // by the rules, without asking a model
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

// Outlook reckons what the job takes.
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
		j.reckon(&o, all[i])
	}
	o.Cost = j.Writer.Price.of(o.Prompt, o.Reply)
	return o
}

// reckon adds what an instruction takes.
func (j *Job) reckon(o *Outlook, x sift.Instruction) {
	words := x.Asked()
	if words == 0 {
		words = unstated
	}
	o.Words += words
	text := int(wordTokens * float64(words))
	instruction := int(wordTokens * float64(prose.Words(x.Text)))
	if j.Select.AskModel {
		o.Calls++
		o.Prompt += instruction + promptTokens
		o.Reply += lineTokens
	}
	n := max(2, (words+paragraphWords-1)/paragraphWords)
	plan := n * lineTokens
	switch j.Variant {
	case "extend":
		o.Calls += 1 + 2*j.Rounds
		o.Prompt += instruction + j.Rounds*(2*instruction+2*promptTokens+text)
		o.Reply += text * 2
	default:
		o.Calls += 1 + n
		o.Prompt += instruction + promptTokens + n*(instruction+promptTokens+plan)
		o.Reply += plan + text
		if j.Variant == "serial" {
			o.Prompt += text * (n - 1) / 2 // before each paragraph, all that is written
		}
	}
}
