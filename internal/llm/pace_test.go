package llm

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// simulated is a server in simulated time, which takes call for an answer and refuses what take does not take.
type simulated struct {
	call  time.Duration
	take  func(s *simulated) (ok bool, after time.Duration) // at once; after: what Retry-After says
	began time.Time

	mu      sync.Mutex
	now     int // under way, this one included
	most    int
	refused int
}

func (s *simulated) RoundTrip(r *http.Request) (*http.Response, error) {
	r.Body.Close()
	time.Sleep(s.call / 50)
	s.mu.Lock()
	s.now++
	ok, after := s.take(s)
	if ok {
		s.most = max(s.most, s.now)
	} else {
		s.refused++
		s.now--
	}
	s.mu.Unlock()
	res := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}}
	if !ok {
		res.StatusCode = http.StatusTooManyRequests
		if after > 0 {
			res.Header.Set("Retry-After", fmt.Sprint(int(after.Seconds())))
		}
		res.Body = io.NopCloser(strings.NewReader("too many"))
		return res, nil
	}
	time.Sleep(s.call)
	s.mu.Lock()
	s.now--
	s.mu.Unlock()
	const said = `data: {"choices": [{"delta": {"content": "one"}, "finish_reason": "stop"}]}` + "\n\ndata: [DONE]\n\n"
	res.Body = io.NopCloser(strings.NewReader(said))
	return res, nil
}

// upTo takes n requests at once.
func upTo(n int) func(*simulated) (bool, time.Duration) {
	return func(s *simulated) (bool, time.Duration) { return s.now <= n, 0 }
}

// perMinute takes n requests in each minute, and says when the next one begins if told.
func perMinute(n int, told bool) func(*simulated) (bool, time.Duration) {
	taken := map[time.Duration]int{}
	return func(s *simulated) (bool, time.Duration) {
		in := time.Since(s.began)
		minute := in.Truncate(time.Minute)
		if taken[minute]++; taken[minute] <= n {
			return true, 0
		}
		if told {
			return false, (minute + time.Minute - in).Truncate(time.Second) + time.Second
		}
		return false, 0
	}
}

// storm takes n at once but for a while, in which it takes none.
func storm(n int, from, length time.Duration) func(*simulated) (bool, time.Duration) {
	return func(s *simulated) (bool, time.Duration) {
		in := time.Since(s.began)
		return s.now <= n && (in < from || in >= from+length), 0
	}
}

// write has the server asked as for 64 texts of 10 paragraphs, each of which follows from the one before, by 16 at once.
func write(t *testing.T, s *simulated) (answered, failed int, err error) {
	client := NewClient(Server{URL: "http://simulated/v1", Model: "m", Timeout: 60, Retries: 6, Concurrency: 16})
	client.http = s
	const texts, calls = 64, 11
	var requests []Request
	for i := range texts {
		requests = append(requests, ask(fmt.Sprint(i), 50))
	}
	done := make([]int, texts)
	text := make([]int, texts, texts*calls) // of a request
	for i := range text {
		text[i] = i
	}
	s.began = time.Now()
	err = client.Converse(t.Context(), requests, func(i int, r Reply) ([]Request, error) {
		k := text[i]
		if r.Failed != "" {
			failed++
			return nil, nil
		}
		answered++
		if done[k]++; done[k] == calls {
			return nil, nil
		}
		text = append(text, k)
		return []Request{ask(fmt.Sprint(k, " ", done[k]), 50)}, nil
	})
	return answered, failed, err
}

// Pauses between questions whether a server takes requests again are drawn at random, up to 90 s (48 s within a minute): its
// answer is known as much later at most.
func TestAPaceIsThatOfItsServer(t *testing.T) {
	const call, all = 50 * time.Millisecond, 704
	for name, c := range map[string]struct {
		take    func(*simulated) (bool, time.Duration)
		ideal   time.Duration
		most    float64 // times that
		refused int     // at most
		want    string  // the error
	}{
		"a server that takes as many as there may be":       {upTo(16), call * all / 16, 1.25, 0, ""},
		"a server of eight at once":                         {upTo(8), call * all / 8, 1.2, 10, ""},
		"a server of three at once":                         {upTo(3), call * all / 3, 1.1, 10, ""},
		"a server of one at once":                           {upTo(1), call * all, 1.1, 20, ""},
		"a server of 120 a minute":                          {perMinute(120, false), 5 * time.Minute, 1.2, 200, ""},
		"a server of 120 a minute that says when to go on":  {perMinute(120, true), 5 * time.Minute, 1.02, 60, ""},
		"a server that is too busy for ten minutes":         {storm(16, time.Second, 10*time.Minute), 10 * time.Minute, 1.16, 150, ""},
		"a smaller server that is too busy for ten minutes": {storm(8, time.Second, 10*time.Minute), 10 * time.Minute, 1.16, 150, ""},
		"a server that stays too busy is given up in 20 minutes": {
			storm(16, time.Second, 1000*time.Hour), 10 * time.Minute, 2, 200,
			"20 requests in a row have failed, the last one: busy: 429 after 7 tries",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &simulated{call: call, take: c.take}
				answered, failed, err := write(t, s)
				ratio := float64(time.Since(s.began)) / float64(c.ideal)
				t.Logf("%.3f of the ideal, %d refused", ratio, s.refused)
				if ratio > c.most || s.refused > c.refused {
					t.Errorf("%.3f of the ideal, %d refused, want at most %v and %d", ratio, s.refused, c.most, c.refused)
				}
				if c.want == "" && (answered != all || failed > 0 || err != nil) {
					t.Errorf("%d answered, %d failed, %v", answered, failed, err)
				}
				if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
					t.Errorf("got %v, want %s", err, c.want)
				}
			})
		})
	}
}

func TestRetryAfterIsHonouredByAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var once, early int
		s := &simulated{call: 50 * time.Millisecond}
		s.take = func(*simulated) (bool, time.Duration) {
			in := time.Since(s.began)
			switch {
			case in < 200*time.Millisecond || in > 30*time.Second+200*time.Millisecond:
				return true, 0
			case once == 0:
				once++
				return false, 30 * time.Second
			case in > time.Second:
				early++
			}
			return s.now <= 6, 0 // others are under way, and refused without a word of when
		}
		answered, failed, err := write(t, s)
		if answered != 704 || failed > 0 || err != nil || once != 1 || early > 0 {
			t.Errorf("%d answered, %d failed, %v; %d begun before the server wanted it", answered, failed, err, early)
		}
	})
}
