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
