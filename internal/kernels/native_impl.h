// The kernels, compiled once for each instruction set: the including file sets
// LW_TABLE (the name of the table), VL (floats in a vector) and NV (vectors side
// by side in the inner tile of a product, which 6 rows times NV must leave room
// for in the registers).
//
// Every partition of work is fixed by sizes and the number of threads, and sums
// are made in a fixed order, so results are the same bytes run after run.
#pragma GCC optimize("no-math-errno", "no-trapping-math") // cgo takes no such flags; sqrt and compares vectorise
#include "native.h"
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

typedef float vf __attribute__((vector_size(VL * 4), aligned(4), may_alias));
typedef int32_t vi __attribute__((vector_size(VL * 4), aligned(4), may_alias));

static inline vf splat(float x) { return x - (vf){}; }
static inline vf load(const float *p) { return *(const vf *)p; }
static inline void store(float *p, vf v) { *(vf *)p = v; }
// Lanes are reduced in halves: the order of the sum is fixed.
typedef float v4f __attribute__((vector_size(16)));
#define LOW4(v) __builtin_shufflevector(v, v, 0, 1, 2, 3)
#define HIGH4(v) __builtin_shufflevector(v, v, 4, 5, 6, 7)
#define LOW8(v) __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7)
#define HIGH8(v) __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15)
#define MAX(T, a, b)                                                                                                                       \
	({                                                                                                                                     \
		T x_ = (a), y_ = (b);                                                                                                              \
		__typeof__(x_ > y_) m_ = x_ > y_;                                                                                                  \
		(T)((m_ & (__typeof__(m_))x_) | (~m_ & (__typeof__(m_))y_));                                                                       \
	})
#if VL == 16
typedef float v8f __attribute__((vector_size(32)));
static inline v4f four_sum(vf v) {
	v8f h = LOW8(v) + HIGH8(v);
	return LOW4(h) + HIGH4(h);
}
static inline v4f four_max(vf v) {
	v8f h = MAX(v8f, LOW8(v), HIGH8(v));
	return MAX(v4f, LOW4(h), HIGH4(h));
}
#elif VL == 8
static inline v4f four_sum(vf v) { return LOW4(v) + HIGH4(v); }
static inline v4f four_max(vf v) { return MAX(v4f, LOW4(v), HIGH4(v)); }
#else
static inline v4f four_sum(vf v) { return v; }
static inline v4f four_max(vf v) { return v; }
#endif
static inline float hsum(vf v) {
	v4f f = four_sum(v);
	return (f[0] + f[2]) + (f[1] + f[3]);
}
static inline float hmax(vf v) {
	v4f f = four_max(v);
	float a = f[0] > f[2] ? f[0] : f[2], b = f[1] > f[3] ? f[1] : f[3];
	return a > b ? a : b;
}
#undef MAX
static inline vf pick(vi mask, vf a, vf b) { return (vf)((mask & (vi)a) | (~mask & (vi)b)); }
static inline vf vmax(vf a, vf b) { return pick(a > b, a, b); }

static inline float widen_one(uint16_t h) {
	uint32_t bits = (uint32_t)h << 16;
	float x;
	memcpy(&x, &bits, sizeof x);
	return x;
}

// vexp is e^x to 2 ulp (Cephes' expf); 0 below -87, so that what is masked out
// weighs exactly nothing. A NaN stays one.
static inline vf vexp(vf x) {
	vi in_range = ~(x < splat(-87.0f));
	x = pick(x > splat(88.0f), splat(88.0f), x);
	vf t = x * splat(1.44269504088896341f) + splat(12582912.0f);
	vf n = t - splat(12582912.0f);
	vf r = x - n * splat(0.693359375f);
	r = r - n * splat(-2.12194440e-4f);
	vf y = splat(1.9875691500e-4f);
	y = y * r + splat(1.3981999507e-3f);
	y = y * r + splat(8.3334519073e-3f);
	y = y * r + splat(4.1665795894e-2f);
	y = y * r + splat(1.6666665459e-1f);
	y = y * r + splat(5.0000001201e-1f);
	y = y * (r * r) + r + splat(1.0f);
	vi e = (((vi)t) - 0x4B400000 + 127) << 23;
	vf out = y * (vf)e;
	return (vf)((vi)out & in_range);
}

// share is the part of n items, in units, of the calling thread.
static inline void share(int64_t n, int64_t unit, int64_t *lo, int64_t *hi) {
	int64_t blocks = (n + unit - 1) / unit, threads = omp_get_num_threads(), i = omp_get_thread_num();
	*lo = blocks * i / threads * unit;
	*hi = blocks * (i + 1) / threads * unit;
	if (*hi > n) *hi = n;
	if (*lo > n) *lo = n;
}

// Below this many floats a second thread costs more than it saves.
#define SMALL 16384

// ---- element-wise ----

static void add(float *d, const float *a, const float *b, int64_t n) {
#pragma omp parallel if (n > SMALL)
	{
		int64_t lo, hi;
		share(n, 1024, &lo, &hi);
		for (int64_t i = lo; i < hi; i++) d[i] = a[i] + b[i];
	}
}

static void zero(float *d, int64_t n) {
#pragma omp parallel if (n > SMALL)
	{
		int64_t lo, hi;
		share(n, 1024, &lo, &hi);
		if (hi > lo) memset(d + lo, 0, (hi - lo) * sizeof *d);
	}
}

static void scale(float *d, const float *a, float factor, int64_t n) {
#pragma omp parallel if (n > SMALL)
	{
		int64_t lo, hi;
		share(n, 1024, &lo, &hi);
		for (int64_t i = lo; i < hi; i++) d[i] = a[i] * factor;
	}
}

static void copy(float *d, const float *a, int64_t n) {
#pragma omp parallel if (n > SMALL)
	{
		int64_t lo, hi;
		share(n, 1024, &lo, &hi);
		if (hi > lo) memcpy(d + lo, a + lo, (hi - lo) * sizeof *d);
	}
}

static void add_row(float *d, const float *a, const float *b, int64_t rows, int64_t cols) {
#pragma omp parallel for schedule(static) if (rows * cols > SMALL)
	for (int64_t r = 0; r < rows; r++)
		for (int64_t c = 0; c < cols; c++) d[r * cols + c] = a[r * cols + c] + b[c];
}

// CHUNKS is how many partial sums a sum over rows is made of, whatever the
// number of threads.
#define CHUNKS 16

// sum_chunks adds to d, or overwrites it with, the sum of CHUNKS partial rows.
static void sum_chunks(float *d, const float *partial, int64_t cols, int add) {
	for (int64_t c = 0; c < cols; c++) {
		double s = 0;
		for (int k = 0; k < CHUNKS; k++) s += partial[k * cols + c];
		d[c] = (float)(add ? d[c] + s : s);
	}
}

static void sum_rows(float *d, const float *a, int64_t rows, int64_t cols, int add) {
	float *partial = calloc(CHUNKS * cols, sizeof *partial);
#pragma omp parallel for schedule(static) if (rows * cols > SMALL)
	for (int k = 0; k < CHUNKS; k++)
		for (int64_t r = rows * k / CHUNKS; r < rows * (k + 1) / CHUNKS; r++)
			for (int64_t c = 0; c < cols; c++) partial[k * cols + c] += a[r * cols + c];
	sum_chunks(d, partial, cols, add);
	free(partial);
}

static void sum_squares(double *out, const float *a, int64_t n) {
	enum { parts = 256 };
	double partial[parts];
#pragma omp parallel for schedule(static) if (n > SMALL)
	for (int k = 0; k < parts; k++) {
		int64_t lo = n * k / parts, hi = n * (k + 1) / parts, i = lo;
		double acc[8] = {0};
		for (; i + 8 <= hi; i += 8)
			for (int j = 0; j < 8; j++) acc[j] += (double)a[i + j] * a[i + j];
		for (; i < hi; i++) acc[0] += (double)a[i] * a[i];
		partial[k] = ((acc[0] + acc[1]) + (acc[2] + acc[3])) + ((acc[4] + acc[5]) + (acc[6] + acc[7]));
	}
	*out = 0;
	for (int k = 0; k < parts; k++) *out += partial[k];
}

// bf16_of rounds to nearest even; a NaN stays one.
static inline uint16_t bf16_of(float x) {
	uint32_t u;
	memcpy(&u, &x, 4);
	uint32_t rounded = (u + 0x7fff + ((u >> 16) & 1)) >> 16;
	uint32_t nan = (u >> 16) | 0x40;
	return (uint16_t)((u & 0x7fffffff) > 0x7f800000 ? nan : rounded);
}

static void to_bf16(uint16_t *d, const float *a, int64_t n) {
#pragma omp parallel if (n > SMALL)
	{
		int64_t lo, hi;
		share(n, 1024, &lo, &hi);
		for (int64_t i = lo; i < hi; i++) d[i] = bf16_of(a[i]);
	}
}

static void from_bf16(float *d, const uint16_t *a, int64_t n) {
#pragma omp parallel if (n > SMALL)
	{
		int64_t lo, hi;
		share(n, 1024, &lo, &hi);
		for (int64_t i = lo; i < hi; i++) {
			uint32_t u = (uint32_t)a[i] << 16;
			memcpy(d + i, &u, 4);
		}
	}
}

// adamw also zeroes g, while it is in the cache.
static void adamw(float *restrict p, float *restrict g, float *restrict m, float *restrict v, uint16_t *restrict half, int64_t n,
				  double rate, double beta1, double beta2, double eps, double decay, double scale, int64_t step) {
	const float keep = (float)(1 - rate * decay), new1 = (float)(1 - beta1), b2 = (float)beta2, new2 = (float)(1 - beta2);
	const float size = (float)(rate / (1 - pow(beta1, (double)step))), e = (float)eps, s = (float)scale;
	const float root = (float)sqrt(1 - pow(beta2, (double)step));
#pragma omp parallel if (n > SMALL)
	{
		int64_t lo, hi;
		share(n, 1024, &lo, &hi);
		for (int64_t from = lo; from < hi; from += 1024) {
			const int64_t to = from + 1024 < hi ? from + 1024 : hi;
			for (int64_t i = from; i < to; i++) {
				float x = g[i] * s;
				float mean = m[i] + new1 * (x - m[i]);
				float square = v[i] * b2 + new2 * x * x;
				g[i] = 0;
				m[i] = mean;
				v[i] = square;
				p[i] = p[i] * keep - size * (mean / (sqrtf(square) / root + e));
			}
			if (half)
				for (int64_t i = from; i < to; i++) half[i] = bf16_of(p[i]);
		}
	}
}

// ---- embedding, norm, rotary, gates, cross-entropy ----

static void embedding(float *d, const float *table, const int32_t *ids, int64_t rows, int64_t cols) {
#pragma omp parallel for schedule(static) if (rows * cols > SMALL)
	for (int64_t r = 0; r < rows; r++) memcpy(d + r * cols, table + ids[r] * cols, cols * sizeof *d);
}

// Each thread owns some columns of the whole table, so that rows that occur
// twice are added in their order.
static void embedding_grad(float *d, const int32_t *ids, const float *g, int64_t rows, int64_t cols) {
#pragma omp parallel if (rows * cols > SMALL)
	{
		int64_t lo, hi;
		share(cols, 16, &lo, &hi);
		for (int64_t r = 0; r < rows; r++) {
			float *to = d + ids[r] * cols;
			const float *from = g + r * cols;
			for (int64_t c = lo; c < hi; c++) to[c] += from[c];
		}
	}
}

// dot of two rows in VL lanes.
static inline float dot(const float *a, const float *b, int64_t n) {
	vf s0 = {}, s1 = {};
	int64_t i = 0;
	for (; i + 2 * VL <= n; i += 2 * VL) {
		s0 += load(a + i) * load(b + i);
		s1 += load(a + i + VL) * load(b + i + VL);
	}
	float s = hsum(s0 + s1);
	for (; i < n; i++) s += a[i] * b[i];
	return s;
}

static inline float inverse_rms(const float *x, int64_t n, float eps) { return 1 / sqrtf(dot(x, x, n) / n + eps); }

// center is each row without its mean; y may be x.
static void center(float *y, const float *x, int64_t rows, int64_t cols) {
#pragma omp parallel for schedule(static) if (rows * cols > SMALL)
	for (int64_t r = 0; r < rows; r++) {
		const float *a = x + r * cols;
		float mean = 0;
		vf lanes = {};
		int64_t c = 0;
		for (; c + VL <= cols; c += VL) lanes += load(a + c);
		for (; c < cols; c++) mean += a[c];
		mean = (mean + hsum(lanes)) / cols;
		for (c = 0; c < cols; c++) y[r * cols + c] = a[c] - mean;
	}
}

static void rms_norm(float *y, const float *x, const float *w, int64_t rows, int64_t cols, float eps) {
#pragma omp parallel for schedule(static) if (rows * cols > SMALL)
	for (int64_t r = 0; r < rows; r++) {
		const float *a = x + r * cols;
		float s = inverse_rms(a, cols, eps);
		for (int64_t c = 0; c < cols; c++) y[r * cols + c] = a[c] * s * w[c];
	}
}

// norm_row_grad is the gradient of one row's norm; dx may be g.
static inline void norm_row_grad(float *dx, const float *a, const float *w, const float *g, int64_t cols, float eps, int add) {
	float s = inverse_rms(a, cols, eps), inner = 0;
	vf lanes = {};
	int64_t c = 0;
	for (; c + VL <= cols; c += VL) lanes += load(g + c) * load(w + c) * load(a + c);
	for (; c < cols; c++) inner += g[c] * w[c] * a[c];
	inner = (inner + hsum(lanes)) * s * s * s / cols;
	if (add)
		for (c = 0; c < cols; c++) dx[c] += g[c] * w[c] * s - a[c] * inner;
	else
		for (c = 0; c < cols; c++) dx[c] = g[c] * w[c] * s - a[c] * inner;
}

static void rms_norm_grad(float *dx, const float *x, const float *w, const float *dy, int64_t rows, int64_t cols, float eps, int add) {
#pragma omp parallel for schedule(static) if (rows * cols > SMALL)
	for (int64_t r = 0; r < rows; r++) norm_row_grad(dx + r * cols, x + r * cols, w, dy + r * cols, cols, eps, add);
}

static void rms_norm_grad_weight(float *dw, const float *x, const float *dy, int64_t rows, int64_t cols, float eps, int add) {
	float *partial = calloc(CHUNKS * cols, sizeof *partial);
#pragma omp parallel for schedule(static) if (rows * cols > SMALL)
	for (int k = 0; k < CHUNKS; k++)
		for (int64_t r = rows * k / CHUNKS; r < rows * (k + 1) / CHUNKS; r++) {
			const float *a = x + r * cols, *g = dy + r * cols;
			float s = inverse_rms(a, cols, eps), *to = partial + k * cols;
			for (int64_t c = 0; c < cols; c++) to[c] += g[c] * a[c] * s;
		}
	sum_chunks(dw, partial, cols, add);
	free(partial);
}

// ---- norms of groups of a query-key-value tensor: nq of dq values, nk of dk, and rest values that stay ----

#define GROUPS int64_t nq, int64_t dq, int64_t nk, int64_t dk, int64_t rest

// group is where group h of a row begins; its weights are behind w by later.
static inline int64_t group(int64_t h, int64_t nq, int64_t dq, int64_t dk, int64_t *dim, int64_t *later) {
	*dim = h < nq ? dq : dk, *later = h < nq ? 0 : dq;
	return h < nq ? h * dq : nq * dq + (h - nq) * dk;
}

static void head_norm(float *y, const float *x, const float *w, int64_t rows, GROUPS, float eps) {
	const int64_t normed = nq * dq + nk * dk, width = normed + rest;
#pragma omp parallel for schedule(static) if (rows * width > SMALL)
	for (int64_t r = 0; r < rows; r++) {
		for (int64_t h = 0; h < nq + nk; h++) {
			int64_t dim, later, at = r * width + group(h, nq, dq, dk, &dim, &later);
			const float *a = x + at, *wt = w + later;
			float *to = y + at, s = inverse_rms(a, dim, eps);
			for (int64_t c = 0; c < dim; c++) to[c] = a[c] * s * wt[c];
		}
		if (y != x) memcpy(y + r * width + normed, x + r * width + normed, rest * sizeof *y);
	}
}

static void head_norm_grad(float *dx, const float *x, const float *w, const float *dy, int64_t rows, GROUPS, float eps) {
	const int64_t normed = nq * dq + nk * dk, width = normed + rest;
#pragma omp parallel for schedule(static) if (rows * width > SMALL)
	for (int64_t r = 0; r < rows; r++) {
		for (int64_t h = 0; h < nq + nk; h++) {
			int64_t dim, later, at = r * width + group(h, nq, dq, dk, &dim, &later);
			norm_row_grad(dx + at, x + at, w + later, dy + at, dim, eps, 0);
		}
		if (dx != dy) memcpy(dx + r * width + normed, dy + r * width + normed, rest * sizeof *dx);
	}
}

static void head_norm_grad_weight(float *dw, const float *x, const float *dy, int64_t rows, GROUPS, float eps, int add) {
	const int64_t width = nq * dq + nk * dk + rest, weights = dq + dk;
	float *partial = calloc(CHUNKS * weights, sizeof *partial);
#pragma omp parallel for schedule(static) if (rows * width > SMALL)
	for (int k = 0; k < CHUNKS; k++)
		for (int64_t r = rows * k / CHUNKS; r < rows * (k + 1) / CHUNKS; r++)
			for (int64_t h = 0; h < nq + nk; h++) {
				int64_t dim, later, at = r * width + group(h, nq, dq, dk, &dim, &later);
				const float *a = x + at, *g = dy + at;
				float s = inverse_rms(a, dim, eps), *to = partial + k * weights + later;
				for (int64_t c = 0; c < dim; c++) to[c] += g[c] * a[c] * s;
			}
	sum_chunks(dw, partial, weights, add);
	free(partial);
}

static void rotate(float *x, int64_t ld, int64_t rows, const int32_t *positions, int64_t heads, int64_t dim, const float *cosines,
				   const float *sines, int64_t half, int interleaved, int inverse) {
	const float sign = inverse ? -1 : 1;
#pragma omp parallel for schedule(static) if (rows * ld > SMALL)
	for (int64_t t = 0; t < rows; t++) {
		const float *c = cosines + positions[t] * half, *s = sines + positions[t] * half;
		for (int64_t h = 0; h < heads; h++) {
			float *p = x + t * ld + h * dim;
			if (interleaved) {
				for (int64_t i = 0; i < half; i++) {
					float a = p[2 * i], b = p[2 * i + 1], sn = sign * s[i];
					p[2 * i] = a * c[i] - b * sn;
					p[2 * i + 1] = b * c[i] + a * sn;
				}
			} else {
#pragma GCC ivdep
				for (int64_t i = 0; i < half; i++) {
					float a = p[i], b = p[i + half], sn = sign * s[i];
					p[i] = a * c[i] - b * sn;
					p[i + half] = b * c[i] + a * sn;
				}
			}
		}
	}
}

static inline vf sigmoid(vf x) { return splat(1) / (splat(1) + vexp(-x)); }

// A gate g weighs up by g sigmoid(z): z is g itself (SiLU), or with gelu 2 sqrt(2/pi) (g + 0.044715 g^3), since
// (1 + tanh x) / 2 is sigmoid(2x).
#define GELU_Z(x) ((x) * (1.5957691216057308f + 0.071354816272600249f * (x) * (x)))
#define GELU_DZ(x) (1.5957691216057308f + 0.21406444881780076f * (x) * (x))

static inline __attribute__((always_inline)) void gated_rows(float *y, const float *gu, int64_t rows, int64_t f, int gelu) {
#pragma omp parallel for schedule(static) if (rows * f > SMALL)
	for (int64_t r = 0; r < rows; r++) {
		const float *g = gu + r * 2 * f, *u = g + f;
		float *to = y + r * f;
		int64_t c = 0;
		for (; c + VL <= f; c += VL) {
			vf x = load(g + c);
			store(to + c, x * sigmoid(gelu ? (vf)GELU_Z(x) : x) * load(u + c));
		}
		for (; c < f; c++) to[c] = g[c] / (1 + expf(gelu ? -GELU_Z(g[c]) : -g[c])) * u[c];
	}
}

static void gated(float *y, const float *gu, int64_t rows, int64_t f, int gelu) {
	if (gelu)
		gated_rows(y, gu, rows, f, 1);
	else
		gated_rows(y, gu, rows, f, 0);
}

static inline __attribute__((always_inline)) void gated_grad_rows(float *dgu, const float *gu, const float *dy, int64_t rows, int64_t f,
																   int gelu) {
#pragma omp parallel for schedule(static) if (rows * f > SMALL)
	for (int64_t r = 0; r < rows; r++) {
		const float *g = gu + r * 2 * f, *u = g + f, *d = dy + r * f;
		float *dg = dgu + r * 2 * f, *du = dg + f;
		int64_t c = 0;
		for (; c + VL <= f; c += VL) {
			vf x = load(g + c), up = load(u + c), y = load(d + c), s = sigmoid(gelu ? (vf)GELU_Z(x) : x);
			vf slope = gelu ? (vf)(x * GELU_DZ(x)) : x;
			store(dg + c, y * up * s * (splat(1) + slope * (splat(1) - s)));
			store(du + c, y * x * s);
		}
		for (; c < f; c++) {
			float x = g[c], up = u[c], y = d[c], s = 1 / (1 + expf(gelu ? -GELU_Z(x) : -x)), slope = gelu ? x * GELU_DZ(x) : x;
			dg[c] = y * up * s * (1 + slope * (1 - s));
			du[c] = y * x * s;
		}
	}
}

static void gated_grad(float *dgu, const float *gu, const float *dy, int64_t rows, int64_t f, int gelu) {
	if (gelu)
		gated_grad_rows(dgu, gu, dy, rows, f, 1);
	else
		gated_grad_rows(dgu, gu, dy, rows, f, 0);
}

static void cross_entropy(float *logits, int64_t rows, int64_t v, const int32_t *targets, const float *weights, double *nll, int grad) {
#pragma omp parallel for schedule(static) if (rows * v > SMALL)
	for (int64_t r = 0; r < rows; r++) {
		float *x = logits + r * v;
		if (targets[r] < 0 || weights[r] == 0) {
			nll[r] = 0;
			memset(x, 0, v * sizeof *x);
			continue;
		}
		vf peaks = splat(x[0]);
		int64_t c = 0;
		for (; c + VL <= v; c += VL) peaks = vmax(peaks, load(x + c));
		float peak = hmax(peaks);
		for (; c < v; c++) peak = x[c] > peak ? x[c] : peak;
		float at_target = x[targets[r]];
		// Short float sums flushed to a double: V is large.
		double sum = 0;
		for (c = 0; c + VL <= v;) {
			vf part = {};
			for (int k = 0; k < 16 && c + VL <= v; k++, c += VL) {
				vf e = vexp(load(x + c) - splat(peak));
				part += e;
				if (grad) store(x + c, e);
			}
			sum += hsum(part);
		}
		for (; c < v; c++) {
			float e = expf(x[c] - peak);
			sum += e;
			if (grad) x[c] = e;
		}
		nll[r] = (double)peak + log(sum) - at_target;
		if (grad) {
			float s = (float)(weights[r] / sum);
			for (c = 0; c < v; c++) x[c] *= s;
			x[targets[r]] -= weights[r];
		}
	}
}

// store_half rounds VL floats to bf16.
static inline void store_half(uint16_t *to, vf v) {
#ifdef LW_BF16
	_mm256_storeu_si256((__m256i *)to, (__m256i)_mm512_cvtneps_pbh((__m512)v));
#else
	for (int i = 0; i < VL; i++) to[i] = bf16_of(v[i]);
#endif
}

#include "native_adamw8.h"
#include "native_product.h"
#include "native_attention.h"
#include "native_gemm.h"
#include "native_few.h"
#include "native_decode.h"
#include "native_recurrent.h"
#include "native_delta.h"

#define LW_ENTRY(name, params, args) .name = name,
const struct lw_kernels LW_TABLE = {LW_KERNELS(LW_ENTRY)};
