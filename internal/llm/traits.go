package llm

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"sync"
)

// traits are what a server turned out to refuse. It is safe for concurrent use.
type traits struct {
	mu   sync.Mutex
	last traitSet
}

// traitSet is how often a server has refused a key of requests.
type traitSet map[string]int

// newTraits are what is known of a server from its address.
func newTraits(address string) traits {
	t := traitSet{}
	if u, err := url.Parse(address); err == nil && u.Hostname() == "api.openai.com" {
		t["max_tokens"] = 1 // its newer models refuse it, all of them take the other name
		for _, key := range []string{"top_k", "min_p", "repetition_penalty", "repeat_penalty"} {
			t[key] = len(otherValues[key]) + 1
		}
	}
	return traits{last: t}
}

func (t *traits) now() traitSet {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.last)
}

// keep adds what was learnt.
func (t *traits) keep(learnt traitSet) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, n := range learnt {
		t.last[key] = max(t.last[key], n)
	}
}

// optional are the keys that a request does without, in the order in which they are given
// up.
var optional = []string{
	"stream_options", "stream", "top_k", "min_p", "repetition_penalty", "repeat_penalty", "top_logprobs", "logprobs", "seed",
}

// otherValues are what else says the same as a value that was refused. No limit by rank is
// -1 for vLLM and SGLang, 0 for others.
var otherValues = map[string][]any{"top_k": {0}}

// withoutThem are keys that mean nothing without another one.
var withoutThem = map[string]string{"stream": "stream_options", "top_logprobs": "logprobs", "logprobs": "top_logprobs"}

// tooLong finds messages on the length of what was asked, prompt and reply together: they name keys that the server
// does take.
var tooLong = regexp.MustCompile(`(?i)context|too (long|large)|exceed`)

// invalid finds refusals of a request among errors of a server.
var invalid = regexp.MustCompile(`(?i)validation error|invalid (field|parameter|argument)|unsupported (field|parameter)`)

// learn takes from a refusal which key of the body the server does not know, and reports
// whether there is one.
func (t traitSet) learn(e *statusError, body []byte) bool {
	refuses := e.code == http.StatusBadRequest || e.code == http.StatusUnprocessableEntity ||
		e.code == http.StatusInternalServerError && invalid.Match(e.raw) // llama-cpp-python's
	if !refuses || tooLong.Match(e.raw) {
		return false
	}
	var sent map[string]any
	if json.Unmarshal(body, &sent) != nil {
		return false
	}
	said := func(name string) bool { return regexp.MustCompile(`\b` + name + `\b`).Match(e.raw) }
	names := func(key string) bool {
		_, was := sent[key]
		return was && (said(key) || key == "stream_options" && said("include_usage"))
	}
	if names("max_tokens") && said("max_completion_tokens") {
		t["max_tokens"]++
		return true
	}
	if names("max_completion_tokens") && t["max_completion_tokens"] == 0 {
		t["max_completion_tokens"]++
		return true
	}
	for _, key := range optional {
		if names(key) {
			t[key]++
			return true
		}
	}
	return false
}

// apply takes from a body what the server does not know.
func (t traitSet) apply(body map[string]any) {
	if t["max_tokens"] > 0 && t["max_completion_tokens"] == 0 {
		body["max_completion_tokens"] = body["max_tokens"]
		delete(body, "max_tokens")
	}
	for _, key := range optional {
		n, others := t[key], otherValues[key]
		if _, was := body[key]; !was || n == 0 {
			continue
		}
		if n <= len(others) {
			body[key] = others[n-1]
			continue
		}
		delete(body, key)
		delete(body, withoutThem[key])
	}
}
