package export

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"

	"lwtrain/chat"
	"lwtrain/convert"
	"lwtrain/internal/atomicfile"
)

const modelfile = "Modelfile"

// mostContext is the longest context that a Modelfile asks for, in tokens: memory for its keys
// and values is taken when the model is loaded.
const mostContext = 32768

// writeModelfile writes what Ollama makes a model of a GGUF file from.
func writeModelfile(path, file string, c *chat.Template, s *convert.Source) error {
	var b strings.Builder
	fmt.Fprintf(&b, "FROM ./%s\n", filepath.Base(file))
	if c != nil {
		text, err := ollamaTemplate(c)
		if err != nil {
			s.Warn("%s gets no TEMPLATE, and Ollama takes one that it knows: %v", path, err)
		} else {
			fmt.Fprintf(&b, "TEMPLATE \"\"\"%s\"\"\"\n", text)
		}
	}
	for _, stop := range stops(s) {
		fmt.Fprintf(&b, "PARAMETER stop %s\n", strconv.Quote(stop))
	}
	fmt.Fprintf(&b, "PARAMETER num_ctx %d\n", min(s.Config.MaxTokens, mostContext))
	return atomicfile.WriteBytes(path, []byte(b.String()))
}

// frame is what a chat template puts around the messages of plain conversations.
type frame struct {
	before map[string]string // what stands before a message, by "role before role"; before the first one "role"
	prompt string            // what stands behind the last question
}

// Contents that no template has reason to change.
const (
	saidBySystem = "SAID-BY-SYSTEM"
	firstAsked   = "FIRST-ASKED"
	answered     = "ANSWERED"
	thenAsked    = "THEN-ASKED"
)

// ollamaTemplate puts a chat template into the language of Ollama, which is Go's: it finds out
// what stands around messages, and an error says that the result renders a conversation in
// another way.
func ollamaTemplate(c *chat.Template) (string, error) {
	f := frame{before: map[string]string{}}
	conversation := []chat.Message{{Role: "system", Content: saidBySystem}, {Role: "user", Content: firstAsked},
		{Role: "assistant", Content: answered}, {Role: "user", Content: thenAsked}}
	for _, messages := range [][]chat.Message{conversation, conversation[1:]} {
		if err := f.learn(c, messages); err != nil && messages[0].Role == "user" {
			return "", err
		}
	}
	text := f.text()
	if strings.Contains(text, `"""`) {
		return "", fmt.Errorf("the chat template writes three quotes in a row")
	}
	parsed, err := template.New("").Parse(text)
	if err != nil {
		return "", err
	}
	conversation = append(conversation, chat.Message{Role: "assistant", Content: "A second answer.\n\nIts end."},
		chat.Message{Role: "user", Content: "And then?"})
	for _, n := range []int{2, 4, 6} {
		for _, messages := range [][]chat.Message{conversation[:n], conversation[1:n]} {
			if messages[0].Role == "system" && f.before["system"] == "" && f.before["user before system"] == "" {
				continue
			}
			want, _, err := c.Prompt(messages)
			if err != nil {
				continue // it takes no such conversation
			}
			var have strings.Builder
			if err := parsed.Execute(&have, map[string]any{"Messages": messages}); err != nil || have.String() != want {
				return "", fmt.Errorf("its way to write a conversation of %d messages cannot be said there", len(messages))
			}
		}
	}
	return text, nil
}

// learn renders a conversation and notes what stands before each message.
func (f *frame) learn(c *chat.Template, messages []chat.Message) error {
	text, _, err := c.Prompt(messages)
	if err != nil {
		return err
	}
	last := ""
	for _, m := range messages {
		before, rest, ok := strings.Cut(text, m.Content)
		if !ok {
			return fmt.Errorf("the chat template does not write what the %s says as it is", m.Role)
		}
		f.before[strings.TrimSuffix(m.Role+" before "+last, " before ")] = before
		text, last = rest, m.Role
	}
	f.prompt = text
	return nil
}

// text is the template: what stands before a message depends on its role and the one before.
func (f *frame) text() string {
	literal := func(s string) string {
		if s == "" {
			return ""
		}
		return "{{ " + strconv.Quote(s) + " }}"
	}
	var b strings.Builder
	b.WriteString(`{{- $last := "" }}{{ range .Messages }}`)
	for i, role := range []string{"system", "user", "assistant"} {
		fmt.Fprintf(&b, `{{ %s eq .Role "%s" }}`, []string{"if", "else if", "else if"}[i], role)
		for j, last := range []string{"", "system", "assistant", "user"} {
			key := strings.TrimSuffix(role+" before "+last, " before ")
			fmt.Fprintf(&b, `{{ %s eq $last "%s" }}%s`, []string{"if", "else if", "else if", "else if"}[j], last, literal(f.before[key]))
		}
		b.WriteString(`{{ end }}`)
	}
	b.WriteString(`{{ end }}{{ .Content }}{{ $last = .Role }}{{ end }}`)
	fmt.Fprintf(&b, `{{ if ne $last "assistant" }}%s{{ end }}`, literal(f.prompt))
	return b.String()
}
