// Small products, part of native_impl.h: C (+)= A B, with A [M, K], B [K, N].

#define MICRO(MR, NVEC)                                                                                                                    \
	static inline __attribute__((always_inline)) void micro_##MR##_##NVEC(int64_t k, const float *a, int64_t lda, const float *b,          \
																		  int64_t ldb, float *c, int64_t ldc, int add) {                   \
		vf s[MR][NVEC];                                                                                                                    \
		_Pragma("GCC unroll 8") for (int i = 0; i < MR; i++) _Pragma("GCC unroll 8") for (int j = 0; j < NVEC; j++) s[i][j] =              \
			add ? load(c + i * ldc + j * VL) : (vf){};                                                                                     \
		for (int64_t x = 0; x < k; x++) {                                                                                                  \
			vf row[NVEC];                                                                                                                  \
			_Pragma("GCC unroll 8") for (int j = 0; j < NVEC; j++) row[j] = load(b + x * ldb + j * VL);                                    \
			_Pragma("GCC unroll 8") for (int i = 0; i < MR; i++) {                                                                         \
				vf left = splat(a[i * lda + x]);                                                                                           \
				_Pragma("GCC unroll 8") for (int j = 0; j < NVEC; j++) s[i][j] += left * row[j];                                           \
			}                                                                                                                              \
		}                                                                                                                                  \
		_Pragma("GCC unroll 8") for (int i = 0; i < MR; i++) _Pragma("GCC unroll 8") for (int j = 0; j < NVEC; j++)                        \
			store(c + i * ldc + j * VL, s[i][j]);                                                                                          \
	}
MICRO(6, 1)
MICRO(5, 1)
MICRO(4, 1)
MICRO(3, 1)
MICRO(2, 1)
MICRO(1, 1)
#if NV == 4
MICRO(6, 4)
MICRO(5, 4)
MICRO(4, 4)
MICRO(3, 4)
MICRO(2, 4)
MICRO(1, 4)
#define WIDE(MR) micro_##MR##_4
#else
MICRO(6, 2)
MICRO(5, 2)
MICRO(4, 2)
MICRO(3, 2)
MICRO(2, 2)
MICRO(1, 2)
#define WIDE(MR) micro_##MR##_2
#endif
#define THIN(MR) micro_##MR##_1

// product: N must be a multiple of VL; nothing outside of the operands is read.
static void product(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b, int64_t ldb, float *c, int64_t ldc,
					int add) {
	int64_t j = 0;
#define ROWS(KERNEL)                                                                                                                       \
	{                                                                                                                                      \
		int64_t i = 0;                                                                                                                     \
		for (; i + 6 <= m; i += 6) KERNEL(6)(k, a + i * lda, lda, b + j, ldb, c + i * ldc + j, ldc, add);                                  \
		const float *rest = a + i * lda;                                                                                                   \
		float *to = c + i * ldc + j;                                                                                                       \
		switch (m - i) {                                                                                                                   \
		case 5: KERNEL(5)(k, rest, lda, b + j, ldb, to, ldc, add); break;                                                                  \
		case 4: KERNEL(4)(k, rest, lda, b + j, ldb, to, ldc, add); break;                                                                  \
		case 3: KERNEL(3)(k, rest, lda, b + j, ldb, to, ldc, add); break;                                                                  \
		case 2: KERNEL(2)(k, rest, lda, b + j, ldb, to, ldc, add); break;                                                                  \
		case 1: KERNEL(1)(k, rest, lda, b + j, ldb, to, ldc, add); break;                                                                  \
		}                                                                                                                                  \
	}
	for (; j + NV * VL <= n; j += NV * VL) ROWS(WIDE)
	for (; j + VL <= n; j += VL) ROWS(THIN)
#undef ROWS
}
