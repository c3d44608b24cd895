// The kernels in C. Each is written once, in native_impl.h, and compiled for
// several instruction sets; lw_select picks one table at run time.
#pragma once
#include <stdint.h>

#define LW_CHUNK 128 // keys of a text that attend_cached takes at once
#define LW_BLOCK 16	 // tokens whose keys lie side by side

#define LW_DELTA_ROWS 64 // rows that the gated delta rule takes at once

// What attend_cached makes of a cache: see times.
enum { FLOATS, HALVES, PAIRS };

// Keys and values of one text, float32 or bf16, with room for so many tokens, of which
// those from first on are seen: see Cache.
struct lw_cached {
	void *keys, *values;
	int64_t tokens, room, first;
};

// AdamW with moments in a byte each: how many share a scale, the bits of the least and of the
// largest scale, and the numbers of a step. See adamw8.go.
#define LW_GROUP 32
#define LW_LEAST_SCALE 0x26800000 // 2^-50
#define LW_MOST_SCALE 0x5f000000  // 2^63
struct lw_adamw8 {
	float keep, size, new1, b2, new2, eps, scale, root;
	uint32_t seed;
};

// F(name, parameters, arguments). Tensors are row-major; see kernels.go for
// shapes and meanings.
#define LW_KERNELS(F)                                                                                                                      \
	F(add, (float *d, const float *a, const float *b, int64_t n), (d, a, b, n))                                                            \
	F(scale, (float *d, const float *a, float factor, int64_t n), (d, a, factor, n))                                                       \
	F(zero, (float *d, int64_t n), (d, n))                                                                                                 \
	F(copy, (float *d, const float *a, int64_t n), (d, a, n))                                                                              \
	F(add_row, (float *d, const float *a, const float *b, int64_t rows, int64_t cols), (d, a, b, rows, cols))                              \
	F(sum_rows, (float *d, const float *a, int64_t rows, int64_t cols, int add), (d, a, rows, cols, add))                                  \
	F(sum_squares, (double *out, const float *a, int64_t n), (out, a, n))                                                                  \
	F(to_bf16, (uint16_t *d, const float *a, int64_t n), (d, a, n))                                                                        \
	F(from_bf16, (float *d, const uint16_t *a, int64_t n), (d, a, n))                                                                      \
	F(embedding, (float *d, const float *table, const int32_t *ids, int64_t rows, int64_t cols), (d, table, ids, rows, cols))              \
	F(embedding_grad, (float *d, const int32_t *ids, const float *g, int64_t rows, int64_t cols), (d, ids, g, rows, cols))                 \
	F(center, (float *y, const float *x, int64_t rows, int64_t cols), (y, x, rows, cols))                                                  \
	F(rms_norm, (float *y, const float *x, const float *w, int64_t rows, int64_t cols, float eps), (y, x, w, rows, cols, eps))             \
	F(rms_norm_grad,                                                                                                                       \
	  (float *dx, const float *x, const float *w, const float *dy, int64_t rows, int64_t cols, float eps, int add),                        \
	  (dx, x, w, dy, rows, cols, eps, add))                                                                                                \
	F(rms_norm_grad_weight,                                                                                                                \
	  (float *dw, const float *x, const float *dy, int64_t rows, int64_t cols, float eps, int add), (dw, x, dy, rows, cols, eps, add))     \
	F(head_norm,                                                                                                                           \
	  (float *y, const float *x, const float *w, int64_t rows, int64_t nq, int64_t dq, int64_t nk, int64_t dk, int64_t rest, float eps),   \
	  (y, x, w, rows, nq, dq, nk, dk, rest, eps))                                                                                          \
	F(head_norm_grad,                                                                                                                      \
	  (float *dx, const float *x, const float *w, const float *dy, int64_t rows, int64_t nq, int64_t dq, int64_t nk, int64_t dk,           \
	   int64_t rest, float eps),                                                                                                           \
	  (dx, x, w, dy, rows, nq, dq, nk, dk, rest, eps))                                                                                     \
	F(head_norm_grad_weight,                                                                                                               \
	  (float *dw, const float *x, const float *dy, int64_t rows, int64_t nq, int64_t dq, int64_t nk, int64_t dk, int64_t rest, float eps,  \
	   int add),                                                                                                                           \
	  (dw, x, dy, rows, nq, dq, nk, dk, rest, eps, add))                                                                                   \
	F(rotate,                                                                                                                              \
	  (float *x, int64_t ld, int64_t rows, const int32_t *positions, int64_t heads, int64_t dim, const float *cosines, const float *sines, \
	   int64_t half, int interleaved, int inverse),                                                                                        \
	  (x, ld, rows, positions, heads, dim, cosines, sines, half, interleaved, inverse))                                                    \
	F(gated, (float *y, const float *gu, int64_t rows, int64_t f, int gelu), (y, gu, rows, f, gelu))                                       \
	F(gated_grad,                                                                                                                          \
	  (float *dgu, const float *gu, const float *dy, int64_t rows, int64_t f, int gelu), (dgu, gu, dy, rows, f, gelu))                     \
	F(cross_entropy,                                                                                                                       \
	  (float *logits, int64_t rows, int64_t v, const int32_t *targets, const float *weights, double *nll, int grad),                       \
	  (logits, rows, v, targets, weights, nll, grad))                                                                                      \
	F(adamw,                                                                                                                               \
	  (float *p, float *g, float *m, float *v, uint16_t *half, int64_t n, double rate, double beta1, double beta2, double eps,             \
	   double decay, double scale, int64_t step),                                                                                          \
	  (p, g, m, v, half, n, rate, beta1, beta2, eps, decay, scale, step))                                                                  \
	F(conv,                                                                                                                                \
	  (float *y, const float *x, const float *w, const int32_t *starts, int64_t rows, int64_t dim, int64_t taps, int gated),               \
	  (y, x, w, starts, rows, dim, taps, gated))                                                                                           \
	F(conv_slope,                                                                                                                          \
	  (float *ds, float *dx, const float *x, const float *w, const float *dy, const int32_t *starts, int64_t rows, int64_t dim,            \
	   int64_t taps, int gated),                                                                                                           \
	  (ds, dx, x, w, dy, starts, rows, dim, taps, gated))                                                                                  \
	F(conv_grad,                                                                                                                           \
	  (float *dx, const float *x, const float *w, const float *ds, const int32_t *starts, int64_t rows, int64_t dim, int64_t taps,         \
	   int gated),                                                                                                                         \
	  (dx, x, w, ds, starts, rows, dim, taps, gated))                                                                                      \
	F(conv_grad_weight,                                                                                                                    \
	  (float *dw, const float *x, const float *ds, const int32_t *starts, int64_t rows, int64_t dim, int64_t taps, int gated, int add),    \
	  (dw, x, ds, starts, rows, dim, taps, gated, add))                                                                                    \
	F(split_heads, (float *qkv, float *x, int64_t rows, int64_t hq, int64_t hkv, int64_t dim, int back, int add),                          \
	  (qkv, x, rows, hq, hkv, dim, back, add))                                                                                             \
	F(gate_heads, (float *y, const float *a, const float *x, int64_t rows, int64_t hq, int64_t hkv, int64_t dim),                          \
	  (y, a, x, rows, hq, hkv, dim))                                                                                                       \
	F(gate_heads_grad,                                                                                                                     \
	  (float *dx, const float *a, const float *x, const float *dy, int64_t rows, int64_t hq, int64_t hkv, int64_t dim, int add),           \
	  (dx, a, x, dy, rows, hq, hkv, dim, add))                                                                                             \
	F(delta_rule,                                                                                                                          \
	  (float *out, float *state, const float *qkv, const float *gates, const float *a_log, const float *dt_bias, const float *norm,        \
	   const int32_t *starts, int64_t rows, int64_t hk, int64_t hv, int64_t dk, int64_t dv, float eps, float *scratch, int64_t each),      \
	  (out, state, qkv, gates, a_log, dt_bias, norm, starts, rows, hk, hv, dk, dv, eps, scratch, each))                                    \
	F(delta_rule_grad,                                                                                                                     \
	  (float *dqkv, float *dgates, float *da_log, float *ddt_bias, float *dnorm, const float *qkv, const float *gates, const float *a_log, \
	   const float *dt_bias, const float *norm, const float *dout, const int32_t *starts, int64_t rows, int64_t hk, int64_t hv,            \
	   int64_t dk, int64_t dv, float eps, float *scratch, int64_t each),                                                                   \
	  (dqkv, dgates, da_log, ddt_bias, dnorm, qkv, gates, a_log, dt_bias, norm, dout, starts, rows, hk, hv, dk, dv, eps, scratch, each))   \
	F(delta_step,                                                                                                                          \
	  (float *out, float *const *states, const float *qkv, const float *gates, const float *a_log, const float *dt_bias,                   \
	   const float *norm, int64_t rows, int64_t hk, int64_t hv, int64_t dk, int64_t dv, float eps),                                        \
	  (out, states, qkv, gates, a_log, dt_bias, norm, rows, hk, hv, dk, dv, eps))                                                          \
	F(adamw8,                                                                                                                              \
	  (float *p, uint16_t *half, int8_t *low, float *g, int8_t *mean, uint8_t *square, uint16_t *scales, int64_t n, struct lw_adamw8 k),    \
	  (p, half, low, g, mean, square, scales, n, k))                                                                                       \
	F(from_float24, (float *d, const uint16_t *half, const int8_t *low, int64_t n), (d, half, low, n))                                     \
	F(attention,                                                                                                                           \
	  (float *out, float *lse, const float *qkv, const int32_t *starts, const int32_t *hidden, int64_t t, int64_t hq, int64_t hkv, int64_t dim, float scale,      \
	   float *scratch),                                                                                                                    \
	  (out, lse, qkv, starts, hidden, t, hq, hkv, dim, scale, scratch))                                                                            \
	F(attention_grad,                                                                                                                      \
	  (float *dqkv, const float *qkv, const float *out, const float *lse, const float *dout, const int32_t *starts, const int32_t *hidden, int64_t t,             \
	   int64_t hq, int64_t hkv, int64_t dim, float scale, float *scratch),                                                                 \
	  (dqkv, qkv, out, lse, dout, starts, hidden, t, hq, hkv, dim, scale, scratch))                                                                \
	F(attention_bf16,                                                                                                                      \
	  (float *out, float *lse, const float *qkv, const int32_t *starts, const int32_t *hidden, int64_t t, int64_t hq, int64_t hkv, int64_t dim, float scale,      \
	   float *scratch),                                                                                                                    \
	  (out, lse, qkv, starts, hidden, t, hq, hkv, dim, scale, scratch))                                                                            \
	F(attention_grad_bf16,                                                                                                                 \
	  (float *dqkv, const float *qkv, const float *out, const float *lse, const float *dout, const int32_t *starts, const int32_t *hidden, int64_t t,             \
	   int64_t hq, int64_t hkv, int64_t dim, float scale, float *scratch),                                                                 \
	  (dqkv, qkv, out, lse, dout, starts, hidden, t, hq, hkv, dim, scale, scratch))                                                                \
	F(attend_cached,                                                                                                                       \
	  (float *out, const float *qkv, int64_t ldq, const struct lw_cached *texts, int64_t count, int64_t longest, int format, int64_t hq,   \
	   int64_t hkv, int64_t dim, float scale, float *scratch),                                                                             \
	  (out, qkv, ldq, texts, count, longest, format, hq, hkv, dim, scale, scratch))                                                        \
	F(highest, (int32_t *at, const float *x, int64_t rows, int64_t cols), (at, x, rows, cols))                                             \
	F(cache_put, (struct lw_cached text, const float *kv, int64_t ldkv, int64_t rows, int64_t heads, int64_t dim, int half),               \
	  (text, kv, ldkv, rows, heads, dim, half))                                                                                            \
	F(linear_few,                                                                                                                          \
	  (float *y, const float *x, const float *w, const uint16_t *half, int64_t rows, int64_t n, int64_t k, float *scratch),                \
	  (y, x, w, half, rows, n, k, scratch))                                                                                                \
	F(linear_few_bf16,                                                                                                                     \
	  (float *y, const float *x, const uint16_t *w, int64_t rows, int64_t n, int64_t k, float *scratch), (y, x, w, rows, n, k, scratch))   \
	F(gemm,                                                                                                                                \
	  (int ta, int tb, int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b, int64_t ldb, float beta, float *c,    \
	   int64_t ldc, float *scratch),                                                                                                       \
	  (ta, tb, m, n, k, a, lda, b, ldb, beta, c, ldc, scratch))

#define LW_FIELD(name, params, args) void(*name) params;
struct lw_kernels {
	LW_KERNELS(LW_FIELD)
};
#undef LW_FIELD

extern const struct lw_kernels lw_base, lw_avx2, lw_avx512;

#define LW_DECLARE(name, params, args) void lw_##name params;
LW_KERNELS(LW_DECLARE)
#undef LW_DECLARE

// lw_team is the number of threads of every kernel, whatever OpenMP's
// environment says; lw_threads sets it. lw_join tells it to the OpenMP of the
// calling thread. lw_leave ends the workers of a thread that has not called
// lw_home: while there are more of them than processors, OpenMP puts them to
// sleep between any two kernels, which costs more than a small kernel.
extern int lw_team;
void lw_home(void);
void lw_join(void);
void lw_leave(void);

// lw_best returns the highest level that the processor has: 0 base, 1 AVX2
// with FMA, 2 AVX-512. lw_select uses a level.
int lw_best(void);
void lw_select(int level);
int lw_has_bf16(void);		// AVX-512 BF16
int lw_has_fast_bf16(void); // its products are faster than those of float32
void lw_threads(int n);
