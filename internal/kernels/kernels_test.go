package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"testing"
)

// eachVariant runs a test with every implementation that this machine has, on
// one thread and on two, on the native thread as training does.
func eachVariant(t *testing.T, f func(t *testing.T)) {
	for name, use := range variants() {
		for _, threads := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s, %d threads", name, threads), func(t *testing.T) {
				before := inUse
				SetThreads(threads)
				defer func() { SetThreads(before.Threads); inUse = before }()
				use()
				Run(func() { f(t) })
			})
		}
	}
	if use, ok := variants()["library"]; ok { // leave the best one chosen
		use()
	}
}

func normals(n int, seed uint64) []float32 {
	r := rand.New(rand.NewPCG(seed, 0))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// same wants got within tolerance of want, relative to the largest value or to
// 1, the size of the inputs.
func same(t *testing.T, what string, got, want []float32, tolerance float64) {
	t.Helper()
	scale := 1.0
	for _, v := range want {
		scale = max(scale, math.Abs(float64(v)))
	}
	for i := range want {
		if d := math.Abs(float64(got[i]) - float64(want[i])); !(d <= tolerance*scale) {
			t.Errorf("%s: value %d is %g, want %g (largest %g)", what, i, got[i], want[i], scale)
			return
		}
	}
}

func TestTheSameCallGivesTheSameBytes(t *testing.T) {
	const n, hq, hkv, dim = 300, 3, 1, 64
	qkv, dout := normals(n*(hq+2*hkv)*dim, 1), normals(n*hq*dim, 2)
	starts := packs["documents of 37"](n)
	once := func(bf16 bool) []float32 {
		out, lse, dqkv := make([]float32, n*hq*dim), make([]float32, hq*n), make([]float32, len(qkv))
		c := make([]float32, 300*400)
		dw := make([]float32, 576)
		Run(func() {
			Attention(out, lse, qkv, starts, nil, n, hq, hkv, dim, 0.125, bf16)
			AttentionGrad(dqkv, qkv, out, lse, dout, starts, nil, n, hq, hkv, dim, 0.125, bf16)
			Gemm(false, true, 300, 400, 150, normals(300*150, 3), 150, normals(400*150, 4), 150, 0, c, 400)
			RMSNormGradWeight(dw, normals(100*576, 5), normals(100*576, 6), 100, 576, 1e-5, false)
		})
		return slices.Concat(out, lse, dqkv, c, dw)
	}
	for _, bf16 := range []bool{false, true} {
		first := once(bf16)
		for range 5 {
			if !slices.Equal(first, once(bf16)) {
				t.Fatalf("the same call gave other bytes (bf16 %t)", bf16)
			}
		}
	}
}

func TestMistakesOfTheCallerAreNamed(t *testing.T) {
	for _, c := range []struct {
		name, want string
		f          func()
	}{
		{"a short slice", "kernels: C has 3 values, want 4", func() {
			Gemm(false, false, 2, 2, 1, make([]float32, 2), 1, make([]float32, 2), 2, 0, make([]float32, 3), 2)
		}},
		{"an id outside", "kernels: id 5 at position 1, want 0 to 4", func() {
			Embedding(make([]float32, 4), make([]float32, 10), []int32{0, 5}, 2)
		}},
		{"a target outside", "kernels: target 3 of row 0, want below 3", func() {
			CrossEntropy(make([]float32, 3), 1, 3, []int32{3}, []float32{1}, make([]float64, 1), false)
		}},
		{"starts that decrease", "kernels: starts[2] is 0, want 1 to 2", func() {
			Attention(make([]float32, 48), make([]float32, 3), make([]float32, 144), []int32{0, 1, 0}, nil, 3, 1, 1, 16, 1, false)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer func() {
				if got := recover(); got != c.want {
					t.Errorf("got %v, want %s", got, c.want)
				}
			}()
			c.f()
		})
	}
}

// TestAnEnvironmentThatLimitsThreadsChangesNothing runs the comparison with the
// Go kernels under settings that schedulers make: fewer or more threads than the
// kernels ask for.
func TestAnEnvironmentThatLimitsThreadsChangesNothing(t *testing.T) {
	if os.Getenv("LWTRAIN_TEST_CHILD") != "" {
		t.Skip("this is the child")
	}
	if testing.Short() {
		t.Skip("runs the kernels' tests again")
	}
	for _, set := range []string{"OMP_THREAD_LIMIT=1", "OMP_NUM_THREADS=7"} {
		cmd := exec.Command(os.Args[0], "-test.run", "Attention|SameBytes")
		cmd.Env = append(os.Environ(), set, "LWTRAIN_TEST_CHILD=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("with %s: %v\n%s", set, err, out)
		}
	}
}
