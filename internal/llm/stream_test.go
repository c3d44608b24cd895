package llm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"lwtrain/internal/llm/llmtest"
)

// FuzzStream: whatever a server says is a reply with an end, or one that has failed for a
// reason.
func FuzzStream(f *testing.F) {
	const one = `data: {"choices": [{"delta": {"content": "one"}}]}` + "\n\n"
	for _, body := range []string{
		"", one, one + one + "data: [DONE]\n\n", one + `data: {"choices": [{"finish_reason": "stop"}], "usage": {"completion_tokens": 3}}`,
		`{"choices": [{"message": {"content": "one"}, "finish_reason": "length"}]}`, `{"error": {"code": 400}}`, ": wait\n\n", "data: {",
		`data: {"choices": [{"delta": {"reasoning": "x"}, "logprobs": {"content": [{"top_logprobs": [{"token": "4", "logprob": -1}]}]}}]}`,
	} {
		f.Add(body, 5)
	}
	c := NewClient(Server{URL: "http://localhost", Timeout: 60})
	f.Fuzz(func(t *testing.T, body string, asked int) {
		asked &= 1<<20 - 1
		ctx, wait := newPatience(context.Background(), time.Minute, func(err error) error { return err })
		defer wait.end()
		reply, err := c.read(ctx, ask("q", asked), strings.NewReader(body), wait)
		if err == nil {
			if reply.Stop != StopEOS && reply.Stop != StopLength {
				t.Errorf("%+v", reply)
			}
			return
		}
		var came *failure
		if reason, _ := failed(err, 1); reason == "" || !errors.As(err, &came) {
			t.Errorf("%v is no reason", err)
		}
	})
}

func TestAnUnknownEndIsAskedForOnce(t *testing.T) {
	s, client := newHasty(t)
	s.Say = always(llmtest.Said{Text: "one", Finish: "tired"})
	_, err := answers(t.Context(), client, 100)
	const want = "20 requests in a row have failed, the last one: no answer: finish_reason tired, want stop or length"
	if err == nil || !strings.HasSuffix(err.Error(), want) || s.Requests() > mostFailures+client.Concurrency {
		t.Errorf("got %v after %d requests, want %s", err, s.Requests(), want)
	}
}

// TestWhatIsUnderWayIsWaitedForWhereRepliesComeWhole: of such a reply nothing shows before all of it is there.
func TestWhatIsUnderWayIsWaitedForWhereRepliesComeWhole(t *testing.T) {
	s, client, _ := newClient(t)
	client.Concurrency = 1
	ctx, stop := context.WithCancel(t.Context())
	s.Script = func(n int, w http.ResponseWriter) bool {
		if n == 2 {
			stop()
			time.Sleep(50 * time.Millisecond) // the client has heard of it
		}
		fmt.Fprintf(w, `{"choices": [{"message": {"content": "%d"}, "finish_reason": "stop"}]}`, n)
		return true
	}
	var told []string
	client.Waiting = func(err error, _ time.Duration) { told = append(told, err.Error()) }
	err := Answer(ctx, client, []Request{ask("a", 50), ask("b", 50), ask("c", 50)}, func(_ int, r Reply) error {
		told = append(told, r.Text)
		return nil
	})
	if want := []string{"1", ErrStopping.Error(), "2"}; err != context.Canceled || !slices.Equal(told, want) {
		t.Errorf("%q is told, want %q: %v", told, want, err)
	}
}
