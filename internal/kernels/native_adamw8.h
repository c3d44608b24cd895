// AdamW with weights of 24 bits and moments of 8: see adamw8.go, whose arithmetic this is,
// operation by operation. So that the bytes are the same, no product and sum become one
// rounding here.
#pragma GCC push_options
#pragma GCC optimize("fp-contract=off", "no-math-errno", "no-trapping-math")
#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#endif

// from_float24 puts the two parts of weights together.
static void from_float24(float *d, const uint16_t *half, const int8_t *low, int64_t n) {
#pragma omp parallel if (n > SMALL)
	{
		int64_t lo, hi;
		share(n, 1024, &lo, &hi);
		for (int64_t i = lo; i < hi; i++) {
			uint32_t u = ((uint32_t)half[i] << 16) + ((uint32_t)(int32_t)low[i] << 8);
			memcpy(d + i, &u, 4);
		}
	}
}

static inline float scale_value(uint16_t s) {
	uint32_t u = (uint32_t)s << 15;
	float x;
	memcpy(&x, &u, 4);
	return x;
}

// scale_of is the scale of moments whose largest has these bits.
static inline uint16_t scale_of(int32_t top) {
	if (top < LW_LEAST_SCALE) return 0;
	if (top > LW_MOST_SCALE) top = LW_MOST_SCALE;
	return (uint16_t)(((uint32_t)top + 0x4000) >> 15);
}

// Vectors as in native_impl.h, with what is here about roundings.
typedef int8_t vb __attribute__((vector_size(VL), aligned(1), may_alias));
typedef uint8_t vub __attribute__((vector_size(VL), aligned(1), may_alias));
#define NEAREST(x) (((x) + 12582912.0f) - 12582912.0f)
#define SIZE(x) ((vf)((vi)(x)&0x7fffffff))
#define PICK(mask, a, b) ((vf)(((mask) & (vi)(a)) | (~(mask) & (vi)(b))))
#define WIDE(x) __builtin_convertvector(__builtin_convertvector(x, vi), vf)

// roots are square roots; the compiler makes vectors of no call that may set errno.
static inline vf roots(vf x) {
#if !defined(__x86_64__)
	for (int i = 0; i < VL; i++) x[i] = sqrtf(x[i]);
	return x;
#elif VL == 16
	return (vf)_mm512_sqrt_ps((__m512)x);
#elif VL == 8
	return (vf)_mm256_sqrt_ps((__m256)x);
#else
	return (vf)_mm_sqrt_ps((__m128)x);
#endif
}

static inline int32_t top_bits(vf top) {
	float most = 0;
	for (int i = 0; i < VL; i++) most = top[i] > most ? top[i] : most;
	int32_t bits;
	memcpy(&bits, &most, 4);
	return bits;
}

// group8 updates the moments of a group and its weights x, float32.
static inline void group8(float *restrict x, float *restrict g, int8_t *restrict mean, uint8_t *restrict square, uint16_t *restrict scales,
						  const struct lw_adamw8 *k) {
	vf m[LW_GROUP / VL], r[LW_GROUP / VL], top1 = {0}, top2 = {0};
	const vf one = (vf){0} + 1.0f, zero = {0};
	const float s1 = scale_value(scales[0]), s2 = scale_value(scales[1]) * (1 / 255.0f);
	for (int i = 0; i < LW_GROUP / VL; i++) {
		const vf q = WIDE(((vb *)mean)[i]), was = s1 * (q / (254.0f - SIZE(q))), t = s2 * WIDE(((vub *)square)[i]);
		const vf y = ((vf *)g)[i] * k->scale;
		((vf *)g)[i] = zero;
		m[i] = was + k->new1 * (y - was);
		r[i] = roots(t * t * k->b2 + k->new2 * y * y);
		((vf *)x)[i] = ((vf *)x)[i] * k->keep - k->size * (m[i] / (r[i] * k->root + k->eps));
		const vf a = SIZE(m[i]);
		top1 = PICK(a > top1, a, top1);
		top2 = PICK(r[i] > top2, r[i], top2);
	}
	scales[0] = scale_of(top_bits(top1));
	scales[1] = scale_of(top_bits(top2));
	const float i1 = scales[0] ? 1 / scale_value(scales[0]) : 0, i2 = scales[1] ? 1 / scale_value(scales[1]) : 0;
	for (int i = 0; i < LW_GROUP / VL; i++) {
		const vf z = m[i] * i1, a = SIZE(z), end = PICK(z > zero, one * 127.0f, one * -127.0f);
		const vf code = PICK(a < one, NEAREST(254.0f * z / (1.0f + a)), end);
		((vb *)mean)[i] = __builtin_convertvector(__builtin_convertvector(code, vi), vb);
		const vf v = r[i] * i2, c = PICK(v < one, NEAREST(255.0f * v), one * 255.0f);
		const vf root = PICK((c < one) & (v > zero), one, c);
		((vub *)square)[i] = __builtin_convertvector(__builtin_convertvector(root, vi), vub);
	}
}

// split24 cuts weights in two, rounded up or down by chance.
static inline void split24(uint16_t *restrict half, int8_t *restrict low, const float *restrict x, uint32_t at) {
	for (int i = 0; i < LW_GROUP; i++) {
		uint32_t h = at + (uint32_t)i, u;
		h = (h ^ h >> 16) * 0x85ebca6b;
		h = (h ^ h >> 13) * 0xc2b2ae35;
		memcpy(&u, x + i, 4);
		u = (u + (h >> 24)) >> 8;
		half[i] = (uint16_t)((u + 0x80) >> 8);
		low[i] = (int8_t)u;
	}
}

static void adamw8(float *p, uint16_t *half, int8_t *low, float *g, int8_t *mean, uint8_t *square, uint16_t *scales, int64_t n,
				   struct lw_adamw8 k) {
#pragma omp parallel if (n > SMALL)
	{
		int64_t lo, hi;
		share(n, 1024, &lo, &hi);
		for (int64_t i = lo; i < hi; i += LW_GROUP) {
			float x[LW_GROUP] = {0}, gs[LW_GROUP] = {0};
			int8_t m[LW_GROUP] = {0}, l[LW_GROUP] = {0};
			uint8_t v[LW_GROUP] = {0};
			uint16_t h[LW_GROUP] = {0};
			const int64_t left = hi - i;
			if (left >= LW_GROUP) {
				if (p) {
					group8(p + i, g + i, mean + i, square + i, scales + i / LW_GROUP * 2, &k);
					continue;
				}
				for (int j = 0; j < LW_GROUP; j++) {
					uint32_t u = ((uint32_t)half[i + j] << 16) + ((uint32_t)(int32_t)low[i + j] << 8);
					memcpy(x + j, &u, 4);
				}
				group8(x, g + i, mean + i, square + i, scales + i / LW_GROUP * 2, &k);
				split24(half + i, low + i, x, k.seed + (uint32_t)i);
				continue;
			}
			// The last group, which is not whole: a copy of it is.
			for (int64_t j = 0; j < left; j++) {
				uint32_t u = p ? 0 : ((uint32_t)half[i + j] << 16) + ((uint32_t)(int32_t)low[i + j] << 8);
				memcpy(x + j, p ? (void *)(p + i + j) : (void *)&u, 4);
				gs[j] = g[i + j], m[j] = mean[i + j], v[j] = square[i + j], g[i + j] = 0;
			}
			group8(x, gs, m, v, scales + i / LW_GROUP * 2, &k);
			memcpy(mean + i, m, left);
			memcpy(square + i, v, left);
			if (p) {
				memcpy(p + i, x, left * sizeof *x);
				continue;
			}
			split24(h, l, x, k.seed + (uint32_t)i);
			memcpy(half + i, h, left * sizeof *h);
			memcpy(low + i, l, left);
		}
	}
}

#undef NEAREST
#undef SIZE
#undef PICK
#undef WIDE
#pragma GCC pop_options
