package kernels

import "math"

// The recurrent layers in plain Go, token by token.

// input is what a convolution sees of a channel.
func (c Taps) input(x []float32, t, ch int) float64 {
	if c.Gated {
		return float64(x[t*3*c.Dim+ch]) * float64(x[t*3*c.Dim+2*c.Dim+ch])
	}
	return float64(x[t*c.Dim+ch])
}

// sum is that over the taps.
func (c Taps) sum(x, w []float32, t, start, ch int) (s float64) {
	for j := range c.Taps {
		if from := t - c.Taps + 1 + j; from >= start {
			s += float64(w[ch*c.Taps+j]) * c.input(x, from, ch)
		}
	}
	return s
}

func plainConvolve(y, x, w []float32, starts []int32, rows int, c Taps) {
	parallel(rows, func(lo, hi int) {
		for t := lo; t < hi; t++ {
			for ch := range c.Dim {
				s := c.sum(x, w, t, int(starts[t]), ch)
				if c.Gated {
					s *= float64(x[t*3*c.Dim+c.Dim+ch])
				} else {
					s *= sigmoid64(s)
				}
				y[t*c.Dim+ch] = float32(s)
			}
		}
	})
}

func sigmoid64(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// slope is the gradient of the sum over the taps.
func (c Taps) slope(x, w, dy []float32, starts []int32, t, ch int) float64 {
	g := float64(dy[t*c.Dim+ch])
	if c.Gated {
		return g * float64(x[t*3*c.Dim+c.Dim+ch])
	}
	s := c.sum(x, w, t, int(starts[t]), ch)
	p := sigmoid64(s)
	return g * p * (1 + s*(1-p))
}

func plainConvolveGrad(dx, x, w, dy []float32, starts []int32, rows int, c Taps, _ []float32) {
	parallel(rows, func(lo, hi int) {
		for t := lo; t < hi; t++ {
			for ch := range c.Dim {
				du := 0.0
				for j := range c.Taps {
					if to := t + c.Taps - 1 - j; to < rows && int(starts[to]) <= t {
						du += float64(w[ch*c.Taps+j]) * c.slope(x, w, dy, starts, to, ch)
					}
				}
				if !c.Gated {
					dx[t*c.Dim+ch] = float32(du)
					continue
				}
				row := t * 3 * c.Dim
				dx[row+ch] = float32(du * float64(x[row+2*c.Dim+ch]))
				dx[row+c.Dim+ch] = float32(float64(dy[t*c.Dim+ch]) * c.sum(x, w, t, int(starts[t]), ch))
				dx[row+2*c.Dim+ch] = float32(du * float64(x[row+ch]))
			}
		}
	})
}

func plainConvolveGradWeight(dw, x, w, dy []float32, starts []int32, rows int, c Taps, accumulate bool, _ []float32) {
	sum := make([]float64, c.Dim*c.Taps)
	for t := range rows {
		for ch := range c.Dim {
			g := c.slope(x, w, dy, starts, t, ch)
			for j := range c.Taps {
				if from := t - c.Taps + 1 + j; from >= int(starts[t]) {
					sum[ch*c.Taps+j] += g * c.input(x, from, ch)
				}
			}
		}
	}
	putSum(dw, sum, accumulate)
}

// deltaToken is what a token says to a value head.
type deltaToken struct {
	q, k, v, z  []float64 // q and k of length 1, q over the root of KeyDim
	rq, rk      float64   // what they were multiplied by
	beta, decay float64
	rate        float64 // exp(ALog)
	x           float64 // a + DtBias
}

func (d Delta) token(qkv, gates []float32, w DeltaWeights, t, h int) (n deltaToken) {
	wide := func(x []float32) []float64 {
		out := make([]float64, len(x))
		for i, v := range x {
			out[i] = float64(v)
		}
		return out
	}
	key := h * d.Keys / d.Values
	row, beside := qkv[t*d.Mixed():], gates[t*d.Gates():]
	n.q, n.k = wide(row[key*d.KeyDim:][:d.KeyDim]), wide(row[(d.Keys+key)*d.KeyDim:][:d.KeyDim])
	n.v, n.z = wide(row[2*d.Keys*d.KeyDim+h*d.ValueDim:][:d.ValueDim]), wide(beside[h*d.ValueDim:][:d.ValueDim])
	const least = 1e-6
	length := func(x []float64, scale float64) float64 {
		s := least
		for _, v := range x {
			s += v * v
		}
		r := scale / math.Sqrt(s)
		for i := range x {
			x[i] *= r
		}
		return r
	}
	n.rq, n.rk = length(n.q, 1/math.Sqrt(float64(d.KeyDim))), length(n.k, 1)
	n.beta = sigmoid64(float64(beside[d.Values*d.ValueDim+h]))
	n.rate = math.Exp(float64(w.ALog[h]))
	n.x = float64(beside[d.Values*d.ValueDim+d.Values+h]) + float64(w.DtBias[h])
	n.decay = math.Exp(-n.rate * softplus64(n.x))
	return n
}

func softplus64(x float64) float64 { return math.Max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

// move makes the state s [KeyDim, ValueDim] that behind a token; u receives the new value, and o what the query reads.
func (d Delta) move(s []float64, n *deltaToken, u, o []float64) {
	copy(u, n.v)
	for i, k := range n.k {
		for j := range d.ValueDim {
			s[i*d.ValueDim+j] *= n.decay
			u[j] -= s[i*d.ValueDim+j] * k
		}
	}
	clear(o)
	for j := range u {
		u[j] *= n.beta
	}
	for i, k := range n.k {
		for j := range d.ValueDim {
			s[i*d.ValueDim+j] += k * u[j]
			o[j] += s[i*d.ValueDim+j] * n.q[i]
		}
	}
}

// read norms and gates what was read.
func (d Delta) read(out []float32, o, z []float64, norm []float32) {
	r := d.inverse(o)
	for j, v := range o {
		out[j] = float32(v * r * float64(norm[j]) * z[j] * sigmoid64(z[j]))
	}
}

func (d Delta) inverse(o []float64) float64 {
	s := 0.0
	for _, v := range o {
		s += v * v
	}
	return 1 / math.Sqrt(s/float64(len(o))+float64(d.Eps))
}

func plainDeltaRule(out, state, qkv, gates []float32, w DeltaWeights, starts []int32, rows int, d Delta, _ []float32) {
	parallel(d.Values, func(lo, hi int) {
		s, u, o := make([]float64, d.KeyDim*d.ValueDim), make([]float64, d.ValueDim), make([]float64, d.ValueDim)
		for h := lo; h < hi; h++ {
			clear(s)
			for t := range rows {
				if int(starts[t]) == t {
					clear(s)
				}
				n := d.token(qkv, gates, w, t, h)
				d.move(s, &n, u, o)
				d.read(out[t*d.Out()+h*d.ValueDim:][:d.ValueDim], o, n.z, w.Norm)
			}
			if state != nil {
				for i, v := range s {
					state[h*len(s)+i] = float32(v)
				}
			}
		}
	})
}

func plainDeltaStep(out []float32, states [][]float32, qkv, gates []float32, w DeltaWeights, d Delta) {
	s, u, o := make([]float64, d.KeyDim*d.ValueDim), make([]float64, d.ValueDim), make([]float64, d.ValueDim)
	for t, state := range states {
		for h := range d.Values {
			part := state[h*len(s):][:len(s)]
			for i, v := range part {
				s[i] = float64(v)
			}
			n := d.token(qkv, gates, w, t, h)
			d.move(s, &n, u, o)
			d.read(out[t*d.Out()+h*d.ValueDim:][:d.ValueDim], o, n.z, w.Norm)
			for i, v := range s {
				part[i] = float32(v)
			}
		}
	}
}

// plainDeltaRuleGrad goes back token by token. It keeps the states before each token.
func plainDeltaRuleGrad(dqkv, dgates []float32, dw DeltaWeights, qkv, gates []float32, w DeltaWeights, dout []float32, starts []int32,
	rows int, d Delta, _ []float32) {
	size := d.KeyDim * d.ValueDim
	norms := make([]float64, d.Values*d.ValueDim)
	parallel(d.Keys, func(lo, hi int) {
		for key := lo; key < hi; key++ {
			dq, dk := make([]float64, rows*d.KeyDim), make([]float64, rows*d.KeyDim)
			for h := key * d.Values / d.Keys; h < (key+1)*d.Values/d.Keys; h++ {
				var da, ddt float64
				for from, end := 0, 0; from < rows; from = end {
					for end = from + 1; end < rows && int(starts[end]) != end; end++ {
					}
					g := deltaBack{Delta: d, h: h, ds: make([]float64, size)}
					states := make([][]float64, end-from+1)
					states[0] = make([]float64, size)
					u, o := make([]float64, d.ValueDim), make([]float64, d.ValueDim)
					for t := from; t < end; t++ {
						n := d.token(qkv, gates, w, t, h)
						next := append([]float64(nil), states[t-from]...)
						d.move(next, &n, u, o)
						states[t-from+1] = next
					}
					for t := end - 1; t >= from; t-- {
						g.token = d.token(qkv, gates, w, t, h)
						g.back(states[t-from], states[t-from+1], w.Norm, dout[t*d.Out()+h*d.ValueDim:][:d.ValueDim],
							norms[h*d.ValueDim:][:d.ValueDim], dq[t*d.KeyDim:][:d.KeyDim], dk[t*d.KeyDim:][:d.KeyDim],
							dqkv[t*d.Mixed()+2*d.Keys*d.KeyDim+h*d.ValueDim:][:d.ValueDim], dgates[t*d.Gates():][:d.Gates()])
						da += g.da
						ddt += g.ddt
					}
				}
				dw.ALog[h], dw.DtBias[h] = float32(da), float32(ddt)
			}
			for t := range rows {
				n := d.token(qkv, gates, w, t, key*d.Values/d.Keys)
				row := dqkv[t*d.Mixed():]
				lengthBack(row[key*d.KeyDim:][:d.KeyDim], n.q, dq[t*d.KeyDim:][:d.KeyDim], n.rq, float64(d.KeyDim))
				lengthBack(row[(d.Keys+key)*d.KeyDim:][:d.KeyDim], n.k, dk[t*d.KeyDim:][:d.KeyDim], n.rk, 1)
			}
		}
	})
	sum := make([]float64, d.ValueDim)
	for i, v := range norms {
		sum[i%d.ValueDim] += v
	}
	putSum(dw.Norm, sum, false)
}

// lengthBack goes back through the division of a vector, unit, by its length; over is what was divided by beside it, squared.
func lengthBack(to []float32, unit, g []float64, r, over float64) {
	inner := 0.0
	for i, v := range unit {
		inner += v * g[i] * over
	}
	for i, v := range unit {
		to[i] = float32(r * (g[i] - v*inner))
	}
}

// deltaBack goes back through the tokens of a value head.
type deltaBack struct {
	Delta
	h       int
	token   deltaToken
	ds      []float64 // of the state behind the token, then of that before it
	da, ddt float64   // of ALog and DtBias, by this token
}

func (g *deltaBack) back(before, after []float64, norm, dout []float32, dnorm, dq, dk []float64, dv, dgates []float32) {
	n, dim := &g.token, g.ValueDim
	o, do := make([]float64, dim), make([]float64, dim)
	said := make([]float64, dim)
	for i := range n.k {
		for j := range dim {
			o[j] += after[i*dim+j] * n.q[i]
			said[j] += before[i*dim+j] * n.decay * n.k[i]
		}
	}
	r, inner := g.inverse(o), 0.0
	for j, v := range o {
		up, p := float64(dout[j]), sigmoid64(n.z[j])
		dgates[g.h*dim+j] = float32(up * v * r * float64(norm[j]) * p * (1 + n.z[j]*(1-p)))
		up *= n.z[j] * p
		dnorm[j] += up * v * r
		do[j] = up * float64(norm[j])
		inner += do[j] * v
	}
	du := make([]float64, dim)
	for j := range do {
		do[j] = r * (do[j] - o[j]*inner*r*r/float64(dim))
	}
	for i := range n.k {
		for j := range dim {
			g.ds[i*dim+j] += n.q[i] * do[j]
			dq[i] += after[i*dim+j] * do[j]
			du[j] += g.ds[i*dim+j] * n.k[i]
		}
	}
	dbeta, ddecay := 0.0, 0.0
	for j := range dim {
		dbeta += du[j] * (n.v[j] - said[j])
		dv[j] = float32(n.beta * du[j])
	}
	for i := range n.k {
		for j := range dim {
			u := n.beta * (n.v[j] - said[j])
			s := before[i*dim+j] * n.decay
			dk[i] += g.ds[i*dim+j]*u - s*n.beta*du[j]
			g.ds[i*dim+j] -= n.k[i] * n.beta * du[j]
			ddecay += g.ds[i*dim+j] * before[i*dim+j]
			g.ds[i*dim+j] *= n.decay
		}
	}
	dg := ddecay * n.decay
	g.ddt = -dg * n.rate * sigmoid64(n.x)
	g.da = -dg * n.rate * softplus64(n.x)
	dgates[g.Values*dim+g.h] = float32(dbeta * n.beta * (1 - n.beta))
	dgates[g.Values*dim+g.Values+g.h] = float32(g.ddt)
}

func plainSplitHeads(qkv, x []float32, rows int, h GatedHeads, back, accumulate bool) {
	for t := range rows {
		narrow, full := qkv[t*h.Plain():][:h.Plain()], x[t*h.Width():][:h.Width()]
		if back && !accumulate {
			clear(full)
		}
		for i := range narrow {
			at := i + min(i/h.Dim, h.Q)*h.Dim
			if back {
				full[at] += narrow[i]
			} else {
				narrow[i] = full[at]
			}
		}
	}
}

// gate is the index of the gate of value i of a row of queries.
func (h GatedHeads) gate(i int) int { return i + (i/h.Dim+1)*h.Dim }

func plainGateHeads(y, a, x []float32, rows int, h GatedHeads) {
	n := h.Q * h.Dim
	for i := range rows * n {
		y[i] = float32(float64(a[i]) * sigmoid64(float64(x[i/n*h.Width()+h.gate(i%n)])))
	}
}

func plainGateHeadsGrad(dx, a, x, dy []float32, rows int, h GatedHeads, accumulate bool) {
	if !accumulate {
		clear(dx[:rows*h.Width()])
	}
	n := h.Q * h.Dim
	for i := range rows * n {
		at := i/n*h.Width() + h.gate(i%n)
		p := sigmoid64(float64(x[at]))
		dx[at] += float32(float64(dy[i]) * float64(a[i]) * p * (1 - p))
	}
}
