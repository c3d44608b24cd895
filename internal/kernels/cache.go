package kernels

import "fmt"

// Cache holds keys and values of one text for one layer, in float32 or, for half the
// memory to read, in bf16. A head's lie one after another, in units of four bytes: a
// float, or a pair of bf16 values. Of keys, the units of cacheBlock tokens lie side by
// side, [room/cacheBlock][dim or dim/2][cacheBlock], so that a lane of a vector is a
// token; a unit of values is of one token or two, [room or room/2][dim].
type Cache struct {
	keys, values         []float32
	halfKeys, halfValues []BF16
	heads, dim, room     int
}

const cacheBlock = 16 // as LW_BLOCK

// NewCache makes room for the given tokens outside of the Go heap; dim is even.
func NewCache(tokens, heads, dim int, half bool) Cache {
	room := (tokens + 2*cacheBlock - 1) / (2 * cacheBlock) * 2 * cacheBlock
	c, n := Cache{heads: heads, dim: dim, room: room}, room*heads*dim
	if half {
		c.halfKeys, c.halfValues = AllocBF16(n), AllocBF16(n)
	} else {
		c.keys, c.values = Alloc(n), Alloc(n)
	}
	return c
}

// keyAt and valueAt are where value d of a token's key or value lies.
func (c Cache) keyAt(head, token, d int) int {
	lane, pack := token%cacheBlock, c.pack()
	return (head*c.room+token-lane)*c.dim + (d/pack*cacheBlock+lane)*pack + d%pack
}

func (c Cache) valueAt(head, token, d int) int {
	second := token % c.pack()
	return (head*c.room+token-second)*c.dim + d*c.pack() + second
}

func (c Cache) pack() int {
	if c.keys == nil {
		return 2
	}
	return 1
}

// Free gives the memory back.
func (c Cache) Free() {
	Free(c.keys)
	Free(c.values)
	FreeBF16(c.halfKeys)
	FreeBF16(c.halfValues)
}

// Put stores rows keys and values from position at on. Row r of kv starts at
// kv[r*ld:] with the key [heads*dim], and the value follows.
func (c Cache) Put(at int, kv []float32, ld, rows int) {
	needMatrix("kv", len(kv), rows, 2*c.heads*c.dim, ld)
	c.needRoom(at + rows)
	if rows > 0 {
		cachePut(c, at, kv, ld, rows)
	}
}

// Copy stores the first tokens of another cache of the same heads and format.
func (c Cache) Copy(from Cache, tokens int) {
	c.needRoom(tokens)
	from.needRoom(tokens)
	if c.heads != from.heads || c.dim != from.dim || c.pack() != from.pack() {
		panic(fmt.Sprintf("kernels: a cache of %d heads of %d, want %d of %d, both of one format", from.heads, from.dim, c.heads, c.dim))
	}
	n := (tokens + cacheBlock - 1) / cacheBlock * cacheBlock * c.dim // whole blocks: what lies behind the tokens is not looked at
	for h := range c.heads {
		to, at := h*c.room*c.dim, h*from.room*c.dim
		if c.keys != nil {
			copy(c.keys[to:to+n], from.keys[at:])
			copy(c.values[to:to+n], from.values[at:])
		} else {
			copy(c.halfKeys[to:to+n], from.halfKeys[at:])
			copy(c.halfValues[to:to+n], from.halfValues[at:])
		}
	}
}

func (c Cache) needRoom(tokens int) {
	if c.room < tokens {
		panic(fmt.Sprintf("kernels: a cache has room for %d tokens, want %d", c.room, tokens))
	}
}

// Cached is a query for [AttendCached]: the cache that it looks into, how many of
// its tokens there are, its own included, and the first one that it sees.
type Cached struct {
	Cache
	Tokens, First int
}

// AttendCached stores the key and the value of one token for each of texts and
// is attention of its query: row i of out [texts, hq*dim] for the query, key and
// value at qkv[i*ld:]. All caches are of one format.
func AttendCached(out, qkv []float32, ld int, texts []Cached, hq, hkv, dim int, scale float32) {
	need("out", len(out), len(texts)*hq*dim)
	needMatrix("qkv", len(qkv), len(texts), (hq+2*hkv)*dim, ld)
	for _, t := range texts {
		t.needRoom(t.Tokens)
		if t.First < 0 || t.First >= t.Tokens {
			panic(fmt.Sprintf("kernels: the first token seen is %d, want 0 to %d", t.First, t.Tokens-1))
		}
		if t.heads != hkv || t.dim != dim || t.pack() != texts[0].pack() {
			panic(fmt.Sprintf("kernels: a cache of %d heads of %d, want %d of %d, all of one format", t.heads, t.dim, hkv, dim))
		}
	}
	if len(texts) > 0 {
		attendCached(out, qkv, ld, texts, hq, hkv, dim, scale)
	}
}

// floats are the tokens that are seen, in float32, [tokens, heads*dim].
func (c Cached) floats() (keys, values []float32) {
	n := (c.Tokens - c.First) * c.heads * c.dim
	keys, values = make([]float32, 0, n), make([]float32, 0, n)
	for t := c.First; t < c.Tokens; t++ {
		for h := range c.heads {
			for d := range c.dim {
				k, v := c.keyAt(h, t, d), c.valueAt(h, t, d)
				if c.keys != nil {
					keys, values = append(keys, c.keys[k]), append(values, c.values[v])
				} else {
					keys, values = append(keys, toFloat(c.halfKeys[k])), append(values, toFloat(c.halfValues[v]))
				}
			}
		}
	}
	return keys, values
}

func plainCachePut(c Cache, at int, kv []float32, ld, rows int) {
	for r := range rows {
		for h := range c.heads {
			for d := range c.dim {
				key, value := kv[r*ld+h*c.dim+d], kv[r*ld+(c.heads+h)*c.dim+d]
				k, v := c.keyAt(h, at+r, d), c.valueAt(h, at+r, d)
				if c.keys != nil {
					c.keys[k], c.values[v] = key, value
				} else {
					c.halfKeys[k], c.halfValues[v] = toHalf(key), toHalf(value)
				}
			}
		}
	}
}

func plainAttendCached(out, qkv []float32, ld int, texts []Cached, hq, hkv, dim int, scale float32) {
	for i, t := range texts {
		plainCachePut(t.Cache, t.Tokens-1, qkv[i*ld+hq*dim:], ld, 1)
		keys, values := t.floats()
		plainAttendOne(out[i*hq*dim:], qkv[i*ld:], keys, values, t.Tokens-t.First, hq, hkv, dim, scale)
	}
}
