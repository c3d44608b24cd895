// Kernels of decoding, part of native_impl.h: they read the weights and the
// cached keys and values once for each token, and should take no longer than that.

// ---- products of a few rows, at the speed of reading the weights once ----

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

// few_apart is few with one of the two sums after the other: of three outputs and four rows the sums of
// one fill the registers where there are 16, and those of both would go through memory.
static inline __attribute__((always_inline)) void few_apart(int rows, int outs, float *y, const float *x, const float *w,
															const uint16_t *half, int64_t n, int64_t k) {
	vf s[2][3][4]; // not = {}: that took a third of the time of the whole
	const int64_t end = k / (2 * VL) * (2 * VL);
	_Pragma("GCC unroll 2") for (int part = 0; part < 2; part++) {
		vf sum[3][4] = {};
		for (int64_t c = 0; c < end; c += 2 * VL) {
			vf right[3];
			_Pragma("GCC unroll 3") for (int o = 0; o < outs; o++) {
				if (half) {
					vi pairs = *(const vi *)(half + o * k + c);
					right[o] = part ? (vf)(pairs & (int32_t)0xffff0000) : (vf)(pairs << 16);
				} else {
					right[o] = load(w + o * k + c + part * VL);
				}
			}
			_Pragma("GCC unroll 4") for (int r = 0; r < rows; r++) {
				vf left = load(x + r * k + c + part * VL);
				_Pragma("GCC unroll 3") for (int o = 0; o < outs; o++) sum[o][r] += left * right[o];
			}
		}
		_Pragma("GCC unroll 3") for (int o = 0; o < outs; o++)
			_Pragma("GCC unroll 4") for (int r = 0; r < rows; r++) s[part][o][r] = sum[o][r];
	}
	for (int o = 0; o < outs; o++)
		for (int r = 0; r < rows; r++) {
			float sum = hsum(s[0][o][r] + s[1][o][r]);
			for (int64_t i = end; i < k; i++) sum += x[r * k + i] * (half ? widen_one(half[o * k + i]) : w[o * k + i]);
			y[r * n + o] = sum;
		}
}

// Functions of their own: among others the sums do not stay in registers.
static __attribute__((noinline)) void few_apart_half(float *y, const float *x, const uint16_t *half, int64_t n, int64_t k) {
	few_apart(4, 3, y, x, NULL, half, n, k);
}
static __attribute__((noinline)) void few_apart_whole(float *y, const float *x, const float *w, int64_t n, int64_t k) {
	few_apart(4, 3, y, x, w, NULL, n, k);
}

// few_rows is few for any number of rows of x.
static inline __attribute__((always_inline)) void few_rows(int outs, float *y, const float *x, const float *w, const uint16_t *half,
														   int64_t rows, int64_t n, int64_t k) {
	switch (rows) {
	case 4:
		if (outs == 3 && VL == 8 && half)
			few_apart_half(y, x, half, n, k);
		else if (outs == 3 && VL == 8)
			few_apart_whole(y, x, w, n, k);
		else
			few(4, outs, y, x, w, half, n, k);
		break;
	case 3: few(3, outs, y, x, w, half, n, k); break;
	case 2: few(2, outs, y, x, w, half, n, k); break;
	case 1: few(1, outs, y, x, w, half, n, k); break;
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
	if (half) sort_pairs(scratch, x, rows, k);
	// Measured: with fewer rows three outputs are slower. Four rows of x stay in the nearest cache for a block of outputs.
	const int64_t outs = rows >= (VL == 8 ? 4 : 12) ? 3 : 1, block = outs == 3 ? 24 : 1;
#pragma omp parallel for schedule(static) if (n * k > SMALL)
	for (int64_t b = 0; b < (n + block - 1) / block; b++)
		for (int64_t r = 0; r < rows; r += 4) {
			const int64_t end = least((b + 1) * block, n), some = least(4, rows - r);
			const float *left = (half ? scratch : x) + r * k;
			int64_t j = b * block;
			for (; outs == 3 && j + 3 <= end; j += 3) {
				if (half)
					few_rows(3, y + r * n + j, left, NULL, half + j * k, some, n, k);
				else
					few_rows(3, y + r * n + j, left, w + j * k, NULL, some, n, k);
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

// ---- attention of one query for each text ----
//
// The keys of a text are taken in chunks of LW_CHUNK, each with its own softmax,
// so that one long text keeps all threads busy whatever the number of heads; the
// parts are put together afterwards. The query heads that share a key head are
// taken four at a time, so that a key is read once for four of them.
//
// Keys and values of a head are one stream of units of four bytes: a float, or a pair
// of bf16 values. The keys of LW_BLOCK tokens lie side by side, [room/LW_BLOCK][dim or
// dim/2][LW_BLOCK], so that a lane is a token and no sum goes over lanes; values are
// [room or room/2][dim], a pair being two tokens. room: tokens, a multiple of 2 * LW_BLOCK.

// put stores key and value [dim] of head h as the text's token t.
static void put(struct lw_cached text, const float *key, const float *value, int64_t h, int64_t t, int64_t dim, int half) {
	const int64_t lane = t % LW_BLOCK, depth = half ? dim / 2 : dim;
	const int64_t to_key = (h * text.room + t - lane) * depth + lane, to_value = (h * text.room + (half ? t & ~1 : t)) * depth;
	if (half) {
		uint32_t *keys = (uint32_t *)text.keys + to_key, *values = (uint32_t *)text.values + to_value;
		for (int64_t c = 0; c < depth; c++) keys[c * LW_BLOCK] = bf16_of(key[2 * c]) | (uint32_t)bf16_of(key[2 * c + 1]) << 16;
		if (t % 2)
			for (int64_t d = 0; d < dim; d++) values[d] = (values[d] & 0xffff) | (uint32_t)bf16_of(value[d]) << 16;
		else
			for (int64_t d = 0; d < dim; d++) values[d] = bf16_of(value[d]); // the next token's, 0, weighs nothing
	} else {
		for (int64_t d = 0; d < dim; d++) ((float *)text.keys)[to_key + d * LW_BLOCK] = key[d];
		memcpy((float *)text.values + to_value, value, dim * sizeof *value);
	}
}

// cache_put stores rows of keys and values behind the text's tokens.
static void cache_put(struct lw_cached text, const float *kv, int64_t ldkv, int64_t rows, int64_t heads, int64_t dim, int half) {
	const int64_t first = text.tokens / LW_BLOCK, blocks = (text.tokens + rows + LW_BLOCK - 1) / LW_BLOCK - first;
#pragma omp parallel for schedule(static) if (rows * heads * dim > SMALL)
	for (int64_t b = 0; b < blocks; b++)
		for (int64_t i = 0; i < LW_BLOCK; i++) {
			const int64_t t = (first + b) * LW_BLOCK + i, r = t - text.tokens;
			if (r < 0 || r >= rows) continue;
			for (int64_t h = 0; h < heads; h++) put(text, kv + r * ldkv + h * dim, kv + r * ldkv + (heads + h) * dim, h, t, dim, half);
		}
}

// times is sum plus units times a factor each, a pair's two products added. With
// PAIRS, where bf16 products are used at all, factors are pairs of bf16 values
// too, which attention of whole texts rounds to as well; else of floats. PER: how many
// floats of factors belong to a unit.
#define PER(format) (format == HALVES ? 2 : 1)
static inline __attribute__((always_inline)) vf times(vf sum, const float *units, const float *factor, int format) {
	if (format == FLOATS) return sum + splat(*factor) * load(units);
#ifdef LW_BF16
	if (format == PAIRS) {
		int32_t pair;
		memcpy(&pair, factor, sizeof pair);
		return (vf)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_epi32(pair), (__m512bh)_mm512_loadu_si512(units));
	}
#endif
	const vi pairs = *(const vi *)units;
	return sum + splat(factor[0]) * (vf)(pairs << 16) + splat(factor[1]) * (vf)(pairs & (int32_t)0xffff0000);
}

// as_factors makes n floats, a multiple of VL, factors in place.
static inline void as_factors(float *x, int64_t n, int format) {
	if (format == PAIRS)
		for (int64_t i = 0; i < n; i += VL) store_half((uint16_t *)x + i, load(x + i));
}

// ASK wants a line in the second cache: the processor does not guess that a head's
// chunk of keys is followed by its values, and these by the keys of another chunk. (No
// function: gcc finds it to be without effect.)
#define ASK(p) __builtin_prefetch(p, 0, 2)

// scores: s[g * LW_CHUNK + j] for heads g of q, factors [heads][MAX_DIM], and at least
// n keys of one head, whose values come next.
static inline __attribute__((always_inline)) void scores(int heads, float *s, const float *q, const float *keys, const float *values,
														 int64_t n, int64_t dim, int format) {
	const int64_t depth = format ? dim / 2 : dim;
	for (int64_t j = 0; j < n; j += 2 * VL) {
		const int64_t next = j + VL;
		const float *a = keys + j / LW_BLOCK * LW_BLOCK * depth + j % LW_BLOCK;
		const float *b = keys + next / LW_BLOCK * LW_BLOCK * depth + next % LW_BLOCK;
		vf sum[4][2] = {};
		for (int64_t c = 0; c < depth; c++) {
			for (int64_t i = 0; i < 2 * VL; i += 16) ASK(values + j * depth + c * 2 * VL + i);
			_Pragma("GCC unroll 4") for (int g = 0; g < heads; g++) {
				sum[g][0] = times(sum[g][0], a + c * LW_BLOCK, q + g * MAX_DIM + c * PER(format), format);
				sum[g][1] = times(sum[g][1], b + c * LW_BLOCK, q + g * MAX_DIM + c * PER(format), format);
			}
		}
		_Pragma("GCC unroll 4") for (int g = 0; g < heads; g++) {
			store(s + g * LW_CHUNK + j, sum[g][0]);
			store(s + g * LW_CHUNK + next, sum[g][1]);
		}
	}
}

// weigh: o[g * ldo + d] = the sum over n values, weighted by the factors p of head g.
// keys are those of the chunk that comes next.
static inline __attribute__((always_inline)) void weigh(int heads, float *o, int64_t ldo, const float *p, const float *values,
														const float *keys, int64_t n, int64_t dim, int format) {
	const int64_t units = format ? (n + 1) / 2 : n;
	int64_t d = 0;
#define WEIGH(NVEC)                                                                                                                        \
	for (; d + NVEC * VL <= dim; d += NVEC * VL) {                                                                                         \
		vf sum[4][NVEC] = {};                                                                                                              \
		for (int64_t j = 0; j < units; j++) {                                                                                              \
			for (int i = 0; i < NVEC * VL; i += 16) ASK(keys + j * dim + d + i);                                                           \
			_Pragma("GCC unroll 4") for (int g = 0; g < heads; g++) _Pragma("GCC unroll 4") for (int i = 0; i < NVEC; i++) sum[g][i] =     \
				times(sum[g][i], values + j * dim + d + i * VL, p + g * LW_CHUNK + j * PER(format), format);                               \
		}                                                                                                                                  \
		_Pragma("GCC unroll 4") for (int g = 0; g < heads; g++) _Pragma("GCC unroll 4") for (int i = 0; i < NVEC; i++)                     \
			store(o + g * ldo + d + i * VL, sum[g][i]);                                                                                    \
	}
	WEIGH(NV)
	WEIGH(1)
#undef WEIGH
}

// attend_chunk is heads of q [heads, dim] against n keys and values of one head, of
// which the first hidden weigh nothing: of each, dim values that are not yet divided,
// then their peak and their sum. next: the keys of the chunk that follows.
static inline __attribute__((always_inline)) void attend_chunk(int heads, float *part, const float *q, const float *keys,
															   const float *values, const float *next, int64_t hidden, int64_t n, int64_t dim,
															   float scale, int format) {
	float s[4 * LW_CHUNK], factors[4 * MAX_DIM];
	for (int g = 0; g < heads; g++) {
		for (int64_t d = 0; d < dim; d++) factors[g * MAX_DIM + d] = q[g * dim + d] * scale;
		as_factors(factors + g * MAX_DIM, dim, format);
	}
	scores(heads, s, factors, keys, values, n, dim, format);
	for (int g = 0; g < heads; g++) {
		float *row = s + g * LW_CHUNK, peak = -INFINITY;
		for (int64_t j = 0; j < hidden; j++) row[j] = -INFINITY;
		for (int64_t j = 0; j < n; j++) peak = row[j] > peak ? row[j] : peak;
		for (int64_t j = n; j % VL; j++) row[j] = -INFINITY;
		vf total = {};
		for (int64_t j = 0; j < n; j += VL) {
			vf e = vexp(load(row + j) - splat(peak));
			store(row + j, e);
			total += e;
		}
		as_factors(row, (n + VL - 1) / VL * VL, format);
		part[g * (dim + 2) + dim] = peak, part[g * (dim + 2) + dim + 1] = hsum(total);
	}
	weigh(heads, part, dim + 2, s, values, next, n, dim, format);
}

// base is the token that a text's first chunk begins with: blocks of keys are read whole.
static inline int64_t base(const struct lw_cached *text) { return text->first / (2 * LW_BLOCK) * (2 * LW_BLOCK); }

// keys_of is where the keys of a head's chunk begin: chunk i of all, of which each
// text has chunks for each of its heads.
static inline const float *keys_of(const struct lw_cached *texts, int64_t i, int64_t chunks, int64_t heads, int64_t depth) {
	const struct lw_cached *text = texts + i / (chunks * heads);
	return (const float *)text->keys + (i / chunks % heads * text->room + base(text) + i % chunks * LW_CHUNK) * depth;
}

#ifdef LW_BF16 // only processors that have the instruction are asked
#define ATTEND_PAIRS(heads) attend_chunk(heads, to, from, keys, values, next, hidden, n, dim, scale, PAIRS)
#else
#define ATTEND_PAIRS(heads)
#endif

// attend_cached: one token of each text, whose key and value are stored and whose
// query is answered; dim is a multiple of 16. scratch: for each text, chunk of the
// longest one and query head dim + 2 floats.
static void attend_cached(float *out, const float *qkv, int64_t ldq, const struct lw_cached *texts, int64_t count, int64_t longest,
						  int format, int64_t hq, int64_t hkv, int64_t dim, float scale, float *scratch) {
	const int64_t group = hq / hkv, chunks = (longest + LW_CHUNK - 1) / LW_CHUNK, part = dim + 2, depth = format ? dim / 2 : dim;
	const int64_t all = count * chunks * hkv;
#pragma omp parallel if (count * longest * hq * dim > SMALL)
	{
#pragma omp for schedule(static)
		for (int64_t i = 0; i < all; i++) {
			const int64_t text = i / (chunks * hkv), h = i / chunks % hkv, chunk = i % chunks;
			const struct lw_cached *c = texts + text;
			const int64_t begin = base(c) + chunk * LW_CHUNK, n = least(LW_CHUNK, c->tokens - begin), hidden = most(c->first - begin, 0);
			if (n <= 0) continue;
			if (begin + n == c->tokens) {
				const float *key = qkv + text * ldq + (hq + h) * dim;
				put(*c, key, key + hkv * dim, h, c->tokens - 1, dim, format != FLOATS);
			}
			const float *keys = keys_of(texts, i, chunks, hkv, depth), *next = keys_of(texts, least(i + 1, all - 1), chunks, hkv, depth);
			const float *values = (const float *)c->values + (keys - (const float *)c->keys);
			for (int64_t g = 0; g < group; g += 4) {
				const int64_t head = h * group + g;
				float *to = scratch + ((text * chunks + chunk) * hq + head) * part;
				const float *from = qkv + text * ldq + head * dim;
#define ATTEND(heads)                                                                                                                      \
	case heads:                                                                                                                            \
		switch (format) {                                                                                                                  \
		case FLOATS: attend_chunk(heads, to, from, keys, values, next, hidden, n, dim, scale, FLOATS); break;                                      \
		case HALVES: attend_chunk(heads, to, from, keys, values, next, hidden, n, dim, scale, HALVES); break;                                      \
		case PAIRS: ATTEND_PAIRS(heads); break;                                                                                            \
		}                                                                                                                                  \
		break;
				switch (least(4, group - g)) {
					ATTEND(1)
					ATTEND(2)
					ATTEND(3)
					ATTEND(4)
				}
#undef ATTEND
			}
		}
#pragma omp for schedule(static)
		for (int64_t i = 0; i < count * hq; i++) {
			const int64_t text = i / hq, n = (texts[text].tokens - base(texts + text) + LW_CHUNK - 1) / LW_CHUNK;
			const float *from = scratch + (text * chunks * hq + i % hq) * part;
			float *o = out + i * dim, peak = -INFINITY, sum = 0;
			for (int64_t c = 0; c < n; c++) peak = fmaxf(peak, from[c * hq * part + dim]);
			for (int64_t c = 0; c < n; c++) sum += from[c * hq * part + dim + 1] * expf(from[c * hq * part + dim] - peak);
			for (int64_t d = 0; d < dim; d++) o[d] = 0;
			for (int64_t c = 0; c < n; c++) {
				const float weight = expf(from[c * hq * part + dim] - peak) / sum;
				for (int64_t d = 0; d < dim; d++) o[d] += weight * from[c * hq * part + d];
			}
		}
	}
}

// highest: the first position of the highest of each row, -1 where one is not finite.
static void highest(int32_t *at, const float *x, int64_t rows, int64_t cols) {
#pragma omp parallel for schedule(static) if (rows * cols > SMALL)
	for (int64_t r = 0; r < rows; r++) {
		const float *row = x + r * cols;
		vf peak = splat(-INFINITY), zero = {};
		int64_t i = 0;
		for (; i + VL <= cols; i += VL) {
			peak = vmax(peak, load(row + i));
			zero += load(row + i) - load(row + i); // a NaN unless all are finite
		}
		float best = hmax(peak), sum = hsum(zero);
		for (int64_t j = i; j < cols; j++) best = fmaxf(best, row[j]), sum += row[j] - row[j];
		for (i = 0; i < cols - 1 && row[i] != best; i++) {}
		at[r] = sum == 0 ? i : -1;
	}
}
