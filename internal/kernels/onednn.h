// oneDNN, opened at run time: nothing of it is needed to build, and versions 2
// and 3 are told apart by what they export.
#pragma once
#include <stdint.h>

// lw_onednn_open loads the library; 1 when it can be used. version receives
// major * 10000 + minor * 100 + patch.
int lw_onednn_open(int *version);

// lw_onednn_sgemm is C = op(A) op(B) + beta C, row-major; 0 when done.
int lw_onednn_sgemm(int ta, int tb, int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b, int64_t ldb, float beta,
					float *c, int64_t ldc);

// lw_onednn_bf16 is the same for bf16 A and B with float32 sums and C; beta is
// 0 or 1.
int lw_onednn_bf16(int ta, int tb, int64_t m, int64_t n, int64_t k, const uint16_t *a, int64_t lda, const uint16_t *b, int64_t ldb,
				   float beta, float *c, int64_t ldc);
