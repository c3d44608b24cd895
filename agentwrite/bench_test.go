package agentwrite

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lwtrain/internal/llm"
	"lwtrain/internal/llm/llmtest"
)

// BenchmarkWriting writes 64 texts of 10 paragraphs one after the other with a server that takes 50 ms for each
// call and 16 of them at once, and with one that answers 429 to more than 8. It tells the time against that of the server
// if it is never idle.
func BenchmarkWriting(b *testing.B) {
	const items, paragraphs, call, slots = 64, 10, 50 * time.Millisecond, 16
	for _, most := range []int64{slots, 8} {
		b.Run(fmt.Sprintf("%d at once", most), func(b *testing.B) {
			for b.Loop() {
				s := llmtest.New()
				var now, refused atomic.Int64
				s.Say = func(r llmtest.Request) llmtest.Said {
					defer now.Add(-1)
					if now.Add(1) > most {
						refused.Add(1)
						return llmtest.Said{Status: 429, Text: "too many"}
					}
					time.Sleep(call)
					text := r.Messages[0].Content
					said := llmtest.Said{Text: "A paragraph.", Finish: "stop", Tokens: 3, Prompt: 1000}
					if strings.HasPrefix(text, "I need you") {
						said.Text = ""
						for k := range paragraphs {
							said.Text += fmt.Sprintf("Paragraph %d - Main Point: x - Word Count: 300 words\n", k+1)
						}
					}
					return said
				}
				j := &Job{Options: Default(), Model: "m"}
				for i := range items {
					j.Prompts = append(j.Prompts, instruction(fmt.Sprintf("Write 3000 words on %s.", wordsFrom(fmt.Sprint(i), 9))))
				}
				var err error
				if j.Calls, err = llm.OpenCalls(filepath.Join(b.TempDir(), CallsFile)); err != nil {
					b.Fatal(err)
				}
				client := llm.NewClient(llm.Server{URL: s.URL, Model: "m", Timeout: 60, Retries: 6, Concurrency: slots})
				began := time.Now()
				if _, err := j.Do(b.Context(), client); err != nil {
					b.Fatal(err)
				}
				ideal := time.Duration(items*(paragraphs+1)/int(most)) * call
				b.ReportMetric(float64(time.Since(began))/float64(ideal), "of-ideal")
				b.ReportMetric(float64(refused.Load()), "refused")
				s.Close()
				j.Calls.Close()
			}
		})
	}
}
