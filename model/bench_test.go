package model

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"lwtrain/internal/graph"
	"lwtrain/internal/kernels"
)

// BenchmarkPass is forward and backward of SmolLM2-135M on one pack in
// documents of up to 2,048 tokens.
func BenchmarkPass(b *testing.B) {
	c, err := Shape("smollm2-135m")
	if err != nil {
		b.Fatal(err)
	}
	for _, precision := range []graph.Precision{graph.Float32, graph.BFloat16} {
		if precision == graph.BFloat16 && !kernels.Describe().NativeBF16 {
			continue
		}
		for _, tokens := range []int{2048, 8192} {
			b.Run(fmt.Sprintf("precision=%v/tokens=%d", precision, tokens), func(b *testing.B) {
				m := New(c, 1)
				defer m.Free()
				m.UseGradients()
				if precision == graph.BFloat16 {
					m.UseHalf()
				}
				workspace := &graph.Workspace{}
				defer workspace.Free()
				g := m.Graph(tokens, precision, workspace)
				recompute := 0
				if tokens > 2048 {
					recompute = 3 * c.Layers
				}
				prog, err := g.Compile(graph.Options{Train: true, Recompute: recompute})
				if err != nil {
					b.Fatal(err)
				}
				in := g.Inputs()
				for i := range in.IDs {
					in.IDs[i], in.Targets[i], in.Weights[i] = int32(i*7919%c.Vocab), int32((i+1)*7919%c.Vocab), 1
					in.Starts[i], in.Positions[i] = int32(i/2048*2048), int32(i%2048)
				}
				prog.Profile = map[string]time.Duration{}
				b.ResetTimer()
				for range b.N {
					if err := prog.RunAll(); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.N*tokens)/b.Elapsed().Seconds(), "tokens/s")
				b.ReportMetric(float64(prog.Bytes())/(1<<20), "arena-MiB")
				var total time.Duration
				for _, d := range prog.Profile {
					total += d
				}
				for _, k := range slices.SortedFunc(maps.Keys(prog.Profile),
					func(x, y string) int { return int(prog.Profile[y] - prog.Profile[x]) }) {
					b.Logf("%-20s %5.1f %%", k, 100*prog.Profile[k].Seconds()/total.Seconds())
				}
			})
		}
	}
}

// BenchmarkDecode writes 256 tokens with bf16 weights, for one prompt and for 16
// together.
func BenchmarkDecode(b *testing.B) {
	c, err := Shape("smollm2-135m")
	if err != nil {
		b.Fatal(err)
	}
	m := New(c, 1)
	defer m.Free()
	m.UseHalf()
	for _, prompts := range []int{1, 16} {
		b.Run(fmt.Sprintf("prompts=%d", prompts), func(b *testing.B) {
			const tokens = 256
			var requests []Request
			for range prompts {
				requests = append(requests, Request{Prompt: []int32{1, 2, 3, 4}, MaxNewTokens: tokens})
			}
			b.ResetTimer()
			for range b.N {
				if _, err := NewGenerator(m).Generate(b.Context(), requests, prompts); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*prompts*tokens)/b.Elapsed().Seconds(), "tokens/s")
		})
	}
}
