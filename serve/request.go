package serve

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"lwtrain/data/record"
	"lwtrain/internal/plainjson"
	"lwtrain/internal/rng"
	"lwtrain/model"
)

// The two forms of requests.
const (
	chatForm = "chat.completion"
	textForm = "text_completion"
)

// asked is what a request asks for.
type asked struct {
	form     string
	prompt   []int32
	stop     []int32  // ids that end a text
	stops    []string // texts that do
	how      model.Sampling
	seeded   bool
	n        int
	most     int // tokens of an answer
	logprobs bool
	top      int // most probable tokens that are told of each
	stream   bool
	usage    bool // is told at the end of a stream
}

// Bounds of a request.
const (
	mostStops     = 16
	mostStopBytes = 256
)

// fields are the parameters of a request, without those that are null.
type fields map[string]json.RawMessage

// read reads one parameter and forgets it.
func (f fields) take(name string) json.RawMessage {
	raw := f[name]
	delete(f, name)
	return raw
}

// number reads a number of a range.
func (f fields) number(name string, to *float64, least, most float64) error {
	raw := f.take(name)
	if raw == nil {
		return nil
	}
	if json.Unmarshal(raw, to) != nil || *to < least || *to > most {
		want := fmt.Sprintf("a number from %g to %g", least, most)
		if math.IsInf(most, 1) {
			want = fmt.Sprintf("a number from %g on", least)
		}
		return wrong(name, "%s, want %s", excerpt(raw), want)
	}
	return nil
}

// whole reads a whole number of a range.
func (f fields) whole(name string, to *int, least, most int) error {
	raw := f.take(name)
	if raw == nil {
		return nil
	}
	var v float64
	if json.Unmarshal(raw, &v) != nil || v != math.Trunc(v) || v < float64(least) || v > float64(most) {
		return wrong(name, "%s, want a whole number from %d to %d", excerpt(raw), least, most)
	}
	*to = int(v)
	return nil
}

func (f fields) flag(name string, to *bool) error {
	if raw := f.take(name); raw != nil && json.Unmarshal(raw, to) != nil {
		return wrong(name, "%s, want true or false", excerpt(raw))
	}
	return nil
}

// excerpt is the beginning of a value.
func excerpt(raw json.RawMessage) string {
	const most = 60
	text := strings.Join(strings.Fields(string(raw[:min(len(raw), most)])), " ")
	if len(raw) > most {
		text = strings.ToValidUTF8(text, "") + "..."
	}
	return text
}

// neutral are parameters that are taken where they change nothing, by the values that do not.
var neutral = map[string][]string{
	"frequency_penalty": {"0"}, "presence_penalty": {"0"}, "repetition_penalty": {"1"}, "repeat_penalty": {"1"}, "min_p": {"0"},
	"logit_bias": {"{}"}, "response_format": {`{"type":"text"}`}, "parallel_tool_calls": {"true"}, "tool_choice": {`"auto"`},
	"store": {"false"}, "service_tier": {`"auto"`, `"default"`}, "modalities": {`["text"]`}, "best_of": {"1"}, "echo": {"false"},
	"suffix": {`""`}, "min_tokens": {"0"}, "ignore_eos": {"false"}, "skip_special_tokens": {"true"},
}

// idle are parameters that say who asks, or are for servers with a cache: they change no answer.
var idle = []string{"user", "metadata", "safety_identifier", "prompt_cache_key"}

// read understands a request.
func (s *Server) read(raw []byte, form string) (*asked, error) {
	var f fields
	if err := plainjson.Decode(raw, mostValues, &f); err != nil {
		return nil, broken(err)
	}
	if f == nil {
		return nil, broken(errors.New("null"))
	}
	if twice := plainjson.Repeated(raw); twice != "" {
		return nil, broken(fmt.Errorf("the key %.60q is there twice", twice))
	}
	maps.DeleteFunc(f, func(_ string, v json.RawMessage) bool { return string(v) == "null" })
	if name := f.take("model"); name != nil && string(name) != plainjson.Quote(s.Name) {
		return nil, s.unknown(excerpt(name))
	}
	a := &asked{form: form, n: 1, how: model.Sampling{Temperature: 1, TopP: 1}}
	if err := a.readSettings(f, s.Batch); err != nil {
		return nil, err
	}
	limit := 0
	if err := a.readLimit(f, &limit); err != nil {
		return nil, err
	}
	prompt := s.readText
	if form == chatForm {
		prompt = s.readMessages
	}
	param, err := prompt(a, f)
	if err == nil {
		err = refuseRest(f)
	}
	if err == nil {
		err = a.fit(param, limit, s.Context)
	}
	if err != nil {
		return nil, err
	}
	return a, nil
}

// readSettings reads how tokens are chosen and how they are told.
func (a *asked) readSettings(f fields, batch int) error {
	topK, options := -1, f.take("stream_options")
	err := errors.Join(
		f.number("temperature", &a.how.Temperature, 0, math.Inf(1)), f.number("top_p", &a.how.TopP, 0, 1),
		f.whole("top_k", &topK, -1, math.MaxInt32), f.whole("n", &a.n, 1, batch), f.flag("stream", &a.stream),
		a.readStops(f), a.readSeed(f))
	if err != nil {
		return first(err)
	}
	a.how.TopK = max(0, topK)
	if a.how.TopP == 0 {
		return wrong("top_p", "0, want above 0 and at most 1")
	}
	if options != nil {
		var o fields
		if json.Unmarshal(options, &o) != nil {
			return wrong("stream_options", "%s, want an object", excerpt(options))
		}
		if !a.stream {
			return wrong("stream_options", "without stream, want it with stream: true")
		}
		if err := o.flag("include_usage", &a.usage); err != nil {
			return wrong("stream_options", "%v", err)
		}
		if len(o) > 0 {
			return wrong("stream_options", "%.60q is not supported, want include_usage", slices.Sorted(maps.Keys(o))[0])
		}
	}
	return nil
}

// first is the first of several errors.
func first(err error) error {
	var p *problem
	errors.As(err, &p)
	return p
}

func (a *asked) readStops(f fields) error {
	raw := f.take("stop")
	if raw == nil {
		return nil
	}
	var one string
	if json.Unmarshal(raw, &one) == nil {
		a.stops = []string{one}
	} else if json.Unmarshal(raw, &a.stops) != nil {
		return wrong("stop", "%s, want a text or a list of texts", excerpt(raw))
	}
	if len(a.stops) > mostStops {
		return wrong("stop", "%d texts, want at most %d", len(a.stops), mostStops)
	}
	for i, stop := range a.stops {
		if len(stop) == 0 || len(stop) > mostStopBytes {
			return wrong("stop", "text %d has %d bytes, want 1 to %d", i+1, len(stop), mostStopBytes)
		}
	}
	return nil
}

// readSeed reads the seed; where there is none it is drawn, and told with the answer.
func (a *asked) readSeed(f fields) (err error) {
	raw := f.take("seed")
	if raw == nil {
		const exact = 53 // bits of JSON's numbers
		var drawn [8]byte
		_, _ = rand.Read(drawn[:]) // it never fails
		a.how.Seed = binary.LittleEndian.Uint64(drawn[:]) >> (64 - exact)
		return nil
	}
	a.seeded = true
	if a.how.Seed, err = strconv.ParseUint(string(raw), 10, 64); err == nil {
		return nil
	}
	negative, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		return wrong("seed", "%s, want a whole number of 64 bits", excerpt(raw))
	}
	a.how.Seed = uint64(negative)
	return nil
}

// readLimit reads how many tokens an answer may have; 0: as many as there is room for.
func (a *asked) readLimit(f fields, limit *int) error {
	newer := 0
	if a.form == chatForm {
		if err := f.whole("max_completion_tokens", &newer, 1, math.MaxInt32); err != nil {
			return err
		}
	}
	if err := f.whole("max_tokens", limit, 1, math.MaxInt32); err != nil {
		return err
	}
	if newer > 0 && *limit > 0 && newer != *limit {
		return wrong("max_tokens", "%d, and max_completion_tokens is %d, want one of them", *limit, newer)
	}
	*limit = max(*limit, newer)
	return nil
}

// readMessages reads a conversation.
func (s *Server) readMessages(a *asked, f fields) (param string, err error) {
	if s.template == nil {
		return "", &problem{status: http.StatusBadRequest, code: "no_template",
			text: "the model has no chat template, want POST /v1/completions"}
	}
	if err := f.flag("logprobs", &a.logprobs); err != nil {
		return "", err
	}
	if err := f.whole("top_logprobs", &a.top, 0, mostTop); err != nil {
		return "", err
	}
	if a.top > 0 && !a.logprobs {
		return "", wrong("top_logprobs", "%d without logprobs, want it with logprobs: true", a.top)
	}
	if f["messages"] == nil {
		return "", wrong("messages", "missing, want a list")
	}
	if f["tools"] == nil && string(f["tool_choice"]) == `"none"` {
		f.take("tool_choice")
	}
	about := fields{}
	for _, name := range []string{"messages", "tools", "documents", "chat_template_kwargs"} {
		if raw := f.take(name); raw != nil {
			about[name] = raw
		}
	}
	if effort := f.take("reasoning_effort"); effort != nil {
		var kwargs fields
		if about["chat_template_kwargs"] != nil && json.Unmarshal(about["chat_template_kwargs"], &kwargs) != nil {
			return "", wrong("chat_template_kwargs", "%s, want an object", excerpt(about["chat_template_kwargs"]))
		}
		if kwargs == nil {
			kwargs = fields{}
		}
		if !s.template.Reads("reasoning_effort") || kwargs["reasoning_effort"] != nil {
			return "", wrong("reasoning_effort", "the model's chat template does not know it, or is told it twice")
		}
		kwargs["reasoning_effort"] = effort
		if about["chat_template_kwargs"], err = json.Marshal(kwargs); err != nil {
			return "", err
		}
	}
	goesOn := strings.HasSuffix(lastRole(about["messages"]), "assistant")
	for name, want := range map[string]bool{"continue_final_message": goesOn, "add_generation_prompt": !goesOn} {
		is := want
		if err := f.flag(name, &is); err != nil {
			return "", err
		}
		if is != want {
			return "", wrong(name, "%t, want %t: an answer at the end of the messages is gone on with, and only that", is, want)
		}
	}
	text, err := json.Marshal(about)
	if err != nil {
		return "", err
	}
	s.parse.Lock()
	defer s.parse.Unlock()
	rendered, err := record.Ask(s.template, text)
	if err != nil {
		param := "messages"
		for name := range about { // the error begins with its name
			if strings.HasPrefix(err.Error(), name) {
				param = name
			}
		}
		return "", &problem{status: http.StatusBadRequest, param: param, text: err.Error()}
	}
	a.prompt, a.stop = rendered.IDs, s.template.Stop()
	return "messages", nil
}

// lastRole is the role of the last message.
func lastRole(raw json.RawMessage) string {
	var messages []struct {
		Role  string          `json:"role"`
		Calls json.RawMessage `json:"tool_calls"`
	}
	if json.Unmarshal(raw, &messages) != nil || len(messages) == 0 {
		return ""
	}
	last := messages[len(messages)-1]
	if len(last.Calls) > len("null") {
		return "calls"
	}
	return last.Role
}

// readText reads a prompt that is gone on with as it is: a text, or ids.
func (s *Server) readText(a *asked, f fields) (param string, err error) {
	const name = "prompt"
	raw := f.take(name)
	var text string
	switch {
	case raw == nil:
		return "", wrong(name, "missing, want a text or a list of token ids")
	case json.Unmarshal(raw, &text) == nil:
		s.parse.Lock()
		defer s.parse.Unlock()
		a.prompt = s.tok.Encode(text)
	case json.Unmarshal(raw, &a.prompt) != nil:
		return "", wrong(name, "%s, want one text or a list of token ids", excerpt(raw))
	}
	for _, id := range a.prompt {
		if id < 0 || int(id) >= s.weights.Config.Vocab {
			return "", wrong(name, "the token id %d, want 0 to %d", id, s.weights.Config.Vocab-1)
		}
	}
	if len(a.prompt) == 0 {
		return "", wrong(name, "empty, want at least one token")
	}
	a.stop = s.tok.EOS()
	return name, nil
}

// refuseRest refuses what is left of a request and would change its answer.
func refuseRest(f fields) error {
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if slices.Contains(idle, name) {
			continue
		}
		values, known := neutral[name]
		if !known {
			return &problem{status: http.StatusBadRequest, param: name, code: "unsupported_parameter",
				text: fmt.Sprintf("%.60s is not supported", name)}
		}
		if !slices.ContainsFunc(values, func(v string) bool { return same(f[name], v) }) {
			return &problem{status: http.StatusBadRequest, param: name, code: "unsupported_value",
				text: fmt.Sprintf("%s: %s is not supported, want %s or none", name, excerpt(f[name]), strings.Join(values, ", "))}
		}
	}
	return nil
}

// same reports whether two values of JSON are: texts as they are written, numbers by their values.
func same(a json.RawMessage, b string) bool {
	var x, y float64
	if json.Unmarshal(a, &x) == nil && json.Unmarshal([]byte(b), &y) == nil {
		return x == y
	}
	var flat bytes.Buffer
	return json.Compact(&flat, a) == nil && flat.String() == b
}

// fit gives an answer the room that it may have.
func (a *asked) fit(param string, limit, context int) error {
	const code = "context_length_exceeded"
	room := context - len(a.prompt)
	switch {
	case room < 1:
		return &problem{status: http.StatusBadRequest, param: param, code: code,
			text: fmt.Sprintf("%s: %d tokens, and the context has %d, want at least one less than that", param, len(a.prompt), context)}
	case limit > room:
		return &problem{status: http.StatusBadRequest, param: "max_tokens", code: code,
			text: fmt.Sprintf("max_tokens: %d behind a prompt of %d tokens is %d, and the context has %d, want at most %d", limit,
				len(a.prompt), limit+len(a.prompt), context, room)}
	case limit == 0:
		limit = room
	}
	a.most = limit
	return nil
}

// seed is that of choice i.
func (a *asked) seed(i int) uint64 {
	if i == 0 {
		return a.how.Seed
	}
	return rng.New(a.how.Seed, "serve", uint64(i)).Uint64()
}

// unknown is the problem of a request to another model.
func (s *Server) unknown(name string) *problem {
	return &problem{status: http.StatusNotFound, param: "model", code: "model_not_found",
		text: fmt.Sprintf("model: %s, want %s", name, plainjson.Quote(s.Name))}
}
