// Matrix products for machines without oneDNN, part of native_impl.h: B is
// packed into panels that stay in the cache, A is read in place or, transposed,
// in packed blocks.
#define KC 256
#define MC 96
#define NC 3072
#define PANEL (NV * VL)

// scratch: KC * NC floats, and MC * KC for each thread.
static void gemm(int ta, int tb, int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b, int64_t ldb, float beta,
				 float *c, int64_t ldc, float *scratch) {
	float *packed_b = scratch, *blocks = scratch + KC * NC;
	for (int64_t n0 = 0; n0 < n; n0 += NC) {
		const int64_t nn = least(NC, n - n0), panels = (nn + PANEL - 1) / PANEL;
		for (int64_t k0 = 0; k0 < k; k0 += KC) {
			const int64_t kk = least(KC, k - k0);
			const float scale = k0 == 0 ? beta : 1;
#pragma omp parallel if (m * n * k > 64 * SMALL)
			{
				float *packed_a = blocks + omp_get_thread_num() * MC * KC; // at most lw_team of them
#pragma omp for schedule(static)
				for (int64_t p = 0; p < panels; p++) {
					float *to = packed_b + p * PANEL * kk;
					for (int64_t x = 0; x < kk; x++)
						for (int64_t j = 0; j < PANEL; j++) {
							const int64_t col = n0 + p * PANEL + j, row = k0 + x;
							to[x * PANEL + j] = col >= n ? 0 : tb ? b[col * ldb + row] : b[row * ldb + col];
						}
				}
#pragma omp for schedule(static)
				for (int64_t m0 = 0; m0 < (m + MC - 1) / MC; m0++) {
					const int64_t i0 = m0 * MC, mm = least(MC, m - i0);
					const float *left = a + i0 * lda + k0;
					int64_t ld_left = lda;
					if (ta) {
						for (int64_t x = 0; x < kk; x++)
							for (int64_t i = 0; i < mm; i++) packed_a[i * kk + x] = a[(k0 + x) * lda + i0 + i];
						left = packed_a, ld_left = kk;
					}
					for (int64_t p = 0; p < panels; p++) {
						const int64_t j0 = n0 + p * PANEL, cols = least(PANEL, n - j0);
						const float *right = packed_b + p * PANEL * kk;
						float *to = c + i0 * ldc + j0;
						if (cols == PANEL && (scale == 0 || scale == 1)) {
							product(mm, PANEL, kk, left, ld_left, right, PANEL, to, ldc, scale != 0);
							continue;
						}
						float edge[MC * PANEL];
						product(mm, PANEL, kk, left, ld_left, right, PANEL, edge, PANEL, 0);
						for (int64_t i = 0; i < mm; i++)
							for (int64_t j = 0; j < cols; j++)
								to[i * ldc + j] = edge[i * PANEL + j] + (scale == 0 ? 0 : scale * to[i * ldc + j]);
					}
				}
			}
		}
	}
}

// ---- products of a few rows, at the speed of reading the weights once ----

#define OUTPUTS 4 // weights' rows side by side

// few is y[r, j] for rows r of x and OUTPUTS rows j of w, both contiguous in k.
// With half the weights are bf16: two neighbours fill the place of a float, the
// even ones in its lower half, so that a shift and a mask widen them, and x has
// been sorted to match (sort_pairs).
static inline __attribute__((always_inline)) void few(int rows, float *y, const float *x, const float *w, const uint16_t *half, int64_t n,
													  int64_t k) {
	vf s[4][OUTPUTS] = {};
	float rest[4][OUTPUTS] = {};
	const int64_t unit = half ? 2 * VL : VL;
	int64_t c = 0;
	for (; c + unit <= k; c += unit) {
		vf right[OUTPUTS], odd[OUTPUTS];
		for (int j = 0; j < OUTPUTS; j++) {
			// The next block's rows: the processor does not see that they go on.
			__builtin_prefetch(half ? (const char *)(half + (j + OUTPUTS) * k + c) : (const char *)(w + (j + OUTPUTS) * k + c));
			if (half) {
				vi pairs = *(const vi *)(half + j * k + c);
				right[j] = (vf)(pairs << 16);
				odd[j] = (vf)(pairs & (int32_t)0xffff0000);
			} else {
				right[j] = load(w + j * k + c);
			}
		}
		for (int r = 0; r < rows; r++) {
			vf left = load(x + r * k + c);
			for (int j = 0; j < OUTPUTS; j++) s[r][j] += left * right[j];
			if (half) {
				left = load(x + r * k + c + VL);
				for (int j = 0; j < OUTPUTS; j++) s[r][j] += left * odd[j];
			}
		}
	}
	for (; c < k; c++)
		for (int r = 0; r < rows; r++)
			for (int j = 0; j < OUTPUTS; j++) rest[r][j] += x[r * k + c] * (half ? widen_one(half[j * k + c]) : w[j * k + c]);
	for (int r = 0; r < rows; r++)
		for (int j = 0; j < OUTPUTS; j++) y[r * n + j] = hsum(s[r][j]) + rest[r][j];
}

static inline __attribute__((always_inline)) void few_rows(float *y, const float *x, const float *w, const uint16_t *half, int64_t rows,
														   int64_t n, int64_t k) {
	int64_t r = 0;
	for (; r + 4 <= rows; r += 4) few(4, y + r * n, x + r * k, w, half, n, k);
	switch (rows - r) {
	case 3: few(3, y + r * n, x + r * k, w, half, n, k); break;
	case 2: few(2, y + r * n, x + r * k, w, half, n, k); break;
	case 1: few(1, y + r * n, x + r * k, w, half, n, k); break;
	}
}

// sort_pairs puts the even values of each 2 * VL before the odd ones.
static void sort_pairs(float *to, const float *x, int64_t rows, int64_t k) {
	for (int64_t r = 0; r < rows; r++) {
		const float *from = x + r * k;
		float *out = to + r * k;
		int64_t c = 0;
		for (; c + 2 * VL <= k; c += 2 * VL)
			for (int i = 0; i < VL; i++) out[c + i] = from[c + 2 * i], out[c + VL + i] = from[c + 2 * i + 1];
		for (; c < k; c++) out[c] = from[c];
	}
}

// linear_few: y[rows, n] = x[rows, k] w[n, k]^T, with w in bf16 where half is
// not NULL. scratch: rows * k floats.
static void linear_few(float *y, const float *x, const float *w, const uint16_t *half, int64_t rows, int64_t n, int64_t k, float *scratch) {
	const int64_t blocks = n / OUTPUTS;
	if (half) sort_pairs(scratch, x, rows, k);
#pragma omp parallel for schedule(static) if (n * k > SMALL)
	for (int64_t b = 0; b < blocks; b++) {
		if (half)
			few_rows(y + b * OUTPUTS, scratch, NULL, half + b * OUTPUTS * k, rows, n, k);
		else
			few_rows(y + b * OUTPUTS, x, w + b * OUTPUTS * k, NULL, rows, n, k);
	}
	for (int64_t j = blocks * OUTPUTS; j < n; j++)
		for (int64_t r = 0; r < rows; r++) {
			float s = 0;
			for (int64_t c = 0; c < k; c++) s += x[r * k + c] * (half ? widen_one(half[j * k + c]) : w[j * k + c]);
			y[r * n + j] = s;
		}
}
