package kernels

// Cache holds keys and values of one text for one layer, a row of KV*dim for
// each token: in float32, or in bf16 for half the memory to read.
type Cache struct {
	keys, values         []float32
	halfKeys, halfValues []BF16
	width                int
}

// NewCache makes room for the given tokens outside of the Go heap.
func NewCache(tokens, width int, half bool) Cache {
	if half {
		return Cache{halfKeys: AllocBF16(tokens * width), halfValues: AllocBF16(tokens * width), width: width}
	}
	return Cache{keys: Alloc(tokens * width), values: Alloc(tokens * width), width: width}
}

// Free gives the memory back.
func (c Cache) Free() {
	Free(c.keys)
	Free(c.values)
	FreeBF16(c.halfKeys)
	FreeBF16(c.halfValues)
}

// Put stores rows keys and values from position at on. Row r of kv starts at
// kv[r*ld:] with the key [KV*dim], and the value follows.
func (c Cache) Put(at int, kv []float32, ld, rows int) {
	needMatrix("kv", len(kv), rows, 2*c.width, ld)
	need("cache", max(len(c.keys), len(c.halfKeys)), (at+rows)*c.width)
	if rows > 0 {
		cachePut(c, at, kv, ld, rows)
	}
}

// Cached is a query for [AttendCached]: the cache that it looks into, and how
// many of its tokens it sees, its own included.
type Cached struct {
	Cache
	Tokens int
}

// AttendCached stores the key and the value of one token for each of texts and
// is attention of its query: row i of out [texts, hq*dim] for the query, key and
// value at qkv[i*ld:]. All caches are of one format.
func AttendCached(out, qkv []float32, ld int, texts []Cached, hq, hkv, dim int, scale float32) {
	need("out", len(out), len(texts)*hq*dim)
	needMatrix("qkv", len(qkv), len(texts), (hq+2*hkv)*dim, ld)
	for _, t := range texts {
		need("cache", max(len(t.keys), len(t.halfKeys)), t.Tokens*hkv*dim)
	}
	if len(texts) > 0 {
		attendCached(out, qkv, ld, texts, hq, hkv, dim, scale)
	}
}

// floats is the cache in float32.
func (c Cached) floats() (keys, values []float32) {
	if c.keys != nil {
		return c.keys, c.values
	}
	n := c.Tokens * c.width
	keys, values = make([]float32, n), make([]float32, n)
	plainFromBF16(keys, c.halfKeys[:n])
	plainFromBF16(values, c.halfValues[:n])
	return keys, values
}

func plainCachePut(c Cache, at int, kv []float32, ld, rows int) {
	for r := range rows {
		to, key, value := (at+r)*c.width, kv[r*ld:][:c.width], kv[r*ld+c.width:][:c.width]
		if c.keys == nil {
			plainToBF16(c.halfKeys[to:to+c.width], key)
			plainToBF16(c.halfValues[to:to+c.width], value)
			continue
		}
		copy(c.keys[to:], key)
		copy(c.values[to:], value)
	}
}

func plainAttendCached(out, qkv []float32, ld int, texts []Cached, hq, hkv, dim int, scale float32) {
	for i, t := range texts {
		plainCachePut(t.Cache, t.Tokens-1, qkv[i*ld+hq*dim:], ld, 1)
		keys, values := t.floats()
		plainAttendOne(out[i*hq*dim:], qkv[i*ld:], keys, values, t.Tokens, hq, hkv, dim, scale)
	}
}
