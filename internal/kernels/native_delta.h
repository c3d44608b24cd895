// The gated delta rule (Yang, Kautz and Hatamizadeh 2024, arXiv:2412.06464) in chunks,
// part of native_impl.h. See recurrent.go for shapes and meanings.

#define DR LW_DELTA_ROWS
#define DS 12 // rows that the system is solved for at once

// What is given of a layer.
struct delta {
	const float *qkv, *gates, *a_log, *dt_bias, *norm;
	const int32_t *starts;
	int64_t rows, hk, hv, dk, dv;
	float eps;
};

// A chunk of at most DR rows: what all value heads of a key head share of it. Rows
// behind n are zero.
struct chunk {
	int64_t at, n;
	float *q, *k, *qt, *kt;   // [DR, dk], [dk, DR]: of length 1, q over sqrt(dk)
	float *rq, *rk;			  // [DR] what they were multiplied by
	float *kk, *qk;			  // [DR, DR] products of keys, and of queries, with keys
};

// What one value head makes of it.
struct head {
	float *beta, *c, *e;	  // [DR] beta; the logs of the decay since the chunk's start; what is left of a row at the end
	float *l, *a, *p;		  // [DR, DR] the decay from column to row; the system's other side; what rows see of each other
	float *y, *u, *o;		  // [DR, dv] what the state says of keys; new values; what queries read
	float *scaled;			  // [dk, DR]
};

static inline float softplus(float x) { return x > 20 ? x : log1pf(expf(x)); }

static inline float *carve(float **from, int64_t n) {
	float *p = *from;
	*from += n;
	return p;
}

static struct chunk chunk_of(float **s, int64_t dk) {
	struct chunk c = {0};
	c.q = carve(s, DR * dk), c.k = carve(s, DR * dk), c.qt = carve(s, DR * dk), c.kt = carve(s, DR * dk);
	c.rq = carve(s, DR), c.rk = carve(s, DR);
	c.kk = carve(s, DR * DR), c.qk = carve(s, DR * DR);
	return c;
}

static struct head head_of(float **s, int64_t dk, int64_t dv) {
	struct head h;
	h.beta = carve(s, DR), h.c = carve(s, DR), h.e = carve(s, DR);
	h.l = carve(s, DR * DR), h.a = carve(s, DR * DR), h.p = carve(s, DR * DR);
	h.y = carve(s, DR * dv), h.u = carve(s, DR * dv), h.o = carve(s, DR * dv);
	h.scaled = carve(s, DR * dk);
	return h;
}

static inline void flip(float *to, int64_t ldt, const float *from, int64_t ldf, int64_t rows, int64_t cols) {
	for (int64_t r = 0; r < rows; r++)
		for (int64_t c = 0; c < cols; c++) to[c * ldt + r] = from[r * ldf + c];
}

static void chunk_read(struct chunk *c, const struct delta *d, int64_t hk, int64_t at, int64_t n, int with_q) {
	const int64_t width = 2 * d->hk * d->dk + d->hv * d->dv, dk = d->dk;
	const float scale = 1 / sqrtf((float)dk);
	c->at = at, c->n = n;
	for (int side = with_q ? 0 : 1; side < 2; side++) {
		float *to = side ? c->k : c->q, *r = side ? c->rk : c->rq;
		for (int64_t i = 0; i < n; i++) {
			const float *x = d->qkv + (at + i) * width + (side * d->hk + hk) * dk;
			r[i] = (side ? 1 : scale) / sqrtf(dot(x, x, dk) + 1e-6f);
			for (int64_t k = 0; k < dk; k++) to[i * dk + k] = x[k] * r[i];
		}
		memset(to + n * dk, 0, (DR - n) * dk * sizeof *to);
		flip(side ? c->kt : c->qt, DR, to, dk, DR, dk);
	}
	product(n, DR, dk, c->k, dk, c->kt, DR, c->kk, DR, 0);
	if (with_q) product(n, DR, dk, c->q, dk, c->kt, DR, c->qk, DR, 0);
}

// head_values solves the chunk for the new values h->u, given the state s [dk, dv].
static void head_values(struct head *h, const struct chunk *c, const struct delta *d, int64_t hv, const float *s, int with_q) {
	const int64_t width = 2 * d->hk * d->dk + d->hv * d->dv, beside = d->hv * d->dv + 2 * d->hv, dv = d->dv, n = c->n;
	const float rate = -expf(d->a_log[hv]);
	float sum = 0;
	for (int64_t i = 0; i < n; i++) {
		const float *g = d->gates + (c->at + i) * beside + d->hv * dv;
		h->beta[i] = 1 / (1 + expf(-g[hv]));
		sum += rate * softplus(g[d->hv + hv] + d->dt_bias[hv]);
		h->c[i] = sum;
	}
	memset(h->p, 0, DR * DR * sizeof *h->p);
	memset(h->a, 0, DR * DR * sizeof *h->a);
	for (int64_t i = 0; i < n; i++) {
		h->e[i] = expf(sum - h->c[i]);
		for (int64_t j = 0; j <= i; j += VL) store(h->l + i * DR + j, vexp(splat(h->c[i]) - load(h->c + j)));
		for (int64_t j = 0; j <= i; j++) {
			const float l = h->l[i * DR + j];
			if (with_q) h->p[i * DR + j] = c->qk[i * DR + j] * l;
			if (j < i) h->a[i * DR + j] = -h->beta[i] * c->kk[i * DR + j] * l;
		}
	}
	product(n, dv, d->dk, c->k, d->dk, s, dv, h->y, dv, 0);
	for (int64_t i = 0; i < n; i++) {
		const float *v = d->qkv + (c->at + i) * width + 2 * d->hk * d->dk + hv * dv, left = expf(h->c[i]), beta = h->beta[i];
		float *u = h->u + i * dv;
		for (int64_t k = 0; k < dv; k++) u[k] = beta * (v[k] - left * h->y[i * dv + k]);
	}
	for (int64_t at = 0; at < n; at += DS) { // of what is solved, all at once; then within the rows
		const int64_t some = n - at < DS ? n - at : DS;
		if (at > 0) product(some, dv, at, h->a + at * DR, DR, h->u, dv, h->u + at * dv, dv, 1);
		for (int64_t i = 1; i < some; i++)
			product(1, dv, i, h->a + (at + i) * DR + at, DR, h->u + at * dv, dv, h->u + (at + i) * dv, dv, 1);
	}
	if (!with_q) return;
	product(n, dv, d->dk, c->q, d->dk, s, dv, h->o, dv, 0);
	for (int64_t i = 0; i < n; i++) {
		const float left = expf(h->c[i]);
		for (int64_t k = 0; k < dv; k++) h->o[i * dv + k] *= left;
	}
	product(n, dv, n, h->p, DR, h->u, dv, h->o, dv, 1);
}

// head_advance makes s the state behind the chunk.
static void head_advance(struct head *h, const struct chunk *c, const struct delta *d, float *s) {
	const int64_t n = c->n, dk = d->dk, dv = d->dv;
	const float left = expf(h->c[n - 1]);
	for (int64_t k = 0; k < dk * dv; k++) s[k] *= left;
	for (int64_t k = 0; k < dk; k++)
		for (int64_t i = 0; i < n; i++) h->scaled[k * DR + i] = c->kt[k * DR + i] * h->e[i];
	product(dk, dv, n, h->scaled, DR, h->u, dv, s, dv, 1);
}

// document is the end of the one that begins at row at.
static inline int64_t document(const int32_t *starts, int64_t at, int64_t rows) {
	int64_t end = at + 1;
	while (end < rows && starts[end] <= at) end++;
	return end;
}


static void delta_rule(float *out, float *state, const float *qkv, const float *gates, const float *a_log, const float *dt_bias,
					   const float *norm, const int32_t *starts, int64_t rows, int64_t hk, int64_t hv, int64_t dk, int64_t dv, float eps,
					   float *scratch, int64_t each) {
	const struct delta d = {qkv, gates, a_log, dt_bias, norm, starts, rows, hk, hv, dk, dv, eps};
	const int64_t group = hv / hk, beside = hv * dv + 2 * hv;
#pragma omp parallel for schedule(static) if (rows * hv * dv > SMALL)
	for (int64_t kh = 0; kh < hk; kh++) {
		float *s = scratch + omp_get_thread_num() * each;
		struct chunk c = chunk_of(&s, dk);
		struct head h = head_of(&s, dk, dv);
		float *states = carve(&s, group * dk * dv);
		for (int64_t from = 0, end; from < rows; from = end) {
			end = document(starts, from, rows);
			memset(states, 0, group * dk * dv * sizeof *states);
			for (int64_t at = from; at < end; at += DR) {
				chunk_read(&c, &d, kh, at, end - at < DR ? end - at : DR, 1);
				for (int64_t g = 0; g < group; g++) {
					const int64_t v = kh * group + g;
					head_values(&h, &c, &d, v, states + g * dk * dv, 1);
					if (at + DR < end || state) head_advance(&h, &c, &d, states + g * dk * dv);
					for (int64_t i = 0; i < c.n; i++) {
						const float *z = gates + (at + i) * beside + v * dv, *o = h.o + i * dv, r = inverse_rms(o, dv, eps);
						float *to = out + (at + i) * hv * dv + v * dv;
						for (int64_t k = 0; k < dv; k += VL)
							store(to + k, load(o + k) * splat(r) * load(norm + k) * (load(z + k) * sigmoid(load(z + k))));
					}
				}
			}
		}
		if (state) memcpy(state + kh * group * dk * dv, states, group * dk * dv * sizeof *states);
	}
}

// delta_step is one token of each text, whose states [hv, dk, dv] are moved on.
static void delta_step(float *out, float *const *states, const float *qkv, const float *gates, const float *a_log, const float *dt_bias,
					   const float *norm, int64_t rows, int64_t hk, int64_t hv, int64_t dk, int64_t dv, float eps) {
	const int64_t width = 2 * hk * dk + hv * dv, beside = hv * dv + 2 * hv;
#pragma omp parallel for schedule(static) if (rows * hv * dk * dv > SMALL)
	for (int64_t unit = 0; unit < rows * hv; unit++) {
		const int64_t t = unit / hv, v = unit % hv, kh = v / (hv / hk);
		const float *q = qkv + t * width + kh * dk, *k = q + hk * dk, *x = qkv + t * width + 2 * hk * dk + v * dv;
		const float *g = gates + t * beside, *z = g + v * dv;
		float *s = states[t] + v * dk * dv, *o = out + t * hv * dv + v * dv;
		const float rq = 1 / (sqrtf((float)dk) * sqrtf(dot(q, q, dk) + 1e-6f)), rk = 1 / sqrtf(dot(k, k, dk) + 1e-6f);
		const float beta = 1 / (1 + expf(-g[hv * dv + v]));
		const float left = expf(-expf(a_log[v]) * softplus(g[hv * dv + hv + v] + dt_bias[v]));
		for (int64_t i = 0; i < dv; i += VL) {
			vf said = {}, read = {};
			for (int64_t r = 0; r < dk; r++) said += load(s + r * dv + i) * splat(left * (k[r] * rk));
			vf u = splat(beta) * (load(x + i) - said);
			for (int64_t r = 0; r < dk; r++) {
				vf now = load(s + r * dv + i) * splat(left) + splat(k[r] * rk) * u;
				store(s + r * dv + i, now);
				read += now * splat(q[r] * rq);
			}
			store(o + i, read);
		}
		const float scale = inverse_rms(o, dv, eps);
		for (int64_t i = 0; i < dv; i += VL)
			store(o + i, load(o + i) * splat(scale) * load(norm + i) * (load(z + i) * sigmoid(load(z + i))));
	}
}

// What the gradient of a chunk works in beside struct head.
struct slopes {
	float *dq, *dk;					// [DR, dk] of queries and keys of length 1
	float *dO, *du, *z, *dy;		// [DR, dv]
	float *ut;						// [dv, DR]
	float *dp, *da, *pt, *x;		// [DR, DR]
	float *st, *dst;				// [dv, dk]
	float *dbeta;					// [DR]
};

static struct slopes slopes_of(float **s, int64_t dk, int64_t dv) {
	struct slopes d;
	d.dq = carve(s, DR * dk), d.dk = carve(s, DR * dk);
	d.dO = carve(s, DR * dv), d.du = carve(s, DR * dv), d.z = carve(s, DR * dv), d.dy = carve(s, DR * dv);
	d.ut = carve(s, DR * dv);
	d.dp = carve(s, DR * DR), d.da = carve(s, DR * DR), d.pt = carve(s, DR * DR), d.x = carve(s, DR * DR);
	d.st = carve(s, dk * dv), d.dst = carve(s, dk * dv);
	d.dbeta = carve(s, DR);
	return d;
}

// norm_slopes makes dO and the gradients of z and of the norm's weights.
static void norm_slopes(struct slopes *w, const struct head *h, const struct chunk *c, const struct delta *d, int64_t hv, const float *dout,
						float *dgates, float *dnorm) {
	const int64_t dv = d->dv, beside = d->hv * dv + 2 * d->hv;
	for (int64_t i = 0; i < c->n; i++) {
		const int64_t row = c->at + i;
		const float *z = d->gates + row * beside + hv * dv, *o = h->o + i * dv, *dy = dout + row * d->hv * dv + hv * dv;
		float *dz = dgates + row * beside + hv * dv, *g = w->dO + i * dv, r = inverse_rms(o, dv, d->eps);
		for (int64_t k = 0; k < dv; k += VL) {
			vf zv = load(z + k), p = sigmoid(zv), normed = load(o + k) * splat(r), wt = load(d->norm + k), up = load(dy + k);
			store(dz + k, up * normed * wt * p * (splat(1) + zv * (splat(1) - p)));
			store(g + k, up * zv * p);
			store(dnorm + k, load(dnorm + k) + up * zv * p * normed);
		}
		norm_row_grad(g, o, d->norm, g, dv, d->eps, 0);
	}
	memset(w->dO + c->n * dv, 0, (DR - c->n) * dv * sizeof *w->dO);
}

// chunk_slopes goes back through what a value head makes of a chunk: ds, the gradient of
// the state behind it, becomes that of the state s before it.
static void chunk_slopes(struct slopes *w, struct head *h, const struct chunk *c, const struct delta *d, int64_t hv, const float *s, float *ds,
						 float *dqkv, float *dgates, float *da_log, float *ddt_bias) {
	const int64_t n = c->n, dk = d->dk, dv = d->dv, width = 2 * d->hk * dk + d->hv * dv, beside = d->hv * dv + 2 * d->hv;
	double dc[DR] = {0}; // rows take from each other what they give: the sum of what is left is small
	memset(w->dbeta, 0, DR * sizeof *w->dbeta);
	const float left = expf(h->c[n - 1]);

	// Of what rows leave in the state: z = (e k) ds, to new values and to the decay.
	for (int64_t i = 0; i < n; i++)
		for (int64_t k = 0; k < dk; k++) h->scaled[i * dk + k] = c->k[i * dk + k] * h->e[i];
	product(n, dv, dk, h->scaled, dk, ds, dv, w->z, dv, 0);
	for (int64_t i = 0; i < n; i++) {
		float x = dot(w->z + i * dv, h->u + i * dv, dv);
		dc[n - 1] += x;
		dc[i] -= x;
	}
	dc[n - 1] += left * dot(s, ds, dk * dv);
	flip(w->pt, DR, h->p, DR, DR, DR);
	memcpy(w->du, w->z, n * dv * sizeof *w->du);
	product(n, dv, n, w->pt, DR, w->dO, dv, w->du, dv, 1);
	flip(w->dst, dk, ds, dv, dk, dv);
	for (int64_t i = 0; i < n; i++)
		for (int64_t k = 0; k < dv; k++) w->z[i * dv + k] = h->u[i * dv + k] * h->e[i];
	product(n, dk, dv, w->z, dv, w->dst, dk, w->dk, dk, 1);

	// Back through the system: du becomes the gradient of its right side.
	flip(w->x, DR, h->a, DR, DR, DR);
	for (int64_t at = (n - 1) / DS * DS; at >= 0; at -= DS) {
		const int64_t end = at + DS < n ? at + DS : n;
		if (end < n) product(end - at, dv, n - end, w->x + at * DR + end, DR, w->du + end * dv, dv, w->du + at * dv, dv, 1);
		for (int64_t i = end - 2; i >= at; i--)
			product(1, dv, end - i - 1, w->x + i * DR + i + 1, DR, w->du + (i + 1) * dv, dv, w->du + i * dv, dv, 1);
	}
	memset(h->u + n * dv, 0, (DR - n) * dv * sizeof *h->u);
	flip(w->ut, DR, h->u, dv, DR, dv);
	product(n, DR, dv, w->dO, dv, w->ut, DR, w->dp, DR, 0);
	product(n, DR, dv, w->du, dv, w->ut, DR, w->da, DR, 0);
	memset(w->x, 0, DR * DR * sizeof *w->x);
	memset(w->pt, 0, DR * DR * sizeof *w->pt);
	for (int64_t i = 0; i < n; i++)
		for (int64_t j = 0; j <= i; j++) {
			const float l = h->l[i * DR + j], g = w->dp[i * DR + j];
			float x = g * h->p[i * DR + j];
			w->dp[i * DR + j] = g * l;
			w->pt[j * DR + i] = g * l;
			if (j < i) {
				const float m = -w->da[i * DR + j], kk = c->kk[i * DR + j];
				w->dbeta[i] += m * kk * l;
				x -= m * h->a[i * DR + j];
				w->x[i * DR + j] = w->x[j * DR + i] = m * h->beta[i] * l;
			}
			dc[i] += x;
			dc[j] -= x;
		}
	for (int64_t i = 0; i < n; i++) memset(w->dp + i * DR + i + 1, 0, (DR - i - 1) * sizeof *w->dp);
	product(n, dk, n, w->dp, DR, c->k, dk, w->dq, dk, 1);
	product(n, dk, n, w->pt, DR, c->q, dk, w->dk, dk, 1);
	product(n, dk, n, w->x, DR, c->k, dk, w->dk, dk, 1);

	// Of what the state says: to values, to the state, to keys and queries. dO becomes
	// that of queries times the state.
	for (int64_t i = 0; i < n; i++) {
		const float since = expf(h->c[i]), beta = h->beta[i], *v = d->qkv + (c->at + i) * width + 2 * d->hk * dk + hv * dv;
		float *dv_ = dqkv + (c->at + i) * width + 2 * d->hk * dk + hv * dv, seen = 0, said = 0;
		for (int64_t k = 0; k < dv; k++) {
			const float r = w->du[i * dv + k], y = h->y[i * dv + k];
			seen += r * (v[k] - since * y);
			said += r * y;
			dv_[k] = beta * r;
			w->dy[i * dv + k] = -beta * since * r;
			w->dO[i * dv + k] *= since;
		}
		w->dbeta[i] += seen;
		dc[i] -= beta * since * said;
	}
	flip(w->st, dk, s, dv, dk, dv);
	product(n, dk, dv, w->dy, dv, w->st, dk, w->dk, dk, 1);
	product(n, dk, dv, w->dO, dv, w->st, dk, h->scaled, dk, 0);
	for (int64_t i = 0; i < n; i++) {
		dc[i] += dot(h->scaled + i * dk, c->q + i * dk, dk);
		for (int64_t k = 0; k < dk; k++) w->dq[i * dk + k] += h->scaled[i * dk + k];
	}
	for (int64_t k = 0; k < dk * dv; k++) ds[k] *= left;
	product(dk, dv, n, c->kt, DR, w->dy, dv, ds, dv, 1);
	product(dk, dv, n, c->qt, DR, w->dO, dv, ds, dv, 1);

	// The decay's logs add up along the rows.
	const float rate = expf(d->a_log[hv]);
	double later = 0, sum_a = 0, sum_dt = 0;
	for (int64_t i = n - 1; i >= 0; i--) {
		later += dc[i];
		const float *g = d->gates + (c->at + i) * beside + d->hv * dv, x = g[d->hv + hv] + d->dt_bias[hv];
		float *to = dgates + (c->at + i) * beside + d->hv * dv, beta = h->beta[i];
		const double slope = -later * rate / (1 + expf(-x));
		to[hv] = w->dbeta[i] * beta * (1 - beta);
		to[d->hv + hv] = (float)slope;
		sum_dt += slope;
		sum_a -= later * rate * softplus(x);
	}
	*ddt_bias += (float)sum_dt;
	*da_log += (float)sum_a;
}

// length_slopes goes back through the division by the lengths of queries and keys.
static void length_slopes(const struct slopes *w, const struct chunk *c, const struct delta *d, int64_t hk, float *dqkv) {
	const int64_t width = 2 * d->hk * d->dk + d->hv * d->dv, dk = d->dk;
	const float scale = 1 / sqrtf((float)dk);
	for (int side = 0; side < 2; side++)
		for (int64_t i = 0; i < c->n; i++) {
			const float *unit = (side ? c->k : c->q) + i * dk, *g = (side ? w->dk : w->dq) + i * dk, r = (side ? c->rk : c->rq)[i];
			const float inner = dot(unit, g, dk) * (side ? 1 : 1 / (scale * scale));
			float *to = dqkv + (c->at + i) * width + (side * d->hk + hk) * dk;
			for (int64_t k = 0; k < dk; k++) to[k] = r * (g[k] - unit[k] * inner);
		}
}

static void delta_rule_grad(float *dqkv, float *dgates, float *da_log, float *ddt_bias, float *dnorm, const float *qkv, const float *gates,
							const float *a_log, const float *dt_bias, const float *norm, const float *dout, const int32_t *starts,
							int64_t rows, int64_t hk, int64_t hv, int64_t dk, int64_t dv, float eps, float *scratch, int64_t each) {
	const struct delta d = {qkv, gates, a_log, dt_bias, norm, starts, rows, hk, hv, dk, dv, eps};
	const int64_t group = hv / hk, size = dk * dv;
	float *norms = calloc(hk * dv, sizeof *norms);
	memset(da_log, 0, hv * sizeof *da_log);
	memset(ddt_bias, 0, hv * sizeof *ddt_bias);
#pragma omp parallel for schedule(static) if (rows * hv * dv > SMALL)
	for (int64_t kh = 0; kh < hk; kh++) {
		float *s = scratch + omp_get_thread_num() * each;
		struct chunk c = chunk_of(&s, dk);
		struct head h = head_of(&s, dk, dv);
		struct slopes w = slopes_of(&s, dk, dv);
		float *ds = carve(&s, group * size), *states = s; // [chunks, group, dk, dv]: before each chunk
		for (int64_t from = 0, end; from < rows; from = end) {
			end = document(starts, from, rows);
			const int64_t chunks = (end - from + DR - 1) / DR;
			memset(states, 0, group * size * sizeof *states);
			for (int64_t i = 0; i + 1 < chunks; i++) {
				chunk_read(&c, &d, kh, from + i * DR, DR, 0);
				float *now = states + i * group * size, *next = now + group * size;
				memcpy(next, now, group * size * sizeof *now);
				for (int64_t g = 0; g < group; g++) {
					head_values(&h, &c, &d, kh * group + g, now + g * size, 0);
					head_advance(&h, &c, &d, next + g * size);
				}
			}
			memset(ds, 0, group * size * sizeof *ds);
			for (int64_t i = chunks - 1; i >= 0; i--) {
				const int64_t at = from + i * DR;
				chunk_read(&c, &d, kh, at, end - at < DR ? end - at : DR, 1);
				memset(w.dq, 0, DR * dk * sizeof *w.dq);
				memset(w.dk, 0, DR * dk * sizeof *w.dk);
				for (int64_t g = 0; g < group; g++) {
					const int64_t v = kh * group + g;
					const float *before = states + (i * group + g) * size;
					head_values(&h, &c, &d, v, before, 1);
					norm_slopes(&w, &h, &c, &d, v, dout, dgates, norms + kh * dv);
					chunk_slopes(&w, &h, &c, &d, v, before, ds + g * size, dqkv, dgates, da_log + v, ddt_bias + v);
				}
				length_slopes(&w, &c, &d, kh, dqkv);
			}
		}
	}
	for (int64_t k = 0; k < dv; k++) {
		double sum = 0;
		for (int64_t kh = 0; kh < hk; kh++) sum += norms[kh * dv + k];
		dnorm[k] = (float)sum;
	}
	free(norms);
}
