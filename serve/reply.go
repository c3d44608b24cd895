package serve

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net/http"
	"time"

	"lwtrain/internal/plainjson"
)

// reply is an answer, or a piece of one.
type reply struct {
	ID      string   `json:"id"`
	Object  string   `json:"object"`
	Created int64    `json:"created"`
	Model   string   `json:"model"`
	Seed    *uint64  `json:"seed,omitempty"` // the one that was drawn, where the request had none
	Choices []choice `json:"choices"`
	Usage   any      `json:"usage,omitempty"`
}

type choice struct {
	Index    int       `json:"index"`
	Message  *message  `json:"message,omitempty"` // of a chat
	Delta    *message  `json:"delta,omitempty"`   // of a chat that is streamed
	Text     *string   `json:"text,omitempty"`    // of no chat
	Logprobs *logprobs `json:"logprobs"`
	Finish   *string   `json:"finish_reason"`
}

type message struct {
	Role    string  `json:"role,omitempty"`
	Content *string `json:"content,omitempty"`
}

type logprobs struct {
	Content []logprob `json:"content"`
}

type usage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	Total      int `json:"total_tokens"`
}

// answer answers a request.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, form string) {
	var a *asked
	err := s.receive(w, r, func(raw []byte) (err error) {
		a, err = s.read(raw, form)
		return err
	})
	var j *job
	if err == nil {
		j = s.newJob(a)
		if err = s.pool.add(j); err == nil {
			defer s.pool.leave(j)
			err = s.tell(w, r.Context(), j)
		}
	}
	if err != nil {
		s.fail(w, err)
	}
}

// fail tells an error; one that is not the request's is said, too.
func (s *Server) fail(w http.ResponseWriter, err error) {
	var p *problem
	if !errors.As(err, &p) {
		s.Say(err.Error())
		p = &problem{status: http.StatusInternalServerError, text: err.Error()}
	}
	refuse(w, p)
}

// newJob makes the texts of a request.
func (s *Server) newJob(a *asked) *job {
	j := &job{asked: *a, came: make(chan struct{}, 1)}
	for i := range a.n {
		how := a.how
		how.Seed = a.seed(i)
		j.rows = append(j.rows, &row{job: j, sampling: how, again: i < a.n-1, tok: s.tok, decoder: s.tok.Decoder(),
			ending: ending{stops: a.stops}})
	}
	return j
}

// tell sends an answer, whole or as it comes. Its error is one of before anything was sent.
func (s *Server) tell(w http.ResponseWriter, ctx context.Context, j *job) error {
	var id [12]byte
	_, _ = rand.Read(id[:]) // it never fails
	prefix, object := "chatcmpl-", j.form
	if j.form == textForm {
		prefix = "cmpl-"
	}
	if j.stream && j.form == chatForm {
		object += ".chunk"
	}
	head := reply{ID: prefix + hex.EncodeToString(id[:]), Object: object, Created: time.Now().Unix(), Model: s.Name, Choices: []choice{}}
	if !j.seeded && j.how.Temperature > 0 {
		head.Seed = &j.how.Seed
	}
	if j.stream {
		return s.stream(w, ctx, j, head)
	}
	return s.whole(w, ctx, j, head)
}

// gather waits for what comes of a job's rows, and calls each with it, until all have ended or ctx has.
func (j *job) gather(ctx context.Context, each func(i int, p piece) error) (usage, error) {
	use := usage{Prompt: len(j.prompt)}
	ended := make([]bool, len(j.rows))
	for left := len(j.rows); left > 0; {
		select {
		case <-j.came:
		case <-ctx.Done():
			return use, ctx.Err()
		}
		for i, r := range j.rows {
			if ended[i] {
				continue
			}
			p := r.take()
			if p.err != nil {
				return use, p.err
			}
			if p.finish != "" {
				ended[i] = true
				left--
				use.Completion += p.tokens
			}
			if err := each(i, p); err != nil {
				return use, err
			}
		}
	}
	use.Total = use.Prompt + use.Completion
	return use, nil
}

// whole sends an answer when it is there.
func (s *Server) whole(w http.ResponseWriter, ctx context.Context, j *job, out reply) error {
	texts, told := make([]string, j.n), make([]logprobs, j.n)
	out.Choices = make([]choice, j.n)
	use, err := j.gather(ctx, func(i int, p piece) error {
		texts[i] += p.text
		told[i].Content = append(told[i].Content, p.logprobs...)
		if p.finish != "" {
			out.Choices[i] = j.choice(i, texts[i], told[i].Content, &p.finish)
		}
		return nil
	})
	switch {
	case ctx.Err() != nil:
		return nil // nobody is there
	case err != nil:
		return err
	}
	out.Usage = use
	send(w, http.StatusOK, out)
	return nil
}

// choice is a text, or a piece of one that is streamed.
func (j *job) choice(i int, text string, told []logprob, finish *string) choice {
	c := choice{Index: i, Finish: finish}
	if j.logprobs && (len(told) > 0 || !j.stream) {
		c.Logprobs = &logprobs{told}
		if told == nil {
			c.Logprobs.Content = []logprob{}
		}
	}
	switch {
	case j.form == textForm:
		c.Text = &text
	case j.stream:
		c.Delta = &message{}
		if text != "" {
			c.Delta.Content = &text
		}
	default:
		c.Message = &message{"assistant", &text}
	}
	return c
}

// errLeft is the error of an answer that nobody reads.
var errLeft = errors.New("the client has left")

// stream sends an answer as it comes.
func (s *Server) stream(w http.ResponseWriter, ctx context.Context, j *job, head reply) error {
	control := http.NewResponseController(w)
	put := func(data []byte) error {
		_ = control.SetWriteDeadline(time.Now().Add(writeTime))
		_, err := w.Write(append(append([]byte("data: "), data...), "\n\n"...))
		if err != nil || control.Flush() != nil {
			return errLeft
		}
		return nil
	}
	say := func(v any) error {
		raw, err := plainjson.Marshal(v)
		if err == nil {
			err = put(raw)
		}
		return err
	}
	part := func(c ...choice) error {
		out := head
		out.Choices = append(out.Choices, c...)
		if j.usage {
			out.Usage = noUsage{}
		}
		return say(out)
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	w.WriteHeader(http.StatusOK)
	empty := ""
	for i := range j.rows {
		if j.form == chatForm {
			if part(choice{Index: i, Delta: &message{"assistant", &empty}}) != nil {
				return nil // nobody is there
			}
		}
	}
	use, err := j.gather(ctx, func(i int, p piece) error {
		if p.text != "" || len(p.logprobs) > 0 {
			if err := part(j.choice(i, p.text, p.logprobs, nil)); err != nil {
				return err
			}
		}
		if p.finish == "" {
			return nil
		}
		return part(j.choice(i, "", nil, &p.finish))
	})
	var told *problem
	switch {
	case ctx.Err() != nil, err == errLeft:
		return nil
	case errors.As(err, &told):
		_ = say(told.body())
		return nil
	case err != nil:
		s.Say(err.Error())
		_ = say((&problem{status: http.StatusInternalServerError, text: err.Error()}).body())
		return nil
	}
	if j.usage {
		head.Usage = use
		err = say(head)
	}
	if err == nil {
		_ = put([]byte("[DONE]"))
	}
	return nil
}

// noUsage is that of pieces before the last one.
type noUsage struct{}

// MarshalJSON writes null.
func (noUsage) MarshalJSON() ([]byte, error) { return []byte("null"), nil }
