// Attention of decoding, part of native_impl.h: it reads the cached keys and values once for each token, and should
// take no longer than that.

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
		float *row = s + g * LW_CHUNK;
		for (int64_t j = 0; j < hidden; j++) row[j] = -INFINITY;
		for (int64_t j = n; j % VL; j++) row[j] = -INFINITY;
		vf peaks = splat(-INFINITY), total = {};
		for (int64_t j = 0; j < n; j += VL) peaks = vmax(load(row + j), peaks);
		const float peak = hmax(peaks);
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
