package talk

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lwtrain/chat"
	"lwtrain/internal/llm"
	"lwtrain/internal/llm/llmtest"
	"lwtrain/internal/terminal"
)

// begin begins a conversation with a fresh model of bytes, whose answers are of all kinds of them.
func begin(t *testing.T, o Options) (talk *Talk, out, notes *bytes.Buffer) {
	t.Helper()
	m, tok, template := llmtest.Tiny(t, 2048, false)
	if o.Context == 0 {
		o.Context = 2048
	}
	o.Sampling.Temperature, o.Sampling.TopP = 1, 1
	out, notes = &bytes.Buffer{}, &bytes.Buffer{}
	talk = New(m, tok, template, o, out, notes)
	t.Cleanup(talk.Close)
	return talk, out, notes
}

func run(t *testing.T, talk *Talk, lines ...string) {
	t.Helper()
	if err := talk.Run(t.Context(), strings.NewReader(strings.Join(lines, "\n"))); err != nil {
		t.Fatal(err)
	}
}

func TestAnAnswerIsTheSameWhateverWasKept(t *testing.T) {
	talk, out, notes := begin(t, Options{MaxTokens: 30, Stats: true})
	run(t, talk, "first", "second", "third")
	if strings.Contains(out.String(), "tokens") || strings.Count(notes.String(), " tokens read, ") != 3 {
		t.Errorf("said %q, and beside it %q", out, notes)
	}
	for turn := range 3 {
		fresh, _, _ := begin(t, Options{MaxTokens: 30})
		fresh.messages, fresh.tries = append([]chat.Message{}, talk.messages[:2*turn]...), turn
		run(t, fresh, talk.messages[2*turn].Content)
		if got, want := fresh.messages[2*turn+1].Content, talk.messages[2*turn+1].Content; got != want {
			t.Errorf("answer %d is %q, in a conversation that goes on %q", turn+1, got, want)
		}
	}
}

func TestCommands(t *testing.T) {
	path := filepath.Join(t.TempDir(), "said.jsonl")
	talk, out, notes := begin(t, Options{MaxTokens: 20, System: "Be kind."})
	run(t, talk, "/retry", "/save "+path, "one \\", "and more", "", "//slash", "/save "+path, "/save "+path, "/save",
		"/nosuch\x1b[31m", "/quit now", "/help")
	for _, want := range []string{
		"(there is no message to answer)", "(not saved: nothing was said yet)", "(saved in " + path + ")",
		"(not saved: " + path + " is there, want a file that is not)", "want the name of a file", "(/nosuch?[31m is no command; ",
		"(/quit takes nothing behind it)", "/retry        another answer",
	} {
		if !strings.Contains(notes.String(), want) {
			t.Errorf("%q is not said in %q", want, notes)
		}
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var kept struct{ Messages []llm.Message }
	if err := json.Unmarshal(raw, &kept); err != nil {
		t.Fatal(err)
	}
	m := kept.Messages
	if len(m) != 5 || m[0] != (llm.Message{Role: "system", Content: "Be kind."}) || m[1].Content != "one \nand more" ||
		m[3].Content != "/slash" ||
		m[2].Role != "assistant" {
		t.Errorf("kept %q", m)
	}
	if got, want := out.String(), terminal.PrintableText(m[2].Content)+"\n"+terminal.PrintableText(m[4].Content)+"\n"; got != want {
		t.Errorf("said %q, kept %q", got, want)
	}
	run(t, talk, "/retry")
	if again := talk.messages[3].Content; len(talk.messages) != 4 || again == m[4].Content {
		t.Errorf("tried again: %v", talk.messages)
	}
	run(t, talk, "/system Be brief.", "/reset", "new", "/quit", "never said")
	if got := talk.conversation(); len(got) != 3 || got[0].Content != "Be brief." || got[1].Content != "new" {
		t.Errorf("a new conversation is %v", got)
	}
}

func TestAFullContextIsSaid(t *testing.T) {
	talk, _, notes := begin(t, Options{Context: 100})
	run(t, talk, "a", strings.Repeat("b", 50), strings.Repeat("c", 50), "d")
	if !strings.Contains(notes.String(), "the context 100:") || !strings.Contains(notes.String(), "is not kept") {
		t.Errorf("said %q", notes)
	}
	for _, m := range talk.messages {
		if strings.Contains(m.Content, "ccc") {
			t.Error("a message that there was no room for is kept")
		}
	}
	full, _, notes := begin(t, Options{Context: 40})
	full.Sampling.Seed = 3
	run(t, full, "q")
	if !strings.Contains(notes.String(), "(cut off: the conversation fills the context of 40 tokens") {
		t.Errorf("said %q", notes)
	}
}

func TestCharactersOfATerminalAreShown(t *testing.T) {
	talk, out, _ := begin(t, Options{MaxTokens: 300})
	talk.Sampling.Temperature = 5
	run(t, talk, "a", "b", "c", "d")
	kept := ""
	for _, m := range talk.messages {
		kept += m.Content
	}
	if !strings.ContainsAny(kept, "\x1b\x07\r\b") || strings.ContainsAny(out.String(), "\x1b\x07\r\b\x00\u009b") {
		t.Errorf("control characters: kept %t, shown in %q", strings.ContainsAny(kept, "\x1b\x07\r\b"), out)
	}
}

// typed gives a line whenever it is asked for one, after doing what comes before it.
type typed struct{ steps []func() string }

func (r *typed) Read(p []byte) (int, error) {
	if len(r.steps) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.steps[0]()+"\n")
	r.steps = r.steps[1:]
	return n, nil
}

// struckWriter interrupts at the first words of an answer.
type struckWriter struct {
	talk *Talk
	took []bool
}

func (w *struckWriter) Write(p []byte) (int, error) {
	if len(w.took) == 0 && len(bytes.TrimSpace(p)) > 0 {
		w.took = append(w.took, w.talk.Interrupt())
	}
	return len(p), nil
}

func TestAnInterruptionStopsAnAnswerAndTwiceTheConversation(t *testing.T) {
	talk, _, notes := begin(t, Options{})
	w := &struckWriter{talk: talk}
	talk.out, talk.Sampling.Seed = w, 3
	run(t, talk, "q")
	if len(w.took) != 1 || !w.took[0] || !strings.Contains(notes.String(), "(stopped)") {
		t.Fatalf("%v, said %q", w.took, notes)
	}
	if len(talk.messages) != 2 || len(talk.messages[1].Content) > 20 {
		t.Errorf("kept %v", talk.messages)
	}
	if talk.Interrupt() {
		t.Error("twice, and it goes on")
	}
	run(t, talk, "/system x") // a line between
	if !talk.Interrupt() || !strings.Contains(notes.String(), "(once more ends the conversation") {
		t.Errorf("said %q", notes)
	}
	if talk.Interrupt() {
		t.Error("twice, and it goes on")
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := talk.Run(ctx, &typed{[]func() string{func() string { cancel(); return "x" }, func() string { return "y" }}})
	if err != context.Canceled {
		t.Errorf("got %v, want the end", err)
	}
}

func TestALineWithoutAnEndIsRefused(t *testing.T) {
	talk, _, _ := begin(t, Options{MaxTokens: 3})
	if err := talk.Run(t.Context(), strings.NewReader(strings.Repeat("x", mostLine+1))); err == nil || !strings.Contains(err.Error(),
		"a line of more than") {
		t.Errorf("got %v", err)
	}
}
