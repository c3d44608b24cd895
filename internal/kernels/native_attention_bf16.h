// Packed causal attention with bf16 products and float32 sums, part of
// native_impl.h for processors with AVX-512 BF16. Softmax, its statistics and
// all accumulators stay float32, as in the float32 kernels; what goes into a
// product is rounded to bf16.
//
// The instruction multiplies pairs: the right operand of a product is laid out
// as [k/2][n][2] ("paired"), the left one row by row.
typedef uint16_t bf16;

static inline __m512 load16(const float *p) { return _mm512_loadu_ps(p); }
static inline __m256i round16(__m512 v) { return (__m256i)_mm512_cvtneps_pbh(v); }
// zip gives the upper half's and the lower half's values in turn, reading from the
// highest: those of the lower half are even.
static inline __m512i zip(__m512i halves) {
	const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8,
										   23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
	return _mm512_permutexvar_epi16(order, halves);
}
// round_pairs gives b0 a0 b1 a1 ..., reading from the highest: a is even.
static inline __m512i round_pairs(__m512 a, __m512 b) { return zip((__m512i)_mm512_cvtne2ps_pbh(b, a)); }

#define PAIR_MICRO(MR, NVEC)                                                                                                               \
	static inline __attribute__((always_inline)) void pairs_##MR##_##NVEC(int64_t k, const bf16 *a, int64_t lda, const bf16 *b,            \
																		  int64_t ldb, float *c, int64_t ldc, int add) {                   \
		__m512 s[MR][NVEC];                                                                                                                \
		_Pragma("GCC unroll 8") for (int i = 0; i < MR; i++) _Pragma("GCC unroll 8") for (int j = 0; j < NVEC; j++) s[i][j] =              \
			add ? load16(c + i * ldc + j * 16) : _mm512_setzero_ps();                                                                      \
		for (int64_t x = 0; x < k; x += 2) {                                                                                               \
			__m512i row[NVEC];                                                                                                             \
			_Pragma("GCC unroll 8") for (int j = 0; j < NVEC; j++) row[j] = _mm512_loadu_si512(b + x * ldb + j * 32);                      \
			_Pragma("GCC unroll 8") for (int i = 0; i < MR; i++) {                                                                         \
				int32_t pair;                                                                                                              \
				memcpy(&pair, a + i * lda + x, sizeof pair);                                                                               \
				__m512i left = _mm512_set1_epi32(pair);                                                                                    \
				_Pragma("GCC unroll 8") for (int j = 0; j < NVEC; j++) s[i][j] =                                                           \
					_mm512_dpbf16_ps(s[i][j], (__m512bh)left, (__m512bh)row[j]);                                                           \
			}                                                                                                                              \
		}                                                                                                                                  \
		_Pragma("GCC unroll 8") for (int i = 0; i < MR; i++) _Pragma("GCC unroll 8") for (int j = 0; j < NVEC; j++)                        \
			_mm512_storeu_ps(c + i * ldc + j * 16, s[i][j]);                                                                               \
	}
PAIR_MICRO(6, 4)
PAIR_MICRO(4, 4)
PAIR_MICRO(6, 1)
PAIR_MICRO(4, 1)

// product_bf16 is C (+)= A B for A [m, k], B paired [k/2][ldb][2]; m is 64 or a
// head's size, so a multiple of 16, and so is n.
static void product_bf16(int64_t m, int64_t n, int64_t k, const bf16 *a, int64_t lda, const bf16 *b, int64_t ldb, float *c, int64_t ldc,
						 int add) {
	int64_t j = 0;
	for (; j + 64 <= n; j += 64) {
		int64_t i = 0;
		for (; m - i >= 6 && m - i != 8; i += 6) pairs_6_4(k, a + i * lda, lda, b + 2 * j, ldb, c + i * ldc + j, ldc, add);
		for (; i < m; i += 4) pairs_4_4(k, a + i * lda, lda, b + 2 * j, ldb, c + i * ldc + j, ldc, add);
	}
	for (; j < n; j += 16) {
		int64_t i = 0;
		for (; m - i >= 6 && m - i != 8; i += 6) pairs_6_1(k, a + i * lda, lda, b + 2 * j, ldb, c + i * ldc + j, ldc, add);
		for (; i < m; i += 4) pairs_4_1(k, a + i * lda, lda, b + 2 * j, ldb, c + i * ldc + j, ldc, add);
	}
}

// round_rows rounds n rows of x times scale, and fills up to TILE with zeros.
static void round_rows(bf16 *to, const float *x, int64_t ld, int64_t n, int64_t dim, float scale) {
	for (int64_t i = 0; i < n; i++)
		for (int64_t d = 0; d < dim; d += 16)
			_mm256_storeu_si256((__m256i *)(to + i * dim + d), round16(_mm512_mul_ps(load16(x + i * ld + d), _mm512_set1_ps(scale))));
	memset(to + n * dim, 0, (TILE - n) * dim * sizeof *to);
}

// pair_rows makes a right operand of TILE rows [TILE/2][dim][2] out of rounded
// rows, pair_columns one of dim rows [dim/2][TILE][2], and transpose the left
// operand [dim][TILE].
static void pair_rows(bf16 *to, const bf16 *rows, int64_t dim) {
	for (int64_t i = 0; i < TILE; i += 2)
		for (int64_t d = 0; d < dim; d += 16) {
			const bf16 *row = rows + i * dim + d, *next = row + dim;
			__m256i a = _mm256_loadu_si256((const __m256i *)row), b = _mm256_loadu_si256((const __m256i *)next);
			_mm512_storeu_si512(to + i * dim + 2 * d, zip(_mm512_inserti64x4(_mm512_castsi256_si512(a), b, 1)));
		}
}
static void pair_columns(bf16 *to, const bf16 *rows, int64_t dim) {
	const int32_t *from = (const int32_t *)rows; // a pair is four bytes of a row
	int32_t *out = (int32_t *)to;
	for (int64_t i = 0; i < TILE; i++)
		for (int64_t d = 0; d < dim / 2; d++) out[d * TILE + i] = from[i * dim / 2 + d];
}
static void transpose(bf16 *to, const bf16 *rows, int64_t dim) {
	for (int64_t i = 0; i < TILE; i++)
		for (int64_t d = 0; d < dim; d++) to[d * TILE + i] = rows[i * dim + d];
}

static void attention_tile_bf16(float *out, float *lse, const float *qkv, const bf16 *keys_t, const bf16 *values, const int32_t *starts, const int32_t *hidden,
								int64_t t, int64_t hq, int64_t hkv, int64_t dim, float scale, int64_t h, int64_t r0) {
	const int64_t ld = (hq + 2 * hkv) * dim, g = h * hkv / hq, r1 = least(r0 + TILE, t), n = r1 - r0, tiles = (t + TILE - 1) / TILE;
	bf16 q[TILE * MAX_DIM], p[TILE * TILE];
	float o[TILE * MAX_DIM], s[TILE * TILE], peak[TILE], sum[TILE];
	round_rows(q, qkv + r0 * ld + h * dim, ld, n, dim, scale);
	memset(o, 0, TILE * dim * sizeof *o);
	for (int64_t i = 0; i < TILE; i++) peak[i] = -INFINITY, sum[i] = 0;
	const struct gap gap = gap_of(hidden, r0, r1);
	for (int64_t k0 = starts[r0] / TILE * TILE; k0 < r1; k0 += TILE) {
		const int64_t k1 = least(k0 + TILE, t), at = (g * tiles + k0 / TILE) * dim * TILE;
		if (unseen(gap, k0, k1)) continue;
		product_bf16(TILE, TILE, dim, q, dim, keys_t + at, TILE, s, TILE, 0);
		const int mask = masked(starts, gap, r0, r1, k0, k1) || k1 - k0 < TILE;
		for (int64_t i = 0; i < n; i++) {
			if (mask) mask_row(s + i * TILE, starts[r0 + i] - k0, r0 + i + 1 - k0);
			if (mask && hidden) hide_row(s + i * TILE, hidden[2 * (r0 + i)] - k0, hidden[2 * (r0 + i) + 1] - k0);
			soften_row(s + i * TILE, p + i * TILE, o + i * dim, dim, peak + i, sum + i);
		}
		memset(p + n * TILE, 0, (TILE - n) * TILE * sizeof *p);
		product_bf16(TILE, dim, TILE, p, TILE, values + at, dim, o, dim, 1);
	}
	finish_rows(out + r0 * hq * dim + h * dim, hq * dim, lse + h * t + r0, o, peak, sum, n, dim);
}

// scratch: hkv * tiles * TILE * dim floats.
static void attention_bf16(float *out, float *lse, const float *qkv, const int32_t *starts, const int32_t *hidden, int64_t t, int64_t hq, int64_t hkv, int64_t dim,
						   float scale, float *scratch) {
	const int64_t ld = (hq + 2 * hkv) * dim, tiles = (t + TILE - 1) / TILE;
	bf16 *keys_t = (bf16 *)scratch, *values = keys_t + hkv * tiles * TILE * dim;
#pragma omp parallel for collapse(2) schedule(static) if (t * ld > SMALL)
	for (int64_t g = 0; g < hkv; g++)
		for (int64_t b = 0; b < tiles; b++) {
			const int64_t n = least(TILE, t - b * TILE), at = (g * tiles + b) * dim * TILE;
			const float *from = qkv + b * TILE * ld + (hq + g) * dim;
			bf16 rows[TILE * MAX_DIM];
			round_rows(rows, from, ld, n, dim, 1);
			pair_columns(keys_t + at, rows, dim);
			round_rows(rows, from + hkv * dim, ld, n, dim, 1);
			pair_rows(values + at, rows, dim);
		}
#pragma omp parallel for schedule(dynamic, 1) if (t * ld > SMALL)
	for (int64_t i = 0; i < tiles * hq; i++)
		attention_tile_bf16(out, lse, qkv, keys_t, values, starts, hidden, t, hq, hkv, dim, scale, i % hq, (tiles - 1 - i / hq) * TILE);
}

// attention_grad_tile_bf16 does what attention_grad_tile does. packed holds for
// each tile of this kv head the keys, the values, and the transposed keys,
// rounded: 3 * TILE * dim values.
static void attention_grad_tile_bf16(float *dqkv, float *dk, float *dv, const float *qkv, const float *out, const float *lse,
									 const float *dout, const int32_t *starts, const int32_t *hidden, int64_t t, int64_t hq, int64_t hkv, int64_t dim,
									 float scale, int64_t h, int64_t r0, const bf16 *packed) {
	const int64_t ld = (hq + 2 * hkv) * dim, lo = hq * dim, r1 = least(r0 + TILE, t), n = r1 - r0;
	const float *grad = dout + r0 * lo + h * dim;
	bf16 q[TILE * MAX_DIM], q_t[TILE * MAX_DIM], grads[TILE * MAX_DIM], grads_t[TILE * MAX_DIM], rows[TILE * MAX_DIM];
	bf16 p[TILE * TILE], ds[TILE * TILE], ds_pairs[TILE * TILE];
	float scores[TILE * TILE], back[TILE * TILE], dq_t[MAX_DIM * TILE], offset[TILE], delta[TILE];
	round_rows(rows, qkv + r0 * ld + h * dim, ld, n, dim, scale);
	pair_columns(q_t, rows, dim);
	pair_rows(q, rows, dim);
	round_rows(rows, grad, lo, n, dim, 1);
	pair_columns(grads_t, rows, dim);
	pair_rows(grads, rows, dim);
	memset(dq_t, 0, dim * TILE * sizeof *dq_t);
	for (int64_t i = 0; i < TILE; i++) {
		offset[i] = i < n ? lse[h * t + r0 + i] : 1e30f; // padding weighs nothing
		delta[i] = i < n ? dot(grad + i * lo, out + (r0 + i) * lo + h * dim, dim) : 0;
	}
	const struct gap gap = gap_of(hidden, r0, r1);
	for (int64_t k0 = starts[r0] / TILE * TILE; k0 < r1; k0 += TILE) {
		const int64_t m = least(k0 + TILE, t) - k0;
		if (unseen(gap, k0, k0 + m)) continue;
		const bf16 *keys = packed + k0 / TILE * 3 * TILE * dim, *values = keys + TILE * dim, *keys_t = values + TILE * dim;
		// Transposed scores: keys down, queries across.
		product_bf16(TILE, TILE, dim, keys, dim, q_t, TILE, scores, TILE, 0);
		product_bf16(TILE, TILE, dim, values, dim, grads_t, TILE, back, TILE, 0);
		if (masked(starts, gap, r0, r1, k0, k0 + m) || m < TILE)
			for (int64_t j = 0; j < TILE; j++)
				for (int64_t i = 0; i < n; i++)
					if (sees_not(starts, hidden, r0 + i, k0 + j)) scores[j * TILE + i] = -INFINITY;
		for (int64_t j = 0; j < TILE; j += 2)
			for (int i = 0; i < TILE; i += VL) {
				vf w[2], d[2];
				for (int e = 0; e < 2; e++) {
					w[e] = vexp(load(scores + (j + e) * TILE + i) - load(offset + i));
					d[e] = w[e] * (load(back + (j + e) * TILE + i) - load(delta + i));
					_mm256_storeu_si256((__m256i *)(p + (j + e) * TILE + i), round16((__m512)w[e]));
					_mm256_storeu_si256((__m256i *)(ds + (j + e) * TILE + i), round16((__m512)d[e]));
				}
				_mm512_storeu_si512(ds_pairs + j * TILE + 2 * i, round_pairs((__m512)d[0], (__m512)d[1]));
			}
		// dk and dv have whole tiles: the rows behind t receive zeros.
		product_bf16(TILE, dim, TILE, p, TILE, grads, dim, dv + k0 * dim, dim, 1);
		product_bf16(TILE, dim, TILE, ds, TILE, q, dim, dk + k0 * dim, dim, 1);
		product_bf16(dim, TILE, TILE, keys_t, TILE, ds_pairs, TILE, dq_t, TILE, 1);
	}
	for (int64_t i = 0; i < n; i++)
		for (int64_t d = 0; d < dim; d++) dqkv[(r0 + i) * ld + h * dim + d] = dq_t[d * TILE + i] * scale;
}

// pack_keys fills packed for attention_grad_tile_bf16.
static void pack_keys(bf16 *packed, const float *qkv, int64_t t, int64_t hq, int64_t hkv, int64_t dim, int64_t g) {
	const int64_t ld = (hq + 2 * hkv) * dim, tiles = (t + TILE - 1) / TILE;
#pragma omp parallel for schedule(static) if (t * ld > SMALL)
	for (int64_t b = 0; b < tiles; b++) {
		bf16 *keys = packed + b * 3 * TILE * dim;
		const float *from = qkv + b * TILE * ld + (hq + g) * dim;
		const int64_t n = least(TILE, t - b * TILE);
		round_rows(keys, from, ld, n, dim, 1);
		round_rows(keys + TILE * dim, from + hkv * dim, ld, n, dim, 1);
		transpose(keys + 2 * TILE * dim, keys, dim);
	}
}
