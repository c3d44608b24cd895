// Short convolutions, and heads with gates, part of native_impl.h. See recurrent.go for
// shapes and meanings.

// taps_of is w [dim, taps] with the taps outside: a vector is a run of channels.
static float *taps_of(const float *w, int64_t dim, int64_t taps) {
	float *out = malloc(dim * taps * sizeof *out);
	for (int64_t c = 0; c < dim; c++)
		for (int64_t j = 0; j < taps; j++) out[j * dim + c] = w[c * taps + j];
	return out;
}

// conv_input is what a convolution sees of channel c in row t.
static inline float conv_input(const float *x, int64_t t, int64_t c, int64_t dim, int gated) {
	return gated ? x[t * 3 * dim + c] * x[t * 3 * dim + 2 * dim + c] : x[t * dim + c];
}

// conv_row is the sum over the taps of row t, before gate or activation.
static inline void conv_row(float *s, const float *x, const float *w, int64_t t, int64_t start, int64_t dim, int64_t taps, int gated) {
	memset(s, 0, dim * sizeof *s);
	for (int64_t j = 0; j < taps; j++) {
		const int64_t from = t - (taps - 1) + j;
		if (from < start) continue;
		const float *weight = w + j * dim;
		if (gated) {
			const float *b = x + from * 3 * dim, *z = b + 2 * dim;
			for (int64_t c = 0; c < dim; c++) s[c] += weight[c] * (b[c] * z[c]);
		} else {
			const float *in = x + from * dim;
			for (int64_t c = 0; c < dim; c++) s[c] += weight[c] * in[c];
		}
	}
}

static void conv(float *y, const float *x, const float *w, const int32_t *starts, int64_t rows, int64_t dim, int64_t taps, int gated) {
	float *weights = taps_of(w, dim, taps);
#pragma omp parallel for schedule(static) if (rows * dim > SMALL)
	for (int64_t t = 0; t < rows; t++) {
		float *to = y + t * dim;
		conv_row(to, x, weights, t, starts[t], dim, taps, gated);
		int64_t c = 0;
		if (gated) {
			const float *gate = x + t * 3 * dim + dim;
			for (; c < dim; c++) to[c] *= gate[c];
		} else {
			for (; c + VL <= dim; c += VL) store(to + c, load(to + c) * sigmoid(load(to + c)));
			for (; c < dim; c++) to[c] = to[c] / (1 + expf(-to[c]));
		}
	}
	free(weights);
}

// conv_slope makes ds, the gradient of the sums over taps; of gates, the gradient goes
// to their place in dx, unless that is nil.
static void conv_slope(float *ds, float *dx, const float *x, const float *w, const float *dy, const int32_t *starts, int64_t rows,
					   int64_t dim, int64_t taps, int gated) {
	float *weights = taps_of(w, dim, taps);
#pragma omp parallel for schedule(static) if (rows * dim > SMALL)
	for (int64_t t = 0; t < rows; t++) {
		float *s = ds + t * dim;
		const float *d = dy + t * dim;
		conv_row(s, x, weights, t, starts[t], dim, taps, gated);
		if (gated) {
			const float *gate = x + t * 3 * dim + dim;
			if (dx)
				for (int64_t c = 0; c < dim; c++) dx[t * 3 * dim + dim + c] = d[c] * s[c];
			for (int64_t c = 0; c < dim; c++) s[c] = d[c] * gate[c];
			continue;
		}
		int64_t c = 0;
		for (; c + VL <= dim; c += VL) {
			vf v = load(s + c), p = sigmoid(v);
			store(s + c, load(d + c) * p * (splat(1) + v * (splat(1) - p)));
		}
		for (; c < dim; c++) {
			float p = 1 / (1 + expf(-s[c]));
			s[c] = d[c] * p * (1 + s[c] * (1 - p));
		}
	}
	free(weights);
}

static void conv_grad(float *dx, const float *x, const float *w, const float *ds, const int32_t *starts, int64_t rows, int64_t dim,
					  int64_t taps, int gated) {
	float *weights = taps_of(w, dim, taps);
#pragma omp parallel if (rows * dim > SMALL)
	{
		float *du = malloc(dim * sizeof *du);
#pragma omp for schedule(static)
		for (int64_t t = 0; t < rows; t++) {
			memset(du, 0, dim * sizeof *du);
			for (int64_t j = taps - 1; j >= 0; j--) {
				const int64_t to = t + (taps - 1) - j; // the row that sees t by tap j
				if (to >= rows || starts[to] > t) continue;
				const float *weight = weights + j * dim, *d = ds + to * dim;
				for (int64_t c = 0; c < dim; c++) du[c] += weight[c] * d[c];
			}
			if (!gated) {
				memcpy(dx + t * dim, du, dim * sizeof *du);
				continue;
			}
			const float *b = x + t * 3 * dim, *z = b + 2 * dim;
			float *db = dx + t * 3 * dim, *dz = db + 2 * dim;
			for (int64_t c = 0; c < dim; c++) db[c] = du[c] * z[c], dz[c] = du[c] * b[c];
		}
		free(du);
	}
	free(weights);
}

static void conv_grad_weight(float *dw, const float *x, const float *ds, const int32_t *starts, int64_t rows, int64_t dim, int64_t taps,
							 int gated, int add) {
	float *partial = calloc(CHUNKS * dim * taps, sizeof *partial);
#pragma omp parallel for schedule(static) if (rows * dim > SMALL)
	for (int k = 0; k < CHUNKS; k++)
		for (int64_t t = rows * k / CHUNKS; t < rows * (k + 1) / CHUNKS; t++)
			for (int64_t j = 0; j < taps; j++) {
				const int64_t from = t - (taps - 1) + j;
				if (from < starts[t]) continue;
				float *to = partial + (k * taps + j) * dim;
				for (int64_t c = 0; c < dim; c++) to[c] += ds[t * dim + c] * conv_input(x, from, c, dim, gated);
			}
	for (int64_t c = 0; c < dim; c++)
		for (int64_t j = 0; j < taps; j++) {
			double s = 0;
			for (int k = 0; k < CHUNKS; k++) s += partial[(k * taps + j) * dim + c];
			dw[c * taps + j] = (float)(add ? dw[c * taps + j] + s : s);
		}
	free(partial);
}

// ---- heads with gates: see GatedHeads ----

static void split_heads(float *qkv, float *x, int64_t rows, int64_t hq, int64_t hkv, int64_t dim, int back, int add) {
	const int64_t width = (hq + 2 * hkv) * dim, wide = width + hq * dim;
#pragma omp parallel for schedule(static) if (rows * wide > SMALL)
	for (int64_t t = 0; t < rows; t++) {
		float *narrow = qkv + t * width, *full = x + t * wide;
		for (int64_t h = 0; h <= hq; h++) { // the last one: keys and values
			float *a = narrow + h * dim, *b = full + 2 * h * dim;
			const int64_t n = h < hq ? dim : 2 * hkv * dim;
			if (!back) memcpy(a, b, n * sizeof *a);
			else if (add)
				for (int64_t i = 0; i < n; i++) b[i] += a[i];
			else {
				memcpy(b, a, n * sizeof *a);
				if (h < hq) memset(b + dim, 0, dim * sizeof *b);
			}
		}
	}
}

static void gate_heads(float *y, const float *a, const float *x, int64_t rows, int64_t hq, int64_t hkv, int64_t dim) {
	const int64_t wide = 2 * (hq + hkv) * dim;
#pragma omp parallel for schedule(static) if (rows * wide > SMALL)
	for (int64_t t = 0; t < rows; t++)
		for (int64_t h = 0; h < hq; h++) {
			const float *gate = x + t * wide + (2 * h + 1) * dim, *in = a + (t * hq + h) * dim;
			float *to = y + (t * hq + h) * dim;
			int64_t i = 0;
			for (; i + VL <= dim; i += VL) store(to + i, load(in + i) * sigmoid(load(gate + i)));
			for (; i < dim; i++) to[i] = in[i] / (1 + expf(-gate[i]));
		}
}

static void gate_heads_grad(float *dx, const float *a, const float *x, const float *dy, int64_t rows, int64_t hq, int64_t hkv, int64_t dim,
							int add) {
	const int64_t wide = 2 * (hq + hkv) * dim;
#pragma omp parallel for schedule(static) if (rows * wide > SMALL)
	for (int64_t t = 0; t < rows; t++) {
		if (!add) memset(dx + t * wide, 0, wide * sizeof *dx);
		for (int64_t h = 0; h < hq; h++) {
			const float *gate = x + t * wide + (2 * h + 1) * dim, *in = a + (t * hq + h) * dim, *d = dy + (t * hq + h) * dim;
			float *to = dx + t * wide + (2 * h + 1) * dim;
			int64_t i = 0;
			for (; i + VL <= dim; i += VL) {
				vf p = sigmoid(load(gate + i));
				store(to + i, load(to + i) + load(d + i) * load(in + i) * p * (splat(1) - p));
			}
			for (; i < dim; i++) {
				float p = 1 / (1 + expf(-gate[i]));
				to[i] += d[i] * in[i] * p * (1 - p);
			}
		}
	}
}
