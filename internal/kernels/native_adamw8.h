// AdamW with weights of 24 bits and moments of 8: see adamw8.go, whose arithmetic this is,
// operation by operation. So that the bytes are the same, no product and sum become one
// rounding here.
#pragma GCC push_options
#pragma GCC optimize("fp-contract=off")
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

static inline float nearest(float x) { return (x + 12582912.0f) - 12582912.0f; }

// group8 updates the moments of a group and its weights x, float32.
static inline void group8(float *restrict x, float *restrict g, int8_t *restrict mean, uint8_t *restrict square, uint16_t *restrict scales,
						  const struct lw_adamw8 *k) {
	float m[LW_GROUP], r[LW_GROUP];
	const float s1 = scale_value(scales[0]), s2 = scale_value(scales[1]) * (1 / 255.0f);
	const float keep = k->keep, size = k->size, new1 = k->new1, b2 = k->b2, new2 = k->new2, eps = k->eps, scale = k->scale, root = k->root;
	int32_t top1 = 0, top2 = 0;
	for (int i = 0; i < LW_GROUP; i++) {
		float q = mean[i], was = s1 * (q / (254.0f - fabsf(q)));
		float t = s2 * (float)square[i];
		float y = g[i] * scale;
		g[i] = 0;
		m[i] = was + new1 * (y - was);
		r[i] = sqrtf(t * t * b2 + new2 * y * y);
		x[i] = x[i] * keep - size * (m[i] / (r[i] * root + eps));
	}
	for (int i = 0; i < LW_GROUP; i++) {
		int32_t a, b;
		memcpy(&a, m + i, 4);
		memcpy(&b, r + i, 4);
		a &= 0x7fffffff;
		top1 = a > top1 ? a : top1;
		top2 = b > top2 ? b : top2;
	}
	scales[0] = scale_of(top1);
	scales[1] = scale_of(top2);
	const float i1 = scales[0] ? 1 / scale_value(scales[0]) : 0, i2 = scales[1] ? 1 / scale_value(scales[1]) : 0;
	for (int i = 0; i < LW_GROUP; i++) {
		float z = m[i] * i1, a = fabsf(z);
		float y = a < 1 ? 254.0f * z / (1 + a) : z > 0 ? 127.0f : -127.0f;
		mean[i] = (int8_t)(int32_t)nearest(y);
		float v = r[i] * i2;
		float c = v < 1 ? nearest(255.0f * v) : 255.0f;
		square[i] = (uint8_t)(int32_t)(c < 1 && v > 0 ? 1.0f : c);
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

#pragma GCC pop_options
