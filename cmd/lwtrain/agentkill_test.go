package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lwtrain/agentwrite"
	"lwtrain/internal/llm/llmtest"
)

var (
	agentItems = flag.Int("agent-items", 30, "instructions of an agentwrite that is killed")
	agentKills = flag.Int("agent-kills", 3, "how often agentwrite is killed")
)

// faulty writes plans and paragraphs, and does one in five times what servers do instead. What passes on
// a real server passes here: it comes once for a request. The rest comes each time, and one prompt in nine
// is never answered.
type faulty struct {
	mu          sync.Mutex
	asked, good map[string]int // by request
}

const marker = "FAULTY" // in every text that is none

func (f *faulty) say(r llmtest.Request) llmtest.Said {
	last := r.Messages[len(r.Messages)-1].Content
	h, prompt := fnv.New64a(), fnv.New64a()
	fmt.Fprint(h, r.Seed, last)
	fmt.Fprint(prompt, last)
	never := prompt.Sum64()%9 == 0
	f.mu.Lock()
	f.asked[r.Body]++
	first := f.asked[r.Body] == 1
	f.mu.Unlock()
	good := llmtest.Said{Text: agentText(last, h.Sum64()), Finish: "stop", Prompt: len(last) / 4}
	good.Tokens = 2 * len(strings.Fields(good.Text))
	if h.Sum64()%5 != 0 && !never {
		return f.answer(r, good)
	}
	passing := []llmtest.Said{
		{Status: 429, Text: marker + " too many"},
		{Status: 503, Text: marker + " overloaded"},
		{Text: marker + " breaks off in the", Torn: true},
		{Text: marker + ` is no JSON`, Whole: true, Status: 502},
	}
	always := []llmtest.Said{
		{Text: marker + " is cut off at the", Finish: "length", Tokens: 4096},
		{Text: marker + " says stop at the limit", Finish: "stop", Tokens: 4096},
		{Text: "I'm sorry, but I can't assist with that, " + marker + ".", Finish: "stop", Tokens: 9},
		{Text: "Trigger OpenAI's content management policy", Finish: "stop", Tokens: 9},
		{Status: 400, Text: `{"error": {"code": "content_filter", "message": "` + marker + `"}}`},
		{Text: marker, Finish: "content_filter"},
		{Text: "   ", Finish: "stop", Tokens: 2},
		{Text: "", Finish: "stop", Whole: true},
		{Status: 400, Text: marker + " maximum context length is 4096 tokens"},
	}
	k := h.Sum64() / 5 % uint64(len(passing)+len(always))
	switch {
	case never:
		return always[prompt.Sum64()/9%uint64(len(always))]
	case k >= uint64(len(passing)):
		return always[k-uint64(len(passing))]
	case first:
		return passing[k]
	}
	good.Whole, good.Tokens = k%2 == 0, 0 // and says no tokens
	return f.answer(r, good)
}

// answer counts a good answer.
func (f *faulty) answer(r llmtest.Request, said llmtest.Said) llmtest.Said {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.good[r.Body]++
	return said
}

// repeated is how many good answers had been given before.
func (f *faulty) repeated() (n int) {
	for _, times := range f.good {
		n += times - 1
	}
	return n
}

// agentText is a plan where one is asked for, else a paragraph.
func agentText(last string, seed uint64) string {
	if strings.Contains(last, "break down the following") || strings.Contains(last, "whole plan again") {
		return "Paragraph 1 - Main Point: the beginning - Word Count: 300 words\n" +
			"Paragraph 2 - Main Point: the end - Word Count: 300 words"
	}
	random := rand.New(rand.NewPCG(seed, 1))
	var out strings.Builder
	for range 20 {
		out.WriteString("The")
		for range 14 {
			fmt.Fprintf(&out, " %c%c%c%c", 'a'+random.IntN(26), 'a'+random.IntN(26), 'a'+random.IntN(26), 'a'+random.IntN(26))
		}
		out.WriteString(". ")
	}
	return out.String()
}

// TestKilledAgentWrite kills agentwrite with SIGKILL at random moments, before a server that fails in all the ways that
// servers do, and gives the same command again until it ends by itself. It writes what it writes when it is left
// alone, every instruction is in one state, no text of an error is in an answer, and what had come whole is not asked again.
func TestKilledAgentWrite(t *testing.T) {
	const atOnce = 4
	write := func(kills []int) (files string, repeated, killed int) {
		s := llmtest.New()
		defer s.Close()
		f := &faulty{asked: map[string]int{}, good: map[string]int{}}
		s.Say = f.say
		var victim atomic.Pointer[os.Process]
		s.Script = func(n int, _ http.ResponseWriter) bool {
			if slices.Contains(kills, n) {
				victim.Load().Kill()
				return true
			}
			return false
		}
		dir := t.TempDir()
		var prompts strings.Builder
		for i := range *agentItems {
			h := rand.New(rand.NewPCG(uint64(i), 9))
			fmt.Fprintf(&prompts, `{"id": "p%d", "prompt": "Write 600 words on %s."}`+"\n", i, agentText("", h.Uint64())[:70])
		}
		config := fmt.Sprintf(`
agentwrite:
  prompts: prompts.jsonl
  writer: {url: %q, model: m, concurrency: %d, retries: 1}
  select: {min_words: 0, dedup: exact}
output: {dir: run}
`, s.URL, atOnce)
		for name, text := range map[string]string{"prompts.jsonl": prompts.String(), "c.yaml": config} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		for once(t, dir, func(p *os.Process) { victim.Store(p) }, "agentwrite", "-c", "c.yaml") {
			killed++
		}
		for _, name := range []string{"items.jsonl", "dropped.jsonl", "train.jsonl", "manifest.json", "report.html"} {
			raw, err := os.ReadFile(filepath.Join(dir, "run", name))
			if err != nil {
				t.Fatal(err)
			}
			files += name + "\n" + strings.ReplaceAll(string(raw), s.URL, "SERVER")
			if name == "train.jsonl" && strings.Contains(string(raw), marker) {
				t.Errorf("what is trained on has the text of a failure:\n%s", raw)
			}
			if name == "manifest.json" {
				addsUp(t, raw)
			}
		}
		return files, f.repeated(), killed
	}
	want, repeated, _ := write(nil)
	if repeated > 0 {
		t.Errorf("%d answers were given twice", repeated)
	}
	random := rand.New(rand.NewPCG(3, 0))
	var kills []int
	for range *agentKills {
		kills = append(kills, 1+random.IntN(3**agentItems))
	}
	slices.Sort(kills)
	kills = slices.Compact(kills)
	got, repeated, killed := write(kills)
	if d := cmp.Diff(strings.Split(withoutDates(want), "\n"), strings.Split(withoutDates(got), "\n")); d != "" {
		t.Errorf("killed %d times it wrote (-want +got)\n%s", killed, d)
	}
	if killed == 0 || repeated > atOnce*killed {
		t.Errorf("%d kills, %d answers were given twice, want those under way at most", killed, repeated)
	}
	t.Logf("%d instructions, %d kills, the same files; %d answers under way were given twice", *agentItems, killed, repeated)
}

// addsUp looks whether the counts of a manifest do.
func addsUp(t *testing.T, raw []byte) {
	t.Helper()
	var m agentwrite.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	n := m.Counts.Taken
	for _, reasons := range m.Counts.Dropped {
		for _, k := range reasons {
			n += k
		}
	}
	if n != *agentItems || len(m.Counts.Waiting) > 0 || m.Counts.Taken < *agentItems/4 {
		t.Errorf("%d instructions: %+v", *agentItems, m.Counts)
	}
	t.Logf("%+v", m.Counts)
}

// withoutDates is what does not depend on when it was written.
func withoutDates(files string) string {
	var out []string
	for _, line := range strings.Split(files, "\n") {
		if !strings.HasPrefix(line, `  "begun": `) {
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}
