package track

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lwtrain/engine"
	"lwtrain/train"
)

// trainer is a server as Kubeflow Trainer's: what it was told, by which token.
type trainer struct {
	*httptest.Server
	mu     sync.Mutex
	told   []status
	tokens []string
	at     []time.Time
	says   int // status of its replies
}

func newTrainer(t *testing.T) *trainer {
	s := &trainer{says: http.StatusOK}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		var body struct{ TrainerStatus *status }
		raw, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(raw, &body)
		}
		if err != nil || body.TrainerStatus == nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: %q (%v)", r.Method, r.Header.Get("Content-Type"), raw, err)
			return
		}
		s.told, s.at = append(s.told, *body.TrainerStatus), append(s.at, time.Now())
		s.tokens = append(s.tokens, r.Header.Get("Authorization"))
		w.Header().Set("Location", s.URL)
		w.WriteHeader(s.says)
	}))
	t.Cleanup(s.Close)
	return s
}

// reports is how many reports there were.
func (s *trainer) reports() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.told)
}

// pod is the environment of a pod, with the files that it names.
func (s *trainer) pod(t *testing.T) (env map[string]string) {
	t.Helper()
	dir := t.TempDir()
	env = map[string]string{kubeflowServer: s.URL, kubeflowCA: filepath.Join(dir, "ca.crt"), kubeflowToken: filepath.Join(dir, "token")}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(env[kubeflowCA], ca, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(env[kubeflowToken], []byte("first\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return env
}

func TestKubeflowIsToldHowFarARunIs(t *testing.T) {
	s := newTrainer(t)
	env := s.pod(t)
	k := NewKubeflow(func(key string) string { return env[key] }, func(text string) { t.Error(text) })
	heard := 0
	e := k.Join(train.Events{Step: func(train.StepMetrics) { heard++ }})
	k.mu.Lock()
	k.pause = 100 * time.Millisecond
	k.mu.Unlock()
	e.Planned(&train.Plan{Schedule: train.Schedule{Total: 20}}, engine.Needs{})
	e.Training(10)
	for i := 11; i <= 20; i++ {
		e.Step(train.StepMetrics{Step: i, Loss: 1.25, Epoch: float64(i) / 20})
		time.Sleep(20 * time.Millisecond)
		if i == 15 {
			if err := os.WriteFile(env[kubeflowToken], []byte("second"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	e.Eval(train.EvalMetrics{Step: 20, Loss: 0.5})
	for n := s.reports(); s.reports() == n; {
		time.Sleep(time.Millisecond)
	}
	k.Close(true)
	last := s.told[len(s.told)-1]
	metrics := map[string]string{}
	for _, m := range last.Metrics {
		metrics[m.Name] = m.Value
	}
	if last.ProgressPercentage != 100 || *last.EstimatedRemainingSeconds != 0 ||
		metrics["loss"] != "1.25" || metrics["eval_loss"] != "0.5" {
		t.Errorf("at the end the server was told %+v", last)
	}
	if _, err := time.Parse(time.RFC3339, last.LastUpdatedTime); err != nil {
		t.Error(err)
	}
	for i, told := range s.told[:len(s.told)-1] {
		if told.ProgressPercentage > 99 || i > 0 && told.ProgressPercentage < s.told[i-1].ProgressPercentage {
			t.Errorf("report %d: %d %%", i, told.ProgressPercentage)
		}
		if i > 0 && s.at[i].Sub(s.at[i-1]) < k.pause {
			t.Errorf("report %d came %v after the one before it", i, s.at[i].Sub(s.at[i-1]))
		}
	}
	if s.tokens[0] != "Bearer first" || s.tokens[len(s.tokens)-1] != "Bearer second" {
		t.Errorf("the server got the tokens %q", s.tokens)
	}
	if n := len(s.told); n < 3 || heard != 10 {
		t.Errorf("%d reports, want at least 3; %d steps were heard, want 10", n, heard)
	}
}

func TestARunThatStopsIsNotToldAsDone(t *testing.T) {
	s := newTrainer(t)
	env := s.pod(t)
	k := NewKubeflow(func(key string) string { return env[key] }, func(text string) { t.Error(text) })
	e := k.Join(train.Events{})
	e.Planned(&train.Plan{Schedule: train.Schedule{Total: 4}}, engine.Needs{})
	e.Training(0)
	e.Step(train.StepMetrics{Step: 4})
	k.Close(false)
	if last := s.told[len(s.told)-1]; last.ProgressPercentage != 99 {
		t.Errorf("%d %%, want 99", last.ProgressPercentage)
	}
}

func TestReportsThatFailAreSaidOnceAndCounted(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(s *trainer, env map[string]string)
		want  []string
		posts bool
	}{
		{"a server that refuses", func(s *trainer, _ map[string]string) { s.says = http.StatusForbidden },
			[]string{"the run goes on: the server says 403 Forbidden", "2 of 2 reports of progress to Kubeflow failed"}, true},
		{"one that leads elsewhere is not followed", func(s *trainer, _ map[string]string) { s.says = http.StatusTemporaryRedirect },
			[]string{"the server says 307", "2 of 2 reports"}, true},
		{"a server that is gone", func(s *trainer, _ map[string]string) { s.Server.Close() },
			[]string{"connection refused", "2 of 2 reports"}, false},
		{"a certificate of another", func(_ *trainer, env map[string]string) { env[kubeflowCA] = "" },
			[]string{"certificate", "2 of 2"}, false},
		{"a token that cannot be read", func(_ *trainer, env map[string]string) { os.Remove(env[kubeflowToken]) },
			[]string{kubeflowToken + ": open ", "2 of 2"}, false},
		{"an address without TLS", func(_ *trainer, env map[string]string) { env[kubeflowServer] = "http://localhost" },
			[]string{`KUBEFLOW_TRAINER_SERVER_URL is "http://localhost", want an address of https`}, false},
		{"a file without a certificate", func(_ *trainer, env map[string]string) { env[kubeflowCA] = env[kubeflowToken] },
			[]string{"holds no certificate"}, false},
		{"no server", func(_ *trainer, env map[string]string) { env[kubeflowServer] = "" }, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newTrainer(t)
			s.Config.ErrorLog = log.New(io.Discard, "", 0)
			env := s.pod(t)
			c.spoil(s, env)
			var mu sync.Mutex
			var said []string
			k := NewKubeflow(func(key string) string { return env[key] }, func(text string) {
				mu.Lock()
				defer mu.Unlock()
				said = append(said, text)
			})
			steps := 0
			e := k.Join(train.Events{Step: func(train.StepMetrics) { steps++ }})
			e.Step(train.StepMetrics{Step: 1})
			for end := time.Now().Add(time.Second); k != nil && time.Now().Before(end); {
				mu.Lock()
				n := len(said)
				mu.Unlock()
				if n > 0 {
					break
				}
				time.Sleep(time.Millisecond)
			}
			k.Close(true)
			if len(said) != len(c.want) {
				t.Fatalf("said %q, want %q", said, c.want)
			}
			for i, want := range c.want {
				if !strings.Contains(said[i], want) {
					t.Errorf("said %q, want %q", said[i], want)
				}
			}
			if steps != 1 || (s.reports() > 0) != c.posts {
				t.Errorf("%d steps, %d reports", steps, s.reports())
			}
		})
	}
}
