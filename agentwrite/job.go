package agentwrite

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"

	"lwtrain/agentwrite/sift"
	"lwtrain/data/record"
	"lwtrain/internal/llm"
	"lwtrain/internal/prose"
	"lwtrain/internal/rng"
	"lwtrain/model"
)

// Job is what is written.
type Job struct {
	Options
	Seed    uint64
	Prompts []record.Prompt
	Only    Stage  // the stage that is done; "": all, in order. What others need is taken from what is kept
	Name    string // of who writes, to show
	Model   string // who writes, as its replies are kept by
	Own     bool   // it is a model of our own: what is asked twice, and not drawn, is answered twice alike
	Calls   *llm.Calls
	// Room is how many tokens of a reply a model of our own has room for; nil: a server knows.
	Room func(llm.Request) int
	// Progress, which may be nil, is told how far it is after each reply.
	Progress func(Progress)

	instructions []sift.Instruction
	verdicts     []sift.Verdict // of the rules
	goesOn       bool           // there were replies when it was begun

	items []*Item
	asked []ask
	meter
}

// ErrBudget is the error of a job that has spent what it may.
var ErrBudget = errors.New("the budget is spent (agentwrite.budget)")

// Do does the job, or a stage of it, and returns all items in the order of the prompts. With ErrBudget they are
// there, too.
func (j *Job) Do(ctx context.Context, from llm.Answerer) ([]*Item, error) {
	j.open()
	defer func() { j.instructions, j.verdicts = nil, nil }()
	from = j.Calls.Keep(&fresh{&j.meter, from}, j.Model)
	err := j.choose(ctx, from)
	if err == nil {
		err = j.write(ctx, from)
	}
	if errors.Is(err, llm.ErrEnough) {
		err = ErrBudget
	}
	if err == nil || errors.Is(err, ErrBudget) {
		j.sift()
	}
	return j.items, err
}

// open makes items of the prompts.
func (j *Job) open() {
	j.meter = meter{price: j.Writer.Price, budget: j.Budget}
	j.items, j.asked, j.goesOn = nil, nil, j.Calls.Any()
	all, _ := j.rules()
	times := map[string]int{} // that a record, or a number behind it, has an id
	for i, p := range j.Prompts {
		x, id := all[i], idOf(p, i)
		it := &Item{
			ID: id, Prompt: x.Text, Asked: x.Asked(), State: Waiting, Stage: Select, messages: p.Messages,
			origin: p.Origin, instruction: x,
		}
		for times[it.ID] > 0 {
			times[id]++
			it.ID = fmt.Sprintf("%s-%d", id, times[id])
		}
		times[it.ID]++
		j.items = append(j.items, it)
	}
}

// instructionOf is what a prompt asks: its last message, behind all others.
func instructionOf(p record.Prompt) sift.Instruction {
	last := len(p.Messages) - 1
	x := sift.Instruction{Text: p.Messages[last].Content, Words: cmp.Or(p.Required, p.Most, p.Least), Least: p.Least}
	if p.Least == p.Most {
		x.Least = 0 // a number
	}
	for _, m := range p.Messages[:last] {
		x.Before += m.Role + ": " + m.Content + "\n"
	}
	return x
}

// idOf is what the prompt of a number is called: its own id, else the number.
func idOf(p record.Prompt, i int) string {
	var text string
	switch {
	case len(p.ID) == 0:
		return strconv.Itoa(i + 1)
	case json.Unmarshal(p.ID, &text) == nil:
		return text
	}
	return string(p.ID)
}

// rules are the instructions, and what the rules say of each. They are gone through once for the outlook and the job behind it.
func (j *Job) rules() ([]sift.Instruction, []sift.Verdict) {
	if j.instructions == nil {
		for _, p := range j.Prompts {
			j.instructions = append(j.instructions, instructionOf(p))
		}
		j.verdicts = j.Select.Rules(j.instructions)
	}
	return j.instructions, slices.Clone(j.verdicts)
}

// choose drops the instructions that are not taken.
func (j *Job) choose(ctx context.Context, from llm.Answerer) error {
	all, verdicts := j.rules()
	var err error
	if j.Select.AskModel {
		for i, v := range verdicts {
			j.items[i].take(Select, v)
		}
		err = j.question(ctx, from)
		for i, it := range j.items {
			verdicts[i] = sift.Verdict{Reason: it.Reason, Evidence: it.Evidence}
			if it.State == Waiting && it.Stage == Select {
				verdicts[i].Reason = notAsked // it takes no place
			}
		}
	}
	if err == nil {
		j.Select.Balance(all, verdicts)
	}
	for i, v := range verdicts {
		if v.Reason != notAsked {
			j.items[i].take(Select, v)
		}
		if j.items[i].State == Waiting && v.Reason == "" {
			j.items[i].Stage = Plan
		}
	}
	return err
}

const notAsked = "not asked"

// question asks the model which instructions need a long answer.
func (j *Job) question(ctx context.Context, from llm.Answerer) error {
	var first []ask
	for _, it := range j.items {
		if it.State == Waiting {
			first = append(first, j.ask(it, Select, 0, 0, it.behind(sift.NeedsLength.Prompt(it.Prompt))...)...)
		}
	}
	return j.converse(ctx, from, first, func(a ask, r llm.Reply) []ask {
		a.item.count(r)
		v := wrong(r, r.Text)
		if v.Reason == "" {
			v = sift.NeedsLength.Asked(r.Text)
		}
		switch v.Reason {
		case "":
			a.item.Stage = Plan
		case sift.NotLong:
			a.item.drop(Select, v.Reason, v.Evidence)
		default:
			return j.again(a, v, a.Messages...)
		}
		return nil
	})
}

// write has the texts of all items that are left planned and written.
func (j *Job) write(ctx context.Context, from llm.Answerer) error {
	var first []ask
	for _, it := range j.items {
		if it.State == Waiting && it.Stage == Plan && j.Only != Select {
			first = append(first, j.begin(it)...)
		}
	}
	return j.converse(ctx, from, first, j.take)
}

// converse asks for the replies to first, and for what take wants next.
func (j *Job) converse(ctx context.Context, from llm.Answerer, first []ask, take func(ask, llm.Reply) []ask) error {
	j.asked, j.asking = nil, false
	var far Progress
	for _, it := range j.items {
		far.add(it, 1)
	}
	requests := func(asks []ask) (out []llm.Request) {
		for _, a := range asks {
			out = append(out, a.Request)
		}
		j.asked = append(j.asked, asks...)
		return out
	}
	if len(first) == 0 {
		return context.Cause(ctx)
	}
	return from.Converse(ctx, requests(first), func(i int, r llm.Reply) ([]llm.Request, error) {
		a := j.asked[i]
		j.asked[i] = ask{} // its text is needed no more
		r = j.meter.add(a.Request, r)
		far.add(a.item, -1)
		more := requests(take(a, r))
		far.add(a.item, 1)
		if j.Progress != nil {
			far.Spent = j.meter.Spent
			j.Progress(far)
		}
		if j.meter.spent() {
			return more, llm.ErrEnough
		}
		return more, nil
	})
}

// known reports whether the reply to a request is kept.
func (j *Job) known(r llm.Request) bool {
	_, there, err := j.Calls.Reply(r, j.Model)
	return err == nil && there
}

// sampling is how a reply is drawn. Its random stream follows from the instruction and from what is
// asked, so that other instructions change none.
func (j *Job) sampling(it *Item, stage string, part, try int) model.Sampling {
	h := fnv.New64a()
	h.Write([]byte(it.Prompt))
	return model.Sampling{
		Temperature: j.Temperature, TopP: j.TopP,
		Seed: rng.New(j.Seed, "agentwrite/"+stage, h.Sum64(), uint64(part), uint64(try)).Uint64(),
	}
}

// sift has the texts that are there judged, where that is asked for.
func (j *Job) sift() {
	if j.Only != "" && j.Only != Filter && j.Only != Export {
		return
	}
	var there []*Item
	var texts []sift.Answer
	for _, it := range j.items {
		if it.State == Waiting && it.Stage == Filter {
			there, texts = append(there, it), append(texts, sift.Answer{Instruction: it.instruction, Text: it.Text})
		}
	}
	for i, judged := range j.Filter.Judge(texts) {
		it := there[i]
		it.Text, it.Stripped = judged.Text, judged.Stripped
		it.take(Filter, judged.Verdict)
		it.Words = prose.Words(it.Text)
		if it.Asked > 0 {
			it.Score = it.instruction.Score(it.Words)
		}
		switch {
		case it.State == Dropped:
		case j.Only == Filter:
			it.Stage = Export
		default:
			it.State, it.Stage = Taken, Export
		}
	}
}
