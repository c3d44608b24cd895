// Packed causal attention in tiles, part of native_impl.h.
//
// A tile is TILE queries by TILE keys of one head. Memory is a few tiles for
// each thread, a transposed copy of the keys, and for the gradient one
// accumulator of keys and values for each thread.
#define TILE 64
#define MAX_DIM 256

static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

// gap is what queries do not see between their starts and themselves: none of
// them sees the keys [from, to), and only keys of [first, last) are hidden from some.
struct gap {
	int64_t from, to, first, last;
};

// gap_of is that of the queries [r0, r1).
static inline struct gap gap_of(const int32_t *hidden, int64_t r0, int64_t r1) {
	if (!hidden) return (struct gap){0, 0, 0, 0};
	struct gap g = {0, INT64_MAX, INT64_MAX, 0};
	for (int64_t r = r0; r < r1; r++) {
		const int64_t from = hidden[2 * r], to = hidden[2 * r + 1];
		g.from = most(g.from, from), g.to = least(g.to, to);
		if (from < to) g.first = least(g.first, from), g.last = most(g.last, to);
	}
	return g;
}

// unseen reports whether none of the queries sees a key of [k0, k1).
static inline int unseen(struct gap g, int64_t k0, int64_t k1) { return k0 >= g.from && k1 <= g.to; }

// masked reports whether some of the queries [r0, r1) does not see some of the
// keys [k0, k1).
static inline int masked(const int32_t *starts, struct gap g, int64_t r0, int64_t r1, int64_t k0, int64_t k1) {
	return k1 - 1 > r0 || k0 < starts[r1 - 1] || (k0 < g.last && k1 > g.first);
}

// sees_not reports whether query r does not see key k.
static inline int sees_not(const int32_t *starts, const int32_t *hidden, int64_t r, int64_t k) {
	return k > r || k < starts[r] || (hidden && k >= hidden[2 * r] && k < hidden[2 * r + 1]);
}

// tiles_seen counts the tiles of keys that a tile of queries is multiplied with.
static inline int64_t tiles_seen(const int32_t *starts, const int32_t *hidden, int64_t t, int64_t b) {
	const struct gap g = gap_of(hidden, b * TILE, least((b + 1) * TILE, t));
	return b + 1 - starts[b * TILE] / TILE - most(0, g.to / TILE - (g.from + TILE - 1) / TILE);
}

// mask_row hides the keys of a tile before lo and from hi on.
static inline void mask_row(float *row, int64_t lo, int64_t hi) {
	for (int64_t j = 0; j < least(lo, TILE); j++) row[j] = -INFINITY;
	for (int64_t j = most(hi, 0); j < TILE; j++) row[j] = -INFINITY;
}

// hide_row hides those from lo on and before hi.
static inline void hide_row(float *row, int64_t lo, int64_t hi) {
	for (int64_t j = most(lo, 0); j < least(hi, TILE); j++) row[j] = -INFINITY;
}

// soften_row turns a query's scores of a tile into its weights, in place or,
// rounded to bf16, in half: e^(score - peak) for the largest score so far. What was
// summed up under a smaller one, sum and the dim values of o, shrinks to match.
static inline __attribute__((always_inline)) void soften_row(float *row, uint16_t *half, float *o, int64_t dim, float *peak, float *sum) {
	vf top = load(row);
	for (int j = VL; j < TILE; j += VL) top = vmax(top, load(row + j));
	const float before = *peak, now = fmaxf(before, hmax(top));
	if (now == -INFINITY) { // nothing seen yet
		if (half)
			memset(half, 0, TILE * sizeof *half);
		else
			memset(row, 0, TILE * sizeof *row);
		return;
	}
	vf part = {};
	for (int j = 0; j < TILE; j += VL) {
		vf p = vexp(load(row + j) - splat(now));
		part += p;
		if (half)
			store_half(half + j, p);
		else
			store(row + j, p);
	}
	if (now > before) {
		float shrink = expf(before - now);
		*sum *= shrink;
		for (int64_t d = 0; d < dim; d++) o[d] *= shrink;
		*peak = now;
	}
	*sum += hsum(part);
}

// finish_rows divides n rows by the sums of their weights.
static inline void finish_rows(float *out, int64_t ld, float *lse, const float *o, const float *peak, const float *sum, int64_t n,
							   int64_t dim) {
	for (int64_t i = 0; i < n; i++) {
		const float inverse = 1 / sum[i];
		for (int64_t d = 0; d < dim; d++) out[i * ld + d] = o[i * dim + d] * inverse;
		lse[i] = peak[i] + logf(sum[i]);
	}
}

static void attention_tile(float *out, float *lse, const float *qkv, const float *keys_t, const int32_t *starts, const int32_t *hidden, int64_t t, int64_t hq,
						   int64_t hkv, int64_t dim, float scale, int64_t h, int64_t r0) {
	const int64_t ld = (hq + 2 * hkv) * dim, g = h * hkv / hq, r1 = least(r0 + TILE, t), n = r1 - r0, tiles = (t + TILE - 1) / TILE;
	const float *values = qkv + (hq + hkv + g) * dim;
	float q[TILE * MAX_DIM], o[TILE * MAX_DIM], s[TILE * TILE], peak[TILE], sum[TILE];
	for (int64_t i = 0; i < n; i++) {
		const float *from = qkv + (r0 + i) * ld + h * dim;
		for (int64_t d = 0; d < dim; d++) q[i * dim + d] = from[d] * scale, o[i * dim + d] = 0;
		peak[i] = -INFINITY, sum[i] = 0;
	}
	const struct gap gap = gap_of(hidden, r0, r1);
	for (int64_t k0 = starts[r0] / TILE * TILE; k0 < r1; k0 += TILE) {
		const int64_t k1 = least(k0 + TILE, t);
		if (unseen(gap, k0, k1)) continue;
		product(n, TILE, dim, q, dim, keys_t + (g * tiles + k0 / TILE) * dim * TILE, TILE, s, TILE, 0);
		const int mask = masked(starts, gap, r0, r1, k0, k1) || k1 - k0 < TILE; // the last tile may be padded with keys of 0
		for (int64_t i = 0; i < n; i++) {
			if (mask) mask_row(s + i * TILE, starts[r0 + i] - k0, r0 + i + 1 - k0);
			if (mask && hidden) hide_row(s + i * TILE, hidden[2 * (r0 + i)] - k0, hidden[2 * (r0 + i) + 1] - k0);
			soften_row(s + i * TILE, NULL, o + i * dim, dim, peak + i, sum + i);
		}
		product(n, dim, k1 - k0, s, TILE, values + k0 * ld, ld, o, dim, 1);
	}
	finish_rows(out + r0 * hq * dim + h * dim, hq * dim, lse + h * t + r0, o, peak, sum, n, dim);
}

// scratch: hkv * tiles * TILE * dim floats.
static void attention(float *out, float *lse, const float *qkv, const int32_t *starts, const int32_t *hidden, int64_t t, int64_t hq, int64_t hkv, int64_t dim,
					  float scale, float *scratch) {
	const int64_t ld = (hq + 2 * hkv) * dim, tiles = (t + TILE - 1) / TILE;
#pragma omp parallel for collapse(2) schedule(static) if (t * ld > SMALL)
	for (int64_t g = 0; g < hkv; g++)
		for (int64_t b = 0; b < tiles; b++) {
			float *to = scratch + (g * tiles + b) * dim * TILE;
			const int64_t n = least(TILE, t - b * TILE);
			const float *from = qkv + b * TILE * ld + (hq + g) * dim;
			for (int64_t d = 0; d < dim; d++) {
				for (int64_t j = 0; j < n; j++) to[d * TILE + j] = from[j * ld + d];
				for (int64_t j = n; j < TILE; j++) to[d * TILE + j] = 0;
			}
		}
	// Tiles are independent, so it does not matter who takes which; the long
	// ones come first.
#pragma omp parallel for schedule(dynamic, 1) if (t * ld > SMALL)
	for (int64_t i = 0; i < tiles * hq; i++)
		attention_tile(out, lse, qkv, scratch, starts, hidden, t, hq, hkv, dim, scale, i % hq, (tiles - 1 - i / hq) * TILE);
}

// attention_grad_tile adds the gradients of TILE queries of head h: dq is
// written, those of keys and values are added to dk and dv [T, dim].
static void attention_grad_tile(float *dqkv, float *dk, float *dv, const float *qkv, const float *out, const float *lse, const float *dout,
								const int32_t *starts, const int32_t *hidden, int64_t t, int64_t hq, int64_t hkv, int64_t dim, float scale, int64_t h,
								int64_t r0) {
	const int64_t ld = (hq + 2 * hkv) * dim, lo = hq * dim, g = h * hkv / hq, r1 = least(r0 + TILE, t), n = r1 - r0;
	const float *keys = qkv + (hq + g) * dim, *values = keys + hkv * dim, *grad = dout + r0 * lo + h * dim;
	float q[TILE * MAX_DIM], q_t[TILE * MAX_DIM], grad_t[TILE * MAX_DIM], dq[TILE * MAX_DIM];
	float p[TILE * TILE], dp[TILE * TILE], ds[TILE * TILE], offset[TILE], delta[TILE];
	for (int64_t i = 0; i < TILE; i++) {
		if (i >= n) { // padding: weighs nothing
			for (int64_t d = 0; d < dim; d++) q_t[d * TILE + i] = grad_t[d * TILE + i] = 0;
			offset[i] = 1e30f, delta[i] = 0;
			continue;
		}
		const float *from = qkv + (r0 + i) * ld + h * dim;
		for (int64_t d = 0; d < dim; d++) {
			q[i * dim + d] = q_t[d * TILE + i] = from[d] * scale;
			grad_t[d * TILE + i] = grad[i * lo + d];
			dq[i * dim + d] = 0;
		}
		offset[i] = lse[h * t + r0 + i];
		delta[i] = dot(grad + i * lo, out + (r0 + i) * lo + h * dim, dim);
	}
	const struct gap gap = gap_of(hidden, r0, r1);
	for (int64_t k0 = starts[r0] / TILE * TILE; k0 < r1; k0 += TILE) {
		const int64_t m = least(k0 + TILE, t) - k0;
		if (unseen(gap, k0, k0 + m)) continue;
		// Transposed scores: keys down, queries across.
		product(m, TILE, dim, keys + k0 * ld, ld, q_t, TILE, p, TILE, 0);
		product(m, TILE, dim, values + k0 * ld, ld, grad_t, TILE, dp, TILE, 0);
		const int mask = masked(starts, gap, r0, r1, k0, k0 + m);
		for (int64_t j = 0; j < m; j++) {
			float *row = p + j * TILE, *back = dp + j * TILE;
			if (mask)
				for (int64_t i = 0; i < n; i++)
					if (sees_not(starts, hidden, r0 + i, k0 + j)) row[i] = -INFINITY;
			for (int i = 0; i < TILE; i += VL) {
				vf w = vexp(load(row + i) - load(offset + i));
				store(row + i, w);
				store(back + i, w * (load(back + i) - load(delta + i)));
			}
			for (int i = 0; i < TILE; i++) ds[i * TILE + j] = back[i];
		}
		product(m, dim, n, p, TILE, grad, lo, dv + k0 * dim, dim, 1);
		product(m, dim, n, dp, TILE, q, dim, dk + k0 * dim, dim, 1);
		product(n, dim, m, ds, TILE, keys + k0 * ld, ld, dq, dim, 1);
	}
	for (int64_t i = 0; i < n; i++)
		for (int64_t d = 0; d < dim; d++) dqkv[(r0 + i) * ld + h * dim + d] = dq[i * dim + d] * scale;
}

#ifdef LW_BF16
#include "native_attention_bf16.h"
#endif

// Each thread takes a run of query tiles with about the same work and adds to
// keys and values of its own; then these are summed in the order of threads.
// scratch: lw_team * 2 * tiles * TILE * dim floats, and with rounded one and a
// half tiles * TILE * dim more.
static inline __attribute__((always_inline)) void attention_grad_as(int rounded, float *dqkv, const float *qkv, const float *out,
																	const float *lse, const float *dout, const int32_t *starts, const int32_t *hidden, int64_t t,
																	int64_t hq, int64_t hkv, int64_t dim, float scale, float *scratch) {
	const int64_t ld = (hq + 2 * hkv) * dim, tiles = (t + TILE - 1) / TILE, group = hq / hkv, part = tiles * TILE * dim;
	const int64_t threads = t * ld > SMALL ? lw_team : 1;
	double work = 0;
	for (int64_t b = 0; b < tiles; b++) work += tiles_seen(starts, hidden, t, b);
	int64_t *first = malloc((threads + 1) * sizeof *first); // tiles of each thread
	double done = 0;
	int64_t next = 0;
	for (int64_t b = 0; b < tiles; b++) {
		while (next < threads && done >= work * next / threads) first[next++] = b;
		done += tiles_seen(starts, hidden, t, b);
	}
	while (next <= threads) first[next++] = tiles;
	first[0] = 0;
	for (int64_t g = 0; g < hkv; g++) {
#ifdef LW_BF16
		bf16 *packed = (bf16 *)(scratch + threads * 2 * part);
		if (rounded) pack_keys(packed, qkv, t, hq, hkv, dim, g);
#endif
#pragma omp parallel num_threads(threads)
		{
			// A runtime may give fewer threads than asked for: each run of tiles is
			// done all the same, and the sums do not depend on who does it.
			for (int64_t w = omp_get_thread_num(); w < threads; w += omp_get_num_threads()) {
				const int64_t a = first[w], b = first[w + 1];
				if (a >= b) continue;
				float *dk = scratch + w * 2 * part, *dv = dk + part;
				// From the start of the tile that the first document starts in.
				const int64_t from = starts[a * TILE] / TILE * TILE, rows = b * TILE - from;
				memset(dk + from * dim, 0, rows * dim * sizeof *dk);
				memset(dv + from * dim, 0, rows * dim * sizeof *dv);
				for (int64_t tile = a; tile < b; tile++)
					for (int64_t h = g * group; h < (g + 1) * group; h++) {
#ifdef LW_BF16
						if (rounded) {
							attention_grad_tile_bf16(dqkv, dk, dv, qkv, out, lse, dout, starts, hidden, t, hq, hkv, dim, scale, h,
													 tile * TILE, packed);
							continue;
						}
#endif
						attention_grad_tile(dqkv, dk, dv, qkv, out, lse, dout, starts, hidden, t, hq, hkv, dim, scale, h, tile * TILE);
					}
			}
#pragma omp barrier
#pragma omp for schedule(static)
			for (int64_t r = 0; r < t; r++) {
				float *to_k = dqkv + r * ld + (hq + g) * dim, *to_v = to_k + hkv * dim;
				memset(to_k, 0, dim * sizeof *to_k);
				memset(to_v, 0, dim * sizeof *to_v);
				for (int64_t w = 0; w < threads; w++) {
					if (first[w] == first[w + 1] || r < starts[first[w] * TILE] || r >= first[w + 1] * TILE) continue;
					const float *k = scratch + w * 2 * part + r * dim, *v = k + part;
					for (int64_t d = 0; d < dim; d++) to_k[d] += k[d], to_v[d] += v[d];
				}
			}
		}
	}
	free(first);
}

static void attention_grad(float *dqkv, const float *qkv, const float *out, const float *lse, const float *dout, const int32_t *starts, const int32_t *hidden,
						   int64_t t, int64_t hq, int64_t hkv, int64_t dim, float scale, float *scratch) {
	attention_grad_as(0, dqkv, qkv, out, lse, dout, starts, hidden, t, hq, hkv, dim, scale, scratch);
}

#ifdef LW_BF16
static void attention_grad_bf16(float *dqkv, const float *qkv, const float *out, const float *lse, const float *dout, const int32_t *starts, const int32_t *hidden,
								int64_t t, int64_t hq, int64_t hkv, int64_t dim, float scale, float *scratch) {
	attention_grad_as(1, dqkv, qkv, out, lse, dout, starts, hidden, t, hq, hkv, dim, scale, scratch);
}
#else // for the table: only processors that have the instructions are asked
static void attention_bf16(float *out, float *lse, const float *qkv, const int32_t *starts, const int32_t *hidden, int64_t t, int64_t hq, int64_t hkv, int64_t dim,
						   float scale, float *scratch) {
	attention(out, lse, qkv, starts, hidden, t, hq, hkv, dim, scale, scratch);
}
static void attention_grad_bf16(float *dqkv, const float *qkv, const float *out, const float *lse, const float *dout, const int32_t *starts, const int32_t *hidden,
								int64_t t, int64_t hq, int64_t hkv, int64_t dim, float scale, float *scratch) {
	attention_grad(dqkv, qkv, out, lse, dout, starts, hidden, t, hq, hkv, dim, scale, scratch);
}
#endif
