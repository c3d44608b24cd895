package serve

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lwtrain/chat"
	"lwtrain/internal/llm"
	"lwtrain/model"
	"lwtrain/tokenizer"
)

// BenchmarkServe sets 16 clients that stream answers of 256 tokens against what the decoder does with 16 prompts, for
// the shape of SmolLM2-135M in bf16: they take turns, so that other work on the machine meets both. Time is that of the
// processors, the clients' own among it, and the clock's.
func BenchmarkServe(b *testing.B) {
	const clients, tokens = 16, 256
	c, err := model.Shape("smollm2-135m")
	if err != nil {
		b.Fatal(err)
	}
	m := model.New(c, 1)
	defer m.Free()
	m.UseHalf()
	tok := tokenizer.Bytes()
	template, err := chat.Open(tok, "chatml")
	if err != nil {
		b.Fatal(err)
	}
	decoder := &llm.Decoder{Model: m, Tokenizer: tok, Template: template, Batch: clients}
	var requests []llm.Request
	for i := range clients {
		requests = append(requests, llm.Request{Messages: []chat.Message{{Role: "user", Content: fmt.Sprint("Write a story, number ",
			i)}}, MaxTokens: tokens,
			Sampling: model.Sampling{Temperature: 1, Seed: uint64(i)}})
	}
	var served, decoded [2]float64 // seconds of processors and of the clock
	b.ResetTimer()
	for range b.N {
		measure(&decoded, func() {
			if err := llm.Answer(b.Context(), decoder, requests, func(int, llm.Reply) error { return nil }); err != nil {
				b.Fatal(err)
			}
		})
		measure(&served, func() { serveAll(b, New(m, tok, template, Options{Name: "m", Batch: clients, Context: 1024}), tokens) })
	}
	b.ReportMetric(decoded[0]/served[0], "of-decoder-by-processors")
	b.ReportMetric(decoded[1]/served[1], "of-decoder-by-clock")
	b.ReportMetric(float64(b.N*clients*tokens)/served[1], "tokens/s")
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		b.Logf("load %s", strings.TrimSpace(string(load)))
	}
}

// measure adds the seconds that f takes.
func measure(to *[2]float64, f func()) {
	processors := func() float64 {
		var u syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
		return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
	}
	before, began := processors(), time.Now()
	f()
	to[0] += processors() - before
	to[1] += time.Since(began).Seconds()
}

// serveAll serves 16 clients until all have their answers.
func serveAll(b *testing.B, s *Server, tokens int) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	ended := make(chan error)
	go func() { ended <- s.Serve(ctx, l) }()
	var all sync.WaitGroup
	for i := range s.Batch {
		all.Go(func() {
			res, err := http.Post("http://"+l.Addr().String()+"/v1/chat/completions", "application/json", strings.NewReader(fmt.Sprintf(
				`{"messages": [{"role": "user", "content": "Write a story, number %d"}], "max_tokens": %d, "seed": %d, "stream": true}`,
				i, tokens, i)))
			if err != nil {
				b.Error(err)
				return
			}
			raw, err := io.ReadAll(res.Body)
			res.Body.Close()
			if err != nil || !strings.HasSuffix(string(raw), "data: [DONE]\n\n") {
				b.Errorf("%v, %q", err, raw)
			}
		})
	}
	all.Wait()
	stop()
	if err := <-ended; err != nil {
		b.Error(err)
	}
}
