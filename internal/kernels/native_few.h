// Products of a few rows, part of native_impl.h: they read the weights once for each step of
// decoding, and should take no longer than that.

// A thread reads its weights as one stream, row by row: several rows side by
// side, which need fewer loads of x, reach two thirds of the speed. Of many rows
// of x the loads cost more than the stream.

// few is y[r * n + o] for the rows r of x [rows, k] and outs rows o of w [outs, k], each
// summed in the same order whatever is beside it. With half the weights are bf16: two
// neighbours fill the place of a float, the even ones in its lower half, so that a shift
// and a mask widen them, and x has been sorted to match (sort_pairs).
static inline __attribute__((always_inline)) void few(int rows, int outs, float *y, const float *x, const float *w, const uint16_t *half,
													  int64_t n, int64_t k) {
	vf s[3][4][2] = {};
	int64_t c = 0;
	for (; c + 2 * VL <= k; c += 2 * VL) {
		_Pragma("GCC unroll 3") for (int o = 0; o < outs; o++) {
			vf w0, w1;
			if (half) {
				vi pairs = *(const vi *)(half + o * k + c);
				w0 = (vf)(pairs << 16), w1 = (vf)(pairs & (int32_t)0xffff0000);
			} else {
				w0 = load(w + o * k + c), w1 = load(w + o * k + c + VL);
			}
			_Pragma("GCC unroll 4") for (int r = 0; r < rows; r++) {
				s[o][r][0] += load(x + r * k + c) * w0;
				s[o][r][1] += load(x + r * k + c + VL) * w1;
			}
		}
	}
	for (int o = 0; o < outs; o++)
		for (int r = 0; r < rows; r++) {
			float sum = hsum(s[o][r][0] + s[o][r][1]);
			for (int64_t i = c; i < k; i++) sum += x[r * k + i] * (half ? widen_one(half[o * k + i]) : w[o * k + i]);
			y[r * n + o] = sum;
		}
}

#if VL == 8
// odds widens the second of each pair of bf16. The mask is read from memory each time: a register for it would be one of
// the sums', which then goes through memory.
static const uint32_t odd[8] __attribute__((aligned(32))) = {~0u << 16, ~0u << 16, ~0u << 16, ~0u << 16,
														 ~0u << 16, ~0u << 16, ~0u << 16, ~0u << 16};
static inline vf odds(vi pairs) {
	vf out;
	__asm__("vpand %2, %1, %0" : "=x"(out) : "x"(pairs), "m"(odd));
	return out;
}

// four_hsums is hsum of four vectors but for its last addition, which joins neighbours: of v[0] and v[2] in the
// lower lanes, of v[1] and v[3] in the upper ones.
static inline vf four_hsums(vf v[4]) {
	vf half[2];
	for (int i = 0; i < 4; i += 2)
		half[i / 2] = __builtin_shufflevector(v[i], v[i + 1], 0, 1, 2, 3, 8, 9, 10, 11) +
					  __builtin_shufflevector(v[i], v[i + 1], 4, 5, 6, 7, 12, 13, 14, 15);
	return __builtin_shufflevector(half[0], half[1], 0, 1, 8, 9, 4, 5, 12, 13) +
		   __builtin_shufflevector(half[0], half[1], 2, 3, 10, 11, 6, 7, 14, 15);
}
static inline vf join(vf a, vf b) {
	return __builtin_shufflevector(a, b, 0, 2, 8, 10, 4, 6, 12, 14) + __builtin_shufflevector(a, b, 1, 3, 9, 11, 5, 7, 13, 15);
}

// few_apart is few of three outputs and four rows with the sums of odd values after those of even ones: either fill the
// registers, and both would go through memory. Meanwhile what lies at ahead is asked for, step bytes at a time.
static inline __attribute__((always_inline)) void few_apart(float *y, const float *x, const float *w, const uint16_t *half, int64_t n,
															int64_t k, const char *ahead, int64_t step) {
	vf s[3][4]; // not = {}: that took a third of the time of the whole
	const int64_t end = k / (2 * VL) * (2 * VL);
	_Pragma("GCC unroll 2") for (int part = 0; part < 2; part++) {
		vf sum[3][4] = {};
		for (int64_t c = 0; c < end; c += 2 * VL, ahead += step) {
			__builtin_prefetch(ahead, 0, 2);
			vf right[3];
			_Pragma("GCC unroll 3") for (int o = 0; o < 3; o++) {
				if (half) {
					const vi pairs = *(const vi *)(half + o * k + c);
					right[o] = part ? odds(pairs) : (vf)(pairs << 16);
				} else {
					right[o] = load(w + o * k + c + part * VL);
				}
			}
			_Pragma("GCC unroll 4") for (int r = 0; r < 4; r++) {
				const vf left = load(x + r * k + c + part * VL);
				_Pragma("GCC unroll 3") for (int o = 0; o < 3; o++) sum[o][r] += left * right[o];
			}
		}
		_Pragma("GCC unroll 3") for (int o = 0; o < 3; o++)
			_Pragma("GCC unroll 4") for (int r = 0; r < 4; r++) s[o][r] = part ? (vf)(s[o][r] + sum[o][r]) : sum[o][r];
	}
	float out[2 * VL];
	const vf last = four_hsums(s[2]);
	store(out, join(four_hsums(s[0]), four_hsums(s[1])));
	store(out + VL, join(last, last));
	_Pragma("GCC unroll 3") for (int o = 0; o < 3; o++)
		_Pragma("GCC unroll 4") for (int r = 0; r < 4; r++) {
			float total = out[o / 2 * VL + r % 2 * 4 + o % 2 * 2 + r / 2];
			for (int64_t i = end; i < k; i++) total += x[r * k + i] * (half ? widen_one(half[o * k + i]) : w[o * k + i]);
			y[r * n + o] = total;
		}
}

// Functions of their own: among others the sums do not stay in registers.
static __attribute__((noinline)) void few_apart_half(float *y, const float *x, const uint16_t *half, int64_t n, int64_t k,
													 const char *ahead, int64_t step) {
	few_apart(y, x, NULL, half, n, k, ahead, step);
}
static __attribute__((noinline)) void few_apart_whole(float *y, const float *x, const float *w, int64_t n, int64_t k, const char *ahead,
													  int64_t step) {
	few_apart(y, x, w, NULL, n, k, ahead, step);
}
#endif

// few_rows is few for up to four rows of x.
static inline __attribute__((always_inline)) void few_rows(int outs, float *y, const float *x, const float *w, const uint16_t *half,
														   int64_t rows, int64_t n, int64_t k) {
	switch (rows) {
	case 4: few(4, outs, y, x, w, half, n, k); break;
	case 3: few(3, outs, y, x, w, half, n, k); break;
	case 2: few(2, outs, y, x, w, half, n, k); break;
	case 1: few(1, outs, y, x, w, half, n, k); break;
	}
}

#if VL == 4
#define EVENS 0, 2, 4, 6
#define ODDS 1, 3, 5, 7
#elif VL == 8
#define EVENS 0, 2, 4, 6, 8, 10, 12, 14
#define ODDS 1, 3, 5, 7, 9, 11, 13, 15
#else
#define EVENS 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define ODDS 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#endif

// sort_pairs puts the even values of each 2 * VL before the odd ones.
static void sort_pairs(float *to, const float *x, int64_t rows, int64_t k) {
	for (int64_t r = 0; r < rows; r++) {
		const float *from = x + r * k;
		float *out = to + r * k;
		int64_t c = 0;
		for (; c + 2 * VL <= k; c += 2 * VL) {
			const vf a = load(from + c), b = load(from + c + VL);
			store(out + c, __builtin_shufflevector(a, b, EVENS));
			store(out + c + VL, __builtin_shufflevector(a, b, ODDS));
		}
		for (; c < k; c++) out[c] = from[c];
	}
}

// linear_few: y[rows, n] = x[rows, k] w[n, k]^T, with w in bf16 where half is
// not NULL. scratch: rows * k floats.
static void linear_few(float *y, const float *x, const float *w, const uint16_t *half, int64_t rows, int64_t n, int64_t k, float *scratch) {
	if (half) sort_pairs(scratch, x, rows, k);
	// Measured: with fewer rows three outputs are slower. Four rows of x stay in the nearest cache for a block of outputs,
	// and with AVX2 the block for all rows.
	const int64_t outs = rows >= (VL == 8 ? 4 : 12) ? 3 : 1, block = outs == 1 ? 1 : VL != 8 ? 24 : 12;
#pragma omp parallel for schedule(static) if (n * k > SMALL)
	for (int64_t b = 0; b < (n + block - 1) / block; b++)
		for (int64_t r = 0; r < rows; r += 4) {
			const int64_t end = least((b + 1) * block, n), some = least(4, rows - r);
			const float *left = (half ? scratch : x) + r * k;
			int64_t j = b * block;
			for (; outs == 3 && j + 3 <= end; j += 3) {
				float *to = y + r * n + j;
#if VL == 8
				if (some == 4) { // and the next block's weights are asked for, a share of them with each four rows
					const int64_t size = half ? sizeof *half : sizeof *w, fours = rows / 4;
					const char *ahead = (half ? (const char *)half : (const char *)w) + ((j + block) * k + r / 4 * 3 * k / fours) * size;
					if (half)
						few_apart_half(to, left, half + j * k, n, k, ahead, 24 * size / fours);
					else
						few_apart_whole(to, left, w + j * k, n, k, ahead, 24 * size / fours);
					continue;
				}
#endif
				if (half)
					few_rows(3, to, left, NULL, half + j * k, some, n, k);
				else
					few_rows(3, to, left, w + j * k, NULL, some, n, k);
			}
			for (; j < end; j++) {
				if (half)
					few_rows(1, y + r * n + j, left, NULL, half + j * k, some, n, k);
				else
					few_rows(1, y + r * n + j, left, w + j * k, NULL, some, n, k);
			}
		}
}

#ifdef LW_BF16
// sums gives the sum of the lanes of v[i] in lane i: each level adds the halves of
// two vectors' groups of four lanes, then whole groups, and leaves half as many
// vectors. It takes shuffles within groups as far as it can, which are cheaper. v is
// overwritten.
#define EACH(group) group(0), group(1), group(2), group(3)
#define LOW32(g) 4 * g, 16 + 4 * g, 4 * g + 1, 16 + 4 * g + 1
#define HIGH32(g) 4 * g + 2, 16 + 4 * g + 2, 4 * g + 3, 16 + 4 * g + 3
#define LOW64(g) 4 * g, 4 * g + 1, 16 + 4 * g, 16 + 4 * g + 1
#define HIGH64(g) 4 * g + 2, 4 * g + 3, 16 + 4 * g + 2, 16 + 4 * g + 3
#define EVEN(g) 8 * g, 8 * g + 1, 8 * g + 2, 8 * g + 3
#define ODD(g) 8 * g + 4, 8 * g + 5, 8 * g + 6, 8 * g + 7
#define LEVEL(n, a, b)                                                                                                                     \
	_Pragma("GCC unroll 8") for (int i = 0; i < n / 2; i++) v[i] =                                                                         \
		__builtin_shufflevector(v[2 * i], v[2 * i + 1], EACH(a)) + __builtin_shufflevector(v[2 * i], v[2 * i + 1], EACH(b));
static inline __attribute__((always_inline)) vf sums(vf *v) {
	LEVEL(16, LOW32, HIGH32)
	LEVEL(8, LOW64, HIGH64)
	LEVEL(4, EVEN, ODD)
	LEVEL(2, EVEN, ODD)
	return v[0];
}
#undef LEVEL

#define FEW 16	 // rows of bf16 inputs at once, as many as there are lanes
#define FEW_K 768 // of k at once: the rows of x then stay in the first cache
#define AHEAD 2304 // weights that are asked for before they are needed (measured: half or four times as many are no better)

// few_bf16 is y[r * ldy + j] for kept <= rows rows of x and n <= FEW rows of w; x
// is packed by pack_few.
static inline __attribute__((always_inline)) void few_bf16(int rows, int64_t kept, float *y, int64_t ldy, const uint16_t *x,
														   const uint16_t *w, int64_t ldw, int64_t n, int64_t k) {
	const int64_t ahead = (AHEAD + ldw - 1) / ldw * ldw;
	__m512 part[FEW][FEW];
	vf out[FEW];
	for (int64_t k0 = 0; k0 < k; k0 += FEW_K) {
		const int64_t k1 = least(k0 + FEW_K, k);
		for (int64_t j = 0; j < n; j++) {
			const uint16_t *row = w + j * ldw;
			__m512 s[FEW] = {};
			if (k0) _Pragma("GCC unroll 16") for (int r = 0; r < rows; r++) s[r] = part[j][r];
			for (int64_t c = k0; c < k1; c += 32) {
				// While it multiplies, the processor does not look far ahead. The second
				// cache is where x leaves room.
				_mm_prefetch((const char *)(row + ahead + c), _MM_HINT_T1);
				const __m512i right = k1 - c >= 32 ? _mm512_loadu_si512(row + c) : _mm512_maskz_loadu_epi16((1u << (k1 - c)) - 1, row + c);
				_Pragma("GCC unroll 16") for (int r = 0; r < rows; r++) s[r] =
					_mm512_dpbf16_ps(s[r], (__m512bh)_mm512_loadu_si512(x + c * rows + r * 32), (__m512bh)right);
			}
			if (k1 == k)
				out[j] = sums((vf *)s);
			else
				_Pragma("GCC unroll 16") for (int r = 0; r < rows; r++) part[j][r] = s[r];
		}
	}
	// All of a row at once: rows that lie a power of two apart share a place in the cache.
	for (int64_t r = 0; r < kept; r++)
		for (int64_t j = 0; j < n; j++) y[r * ldy + j] = out[j][r];
}

// thin_bf16 is few_bf16 for one or two rows of x, without rows that are filled up. Its sums
// are made in the same order: a row's are the same bytes whatever is beside it.
static inline __attribute__((always_inline)) void thin_bf16(int rows, float *y, int64_t ldy, const uint16_t *x, const uint16_t *w,
															int64_t ldw, int64_t n, int64_t k) {
	vf s[2][FEW] = {};
	for (int64_t j = 0; j < n; j++) {
		const uint16_t *row = w + j * ldw;
		__m512 sum[2] = {};
		for (int64_t c = 0; c < k; c += 32) {
			const __m512i right = k - c >= 32 ? _mm512_loadu_si512(row + c) : _mm512_maskz_loadu_epi16((1u << (k - c)) - 1, row + c);
			_Pragma("GCC unroll 2") for (int r = 0; r < rows; r++) sum[r] =
				_mm512_dpbf16_ps(sum[r], (__m512bh)_mm512_loadu_si512(x + c * rows + r * 32), (__m512bh)right);
		}
		_Pragma("GCC unroll 2") for (int r = 0; r < rows; r++) s[r][j] = (vf)sum[r];
	}
	_Pragma("GCC unroll 2") for (int r = 0; r < rows; r++) {
		const vf out = sums(s[r]);
		for (int64_t j = 0; j < n; j++) y[r * ldy + j] = out[j];
	}
}

// pack_few rounds 32 columns of x, c and on, for few_bf16: rows of 32, zeros where x
// has none.
static inline void pack_few(uint16_t *to, int64_t rows, const float *x, int64_t k, int64_t kept, int64_t c) {
	for (int64_t r = 0; r < rows; r++, to += 32) {
		const int64_t n = r < kept ? least(32, k - c) : 0;
		for (int64_t i = 0; i < n; i++) to[i] = bf16_of(x[r * k + c + i]);
		for (int64_t i = n; i < 32; i++) to[i] = 0;
	}
}

// linear_few_bf16: y[rows, n] = x[rows, k] w[n, k]^T with inputs in bf16, to which x
// is rounded, and float32 sums. scratch: rows and k, filled up to multiples of 4 and
// 32, of uint16_t.
static void linear_few_bf16(float *y, const float *x, const uint16_t *w, int64_t rows, int64_t n, int64_t k, float *scratch) {
	uint16_t *packed = (uint16_t *)scratch;
	const int64_t chunks = (k + 31) / 32, room = chunks * 32;
#pragma omp parallel if (n * k > SMALL)
	for (int64_t r = 0; r < rows; r += FEW) {
		const int64_t kept = least(FEW, rows - r), padded = kept <= 2 ? kept : (kept + 3) / 4 * 4;
		uint16_t *from = packed + r * room;
#pragma omp for schedule(static)
		for (int64_t c = 0; c < chunks; c++) pack_few(from + c * 32 * padded, padded, x + r * k, k, kept, c * 32);
#pragma omp for schedule(static) nowait
		for (int64_t b = 0; b < (n + FEW - 1) / FEW; b++) {
			const int64_t j = b * FEW, outputs = least(FEW, n - j);
			float *to = y + r * n + j;
			const uint16_t *right = w + j * k;
			switch (padded) {
			case 1: thin_bf16(1, to, n, from, right, k, outputs, k); break;
			case 2: thin_bf16(2, to, n, from, right, k, outputs, k); break;
			case 4: few_bf16(4, kept, to, n, from, right, k, outputs, k); break;
			case 8: few_bf16(8, kept, to, n, from, right, k, outputs, k); break;
			case 12: few_bf16(12, kept, to, n, from, right, k, outputs, k); break;
			case 16: few_bf16(16, kept, to, n, from, right, k, outputs, k); break;
			}
		}
	}
}
#else // for the table: only processors that have the instructions are asked
static void linear_few_bf16(float *y, const float *x, const uint16_t *w, int64_t rows, int64_t n, int64_t k, float *scratch) {}
#endif

