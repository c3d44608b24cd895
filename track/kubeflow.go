package track

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"lwtrain/engine"
	"lwtrain/train"
)

// The environment of a pod whose TrainJob wants to know how far it is (Kubeflow Trainer from 2.2 on,
// docs/user-guides/trainjob-progress): the server, the file of its certificate and that of
// the token, which changes.
const (
	kubeflowServer = "KUBEFLOW_TRAINER_SERVER_URL"
	kubeflowCA     = "KUBEFLOW_TRAINER_SERVER_CA_CERT"
	kubeflowToken  = "KUBEFLOW_TRAINER_SERVER_TOKEN"
)

// Kubeflow tells a run's progress to the server that the environment names, at most once in
// a pause. It never waits for the server but at the end, and what fails is counted: the first
// failure is said, and how many there were.
type Kubeflow struct {
	server, token string
	client        *http.Client
	pause         time.Duration
	warn          func(text string)

	mu     sync.Mutex // of what follows: the run writes, the sender reads
	now    status
	began  time.Time
	from   int // the step that the run went on from
	total  int // steps
	step   int
	news   chan struct{} // something is to be told
	stop   chan struct{}
	done   chan struct{} // the sender has ended
	sent   int
	failed int
}

// status is what the server is told.
type status struct {
	LastUpdatedTime           string   `json:"lastUpdatedTime"`
	ProgressPercentage        int      `json:"progressPercentage"` // 100: the run is at its end
	EstimatedRemainingSeconds *int     `json:"estimatedRemainingSeconds,omitempty"`
	Metrics                   []metric `json:"metrics"`
}

type metric struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// kubeflowPause is the least time between two reports, and answerWithin how long one may take.
const kubeflowPause, answerWithin = 5 * time.Second, 10 * time.Second

// NewKubeflow reads an environment; nil: it names no server. Call Close at the end.
func NewKubeflow(env func(string) string, warn func(text string)) *Kubeflow {
	server := env(kubeflowServer)
	if server == "" {
		return nil
	}
	k := &Kubeflow{
		server: server, token: env(kubeflowToken), pause: kubeflowPause, warn: warn,
		news: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}), began: time.Now(),
	}
	if err := k.connect(env(kubeflowCA)); err != nil {
		warn("progress is not told to Kubeflow: " + err.Error())
		return nil
	}
	go k.send()
	return k
}

// connect makes the client: the server's address is one of HTTPS, as its token asks for.
func (k *Kubeflow) connect(ca string) error {
	u, err := url.Parse(k.server)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("%s is %.200q, want an address of https", kubeflowServer, k.server)
	}
	how := &tls.Config{}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return fmt.Errorf("%s: %w", kubeflowCA, err)
		}
		how.RootCAs = x509.NewCertPool()
		if !how.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("%s: %s holds no certificate", kubeflowCA, ca)
		}
	}
	k.client = &http.Client{
		Timeout: answerWithin, Transport: &http.Transport{TLSClientConfig: how, Proxy: http.ProxyFromEnvironment},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the token stays here
	}
	return nil
}

// Join adds what is told to events; k may be nil.
func (k *Kubeflow) Join(e train.Events) train.Events {
	if k == nil {
		return e
	}
	planned, training, step, eval := e.Planned, e.Training, e.Step, e.Eval
	e.Planned = func(p *train.Plan, n engine.Needs) {
		k.tell(func() { k.total = p.Schedule.Total })
		if planned != nil {
			planned(p, n)
		}
	}
	e.Training = func(at int) {
		k.tell(func() { k.step, k.from, k.began = at, at, time.Now() })
		if training != nil {
			training(at)
		}
	}
	e.Step = func(m train.StepMetrics) {
		k.tell(func() {
			k.step = m.Step
			k.measured("loss", m.Loss)
			k.measured("learning_rate", m.LearningRate)
			k.measured("grad_norm", m.GradNorm)
			k.measured("tokens_per_second", m.TokensPerSecond)
			k.measured("epoch", m.Epoch)
		})
		if step != nil {
			step(m)
		}
	}
	e.Eval = func(m train.EvalMetrics) {
		k.tell(func() { k.measured("eval_loss", m.Loss) })
		if eval != nil {
			eval(m)
		}
	}
	return e
}

// tell changes what is known, and wakes the sender.
func (k *Kubeflow) tell(change func()) {
	k.mu.Lock()
	change()
	k.mu.Unlock()
	select {
	case k.news <- struct{}{}:
	default:
	}
}

// measured sets a metric. The caller holds the lock.
func (k *Kubeflow) measured(name string, v float64) {
	value := strconv.FormatFloat(v, 'g', 6, 64)
	for i, m := range k.now.Metrics {
		if m.Name == name {
			k.now.Metrics[i].Value = value
			return
		}
	}
	k.now.Metrics = append(k.now.Metrics, metric{name, value})
}

// send reports what is new, once in a pause.
func (k *Kubeflow) send() {
	defer close(k.done)
	for {
		select {
		case <-k.stop:
			return
		case <-k.news:
		}
		k.report(k.status(false))
		select {
		case <-k.stop:
			return
		case <-time.After(k.pause):
		}
	}
}

// status is what is told now.
func (k *Kubeflow) status(finished bool) status {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.now
	s.Metrics = append([]metric{}, k.now.Metrics...)
	s.LastUpdatedTime = time.Now().UTC().Format(time.RFC3339)
	left := -1
	if k.total > 0 {
		s.ProgressPercentage = min(99, 100*k.step/k.total)
		if n := k.step - k.from; n > 0 {
			left = int(time.Since(k.began).Seconds() / float64(n) * float64(k.total-k.step))
		}
	}
	if finished {
		s.ProgressPercentage, left = 100, 0
	}
	if left >= 0 {
		s.EstimatedRemainingSeconds = &left
	}
	return s
}

// report tells the server once. What fails is counted, and the first of it said.
func (k *Kubeflow) report(s status) {
	k.sent++
	if err := k.post(s); err != nil {
		if k.failed++; k.failed == 1 {
			k.warn("progress is not told to Kubeflow, and the run goes on: " + err.Error())
		}
	}
}

func (k *Kubeflow) post(s status) error {
	raw, err := json.Marshal(map[string]status{"trainerStatus": s})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, k.server, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if k.token != "" {
		token, err := os.ReadFile(k.token) // each time: it is replaced while the run goes on
		if err != nil {
			return fmt.Errorf("%s: %w", kubeflowToken, err)
		}
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	}
	reply, err := k.client.Do(req)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(reply.Body, 1<<16)); err != nil {
		return err
	}
	if reply.StatusCode/100 != 2 {
		return errors.New("the server says " + reply.Status)
	}
	return nil
}

// Close tells how the run ended, and says how many reports failed. k may be nil.
func (k *Kubeflow) Close(finished bool) {
	if k == nil {
		return
	}
	close(k.stop)
	<-k.done
	k.report(k.status(finished))
	if k.failed > 1 {
		k.warn(fmt.Sprintf("%d of %d reports of progress to Kubeflow failed", k.failed, k.sent))
	}
	k.client.CloseIdleConnections()
}
