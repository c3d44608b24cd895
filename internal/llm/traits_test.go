package llm

import (
	"reflect"
	"strings"
	"testing"

	"lwtrain/internal/llm/llmtest"
)

func TestWhatAServerRefusesToBeToldIsNotToldAgain(t *testing.T) {
	for name, c := range map[string]struct {
		refuses func(body string) string // "": it does not
		without []string
		with    []string
		tries   int
	}{
		"the limit's old name": {
			func(b string) string {
				if strings.Contains(b, `"max_tokens"`) {
					return "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
				}
				return ""
			}, []string{`"max_tokens"`}, []string{`"max_completion_tokens":50`}, 2,
		},
		"how many tokens there were": {
			func(b string) string {
				if strings.Contains(b, "include_usage") {
					return "unknown field include_usage"
				}
				return ""
			}, []string{"stream_options"}, []string{`"stream":true`}, 2,
		},
		"a stream": {
			func(b string) string {
				if strings.Contains(b, `"stream"`) {
					return "stream must be false"
				}
				return ""
			}, []string{"stream"}, nil, 2,
		},
		"no rank of -1": {
			func(b string) string {
				if strings.Contains(b, `"top_k":-1`) {
					return `{"loc":["body","top_k"],"msg":"Input should be greater than or equal to 0"}`
				}
				return ""
			}, nil, []string{`"top_k":0`}, 2,
		},
		"by an error of its own": {
			func(b string) string {
				if strings.Contains(b, `"top_k":-1`) {
					return "1 validation error: loc: ('body', 'top_k'), msg: Input should be greater than or equal to 0"
				}
				return ""
			}, nil, []string{`"top_k":0`}, 2,
		},
		"three of them": {
			func(b string) string {
				for _, key := range []string{"top_k", "min_p", "repeat_penalty"} {
					if strings.Contains(b, key) {
						return "Unrecognized request argument supplied: " + key
					}
				}
				return ""
			}, []string{"top_k", "min_p", "repeat_penalty"}, []string{"repetition_penalty"}, 5,
		},
		"probabilities": {
			func(b string) string {
				return strings.Repeat("top_logprobs is not supported", strings.Count(b, `"top_logprobs"`))
			},
			[]string{"logprobs"}, nil, 2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, client := newHasty(t)
			s.Say = func(r llmtest.Request) llmtest.Said {
				if why := c.refuses(r.Body); strings.HasPrefix(why, "1 validation error") {
					return llmtest.Said{Text: why, Status: 500}
				} else if why != "" {
					return llmtest.Said{Text: why, Status: 400}
				}
				return llmtest.Said{Text: "one", Finish: "stop"}
			}
			r := ask("q", 50)
			r.TopLogprobs = 5
			for n := range 2 {
				got, err := client.Ask(t.Context(), r)
				if err != nil || got.Text != "one" || s.Requests() != c.tries+n {
					t.Errorf("got %+v, %v after %d requests, want %d", got, err, s.Requests(), c.tries+n)
				}
			}
			body, err := client.body(r, client.traits.now())
			if err != nil {
				t.Fatal(err)
			}
			for _, key := range c.without {
				if strings.Contains(string(body), key) {
					t.Errorf("%s is told: %s", key, body)
				}
			}
			for _, key := range c.with {
				if !strings.Contains(string(body), key) {
					t.Errorf("%s is not told: %s", key, body)
				}
			}
		})
	}
}

// TestWhatIsRefusedIsLearntOfAReplyThatBreaksOff asks a server that drops a stream for the next request: the
// request was taken, so that nobody has to be told again what it refuses.
func TestWhatIsRefusedIsLearntOfAReplyThatBreaksOff(t *testing.T) {
	s, c := newHasty(t)
	refused, broken := 0, false
	s.Say = func(r llmtest.Request) llmtest.Said {
		switch {
		case strings.Contains(r.Body, `"top_k":-1`):
			refused++
			return llmtest.Said{Status: 500, Text: "1 validation error: loc: ('body', 'top_k')"}
		case !broken:
			broken = true
			return llmtest.Said{Text: "half", Torn: true}
		}
		return llmtest.Said{Text: "whole", Finish: "stop"}
	}
	reply, err := c.Ask(t.Context(), ask("a", 50))
	if err != nil || reply.Text != "whole" || refused != 1 {
		t.Errorf("%+v, %v, refused %d times, want once", reply, err, refused)
	}
}

func TestARefusalOfAPromptTeachesNothing(t *testing.T) {
	s, client := newHasty(t)
	s.Say = func(r llmtest.Request) llmtest.Said {
		if r.Messages[0].Content == "bad" {
			return llmtest.Said{Text: "you said: " + r.Body, Status: 400}
		}
		return llmtest.Said{Text: "one", Finish: "stop"}
	}
	before := client.traits.now()
	got, err := client.Ask(t.Context(), ask("bad", 50))
	if err != nil || !strings.HasPrefix(got.Failed, "refused: status 400") || !reflect.DeepEqual(client.traits.now(), before) {
		t.Errorf("got %+v, %v, learnt %v", got, err, client.traits.now())
	}
}

func TestOpenAIIsToldWhatItKnows(t *testing.T) {
	client := NewClient(Server{URL: "https://api.openai.com/v1", Model: "m"})
	body, err := client.body(ask("q", 50), client.traits.now())
	want := `{"max_completion_tokens":50,"messages":[{"role":"user","content":"q"}],"model":"m","seed":0,"stream":true,` +
		`"stream_options":{"include_usage":true},"temperature":0,"top_p":1}`
	if err != nil || string(body) != want {
		t.Errorf("got %s, %v, want %s", body, err, want)
	}
}
