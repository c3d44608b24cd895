package agentwrite

import (
	"fmt"
	"slices"
	"strings"

	"lwtrain/agentwrite/plan"
	"lwtrain/agentwrite/sift"
	"lwtrain/chat"
	"lwtrain/internal/llm"
	"lwtrain/internal/prose"
)

// The reasons why an item ends while it is planned or written, beside those of package sift and
// of [llm.Reply.Failed].
const (
	badPlan   = "plan"      // no plan could be read, or it does not suit what was asked
	truncated = "truncated" // a reply was cut off at max_new_tokens
	looped    = "loop"      // a reply was caught in a loop
	empty     = "empty"     // a reply is
	noRoom    = "context"   // the model has no room for the prompt
)

// ask is a request on behalf of an item.
type ask struct {
	item   *Item
	stage  Stage
	part   int // which paragraph, from 0; of variant extend, twice the round, and one more for the second half
	try    int
	halved int // how often max_new_tokens is
	llm.Request
}

// begin is what a selected item is asked first.
func (j *Job) begin(it *Item) []ask {
	if j.Variant == "extend" {
		return j.ask(it, Write, 0, 0, it.messages...)
	}
	if err := plan.Fits(it.least(), it.Asked, j.MaxParagraphs); err != nil {
		it.drop(Plan, badPlan, err.Error()) // nobody is asked for what can't be used
		return nil
	}
	return j.ask(it, Plan, 0, 0, it.behind(planPrompt.fill("$INST$", it.Prompt))...)
}

// take is told of the reply to what an item was asked, and returns what it is asked next.
func (j *Job) take(a ask, r llm.Reply) []ask {
	it := a.item
	it.count(r)
	if it.State == Dropped {
		return nil // another paragraph of it came to nothing
	}
	text := strings.TrimSpace(r.Text)
	if v := wrong(r, text); v.Reason != "" {
		if j.Variant == "extend" && a.part > 0 && r.Failed == "" {
			return j.written(it) // it stays as long as it is
		}
		return j.again(a, v, a.Messages...)
	}
	switch {
	case a.stage == Plan:
		return j.planned(a, text)
	case j.Variant == "extend":
		return j.extend(a, text)
	}
	return j.paragraph(a, text)
}

// planned reads a plan, and asks for its first paragraph, or all of them.
func (j *Job) planned(a ask, reply string) []ask {
	it := a.item
	p, err := plan.Read(reply)
	if err == nil {
		err = p.Check(it.least(), it.Asked, j.MaxParagraphs)
	}
	if err != nil {
		asked := a.Messages[:len(it.messages)] // not what was wrong before
		return j.again(a, sift.Verdict{Reason: badPlan, Evidence: err.Error()}, append(slices.Clip(asked),
			chat.Message{Role: "assistant", Content: reply},
			chat.Message{Role: "user", Content: againPrompt.fill("$WRONG$", err.Error())})...)
	}
	it.Plan, it.Paragraphs, it.left = p, make([]string, len(p)), len(p)
	it.Stage = Write
	if j.Variant == "serial" {
		return j.step(it, 0)
	}
	var all []ask
	for k := range p {
		all = append(all, j.step(it, k)...)
	}
	return all
}

// step asks for a paragraph.
func (j *Job) step(it *Item, k int) []ask {
	if it.State != Waiting {
		return nil
	}
	p := parallelPrompt
	if j.Variant == "serial" {
		p = writePrompt
	}
	return j.ask(it, Write, k, 0, it.behind(p.fill(
		"$INST$", it.Prompt, "$PLAN$", it.Plan.String(), "$TEXT$", join(it.Paragraphs[:k]), "$STEP$", it.Plan[k].Line))...)
}

// paragraph adds a paragraph, and asks for the next one, if paragraphs are asked for one by one.
func (j *Job) paragraph(a ask, text string) []ask {
	it := a.item
	it.Paragraphs[a.part] = text
	it.left--
	switch {
	case it.left == 0:
		return j.written(it)
	case j.Variant == "serial":
		return j.step(it, a.part+1)
	}
	return nil
}

// written puts the text of an item together.
func (j *Job) written(it *Item) []ask {
	it.Text = join(it.Paragraphs)
	if j.Variant == "extend" {
		it.Text = it.Paragraphs[len(it.Paragraphs)-1]
	}
	it.Stage = Filter
	return nil
}

// join puts paragraphs together.
func join(paragraphs []string) string { return strings.Join(paragraphs, "\n\n") }

// wrong says why a reply can't be used.
func wrong(r llm.Reply, text string) sift.Verdict {
	switch {
	case r.Failed != "":
		kind, why, _ := strings.Cut(r.Failed, ": ")
		return sift.Verdict{Reason: strings.ReplaceAll(kind, " ", "_"), Evidence: why}
	case r.Stop == llm.StopLength:
		return sift.Verdict{Reason: truncated, Evidence: fmt.Sprintf("%d tokens, and no end", r.Tokens)}
	case r.Stop == llm.StopLoop:
		return sift.Verdict{Reason: looped, Evidence: fmt.Sprintf("after %d tokens", r.Tokens)}
	case text == "":
		return sift.Verdict{Reason: empty, Evidence: fmt.Sprintf("%d tokens, of which none are text", r.Tokens)}
	}
	return sift.Paragraph(text)
}

// again asks once more for what can't be used, with messages, or ends the item.
func (j *Job) again(a ask, v sift.Verdict, messages ...chat.Message) []ask {
	if v.Reason == noRoom { // for the prompt and as many tokens: fewer may do, also of what follows, whose prompt is longer
		a.item.halved = max(a.item.halved, a.halved+1)
	}
	same := j.Own && j.Temperature == 0 && slices.Equal(llm.Messages(messages), llm.Messages(a.Messages))
	if a.try+1 < j.Tries && !same {
		return j.ask(a.item, a.stage, a.part, a.try+1, messages...)
	}
	where := ""
	if a.stage == Write {
		where = fmt.Sprintf("paragraph %d: ", a.part+1)
	}
	a.item.drop(a.stage, v.Reason, where+v.Evidence)
	return nil
}

// The longer halves that Self-Lengthen asks for (arXiv:2410.23933; its code is qwen/step2_ext_responses.py): the first
// half of a text is made longer, two thirds of that stay, and the rest is written anew behind them. What has not become
// longer by a fifth is not taken.
const (
	kept   = 2.0 / 3
	longer = 1.2
	enough = 0.9 // of the words asked for: no more is added
)

// extend takes a text, or a half of it, of variant extend.
func (j *Job) extend(a ask, text string) []ask {
	it := a.item
	switch {
	case a.part == 0:
		it.Paragraphs = []string{text}
	case a.part%2 == 1:
		if it.half = beginning(text, kept); it.half == "" {
			it.half = text
		}
		whole := it.Paragraphs[len(it.Paragraphs)-1]
		rest := strings.TrimSpace(whole[len(beginning(whole, 0.5)):])
		return j.ask(it, Write, a.part+1, 0,
			it.behind(secondHalfPrompt.fill("$INST$", it.Prompt, "$TEXT$", it.half, "$REST$", rest))...)
	default:
		before := it.Paragraphs[len(it.Paragraphs)-1]
		now := it.half + "\n\n" + text
		it.half = ""
		if float64(prose.Words(now)) <= longer*float64(prose.Words(before)) {
			return j.written(it)
		}
		it.Paragraphs = append(it.Paragraphs, now)
	}
	now := it.Paragraphs[len(it.Paragraphs)-1]
	half := beginning(now, 0.5)
	full := it.Asked > 0 && float64(prose.Words(now)) >= enough*float64(it.Asked)
	if full || len(it.Paragraphs) > j.Rounds || half == "" || half == now {
		return j.written(it)
	}
	return j.ask(it, Write, a.part+1, 0, it.behind(firstHalfPrompt.fill("$INST$", it.Prompt, "$TEXT$", half))...)
}

// beginning is what a text begins with, up to the sentence end that is nearest to a share of it;
// "" where there is none before its own end.
func beginning(text string, share float64) string {
	want := int(share * float64(len(text)))
	best := 0
	for _, end := range prose.SentenceEnds(text) {
		if end < len(text) && max(end-want, want-end) < max(best-want, want-best) {
			best = end
		}
	}
	return text[:best]
}

// ask makes a request of an item, unless its stage is not to be done and there is no reply to it.
func (j *Job) ask(it *Item, stage Stage, part, try int, messages ...chat.Message) []ask {
	it.Stage = stage
	a := j.request(ask{item: it, stage: stage, part: part, try: try, halved: it.halved}, slices.Clone(messages))
	if a.MaxTokens <= 0 {
		it.drop(stage, noRoom, "the prompt alone is longer than what the model has seen")
		return nil
	}
	known := false
	if j.goesOn && j.Room == nil {
		a, known = j.kept(a)
	} else {
		known = j.known(a.Request)
	}
	if !known && j.Only != "" && j.Only != stage {
		return nil
	}
	return []ask{a}
}

// request is what is asked in a try.
func (j *Job) request(a ask, messages []chat.Message) ask {
	a.Request = llm.Request{
		Messages: messages, MaxTokens: max(1, j.MaxNewTokens>>a.halved), StopLoops: true, Origin: a.item.origin,
		Sampling: j.sampling(a.item, string(a.stage), a.part, a.try),
	}
	if j.Room != nil {
		a.MaxTokens = min(a.MaxTokens, j.Room(a.Request))
	}
	return a
}

// kept finds the try whose reply is kept. Those before it may have failed, which keeps none: of a job that goes on, all that
// follows was written to what came instead.
func (j *Job) kept(a ask) (ask, bool) {
	for try := a.try; try < j.Tries; try++ {
		for halved := range a.halved + try - a.try + 1 {
			b := a
			b.try, b.halved = try, halved
			if b = j.request(b, a.Messages); j.known(b.Request) {
				a.item.halved = max(a.item.halved, halved)
				return b, true
			}
		}
	}
	return a, false
}
