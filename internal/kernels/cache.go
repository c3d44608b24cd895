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

// Put stores key and value [KV*dim] of the token at position at.
func (c Cache) Put(at int, key, value []float32) {
	if c.keys == nil {
		toBF16(c.halfKeys[at*c.width:(at+1)*c.width], key[:c.width])
		toBF16(c.halfValues[at*c.width:(at+1)*c.width], value[:c.width])
		return
	}
	copy(c.keys[at*c.width:(at+1)*c.width], key)
	copy(c.values[at*c.width:(at+1)*c.width], value)
}

// Cached is a query for [AttendCached]: the cache that it looks into, and how
// many of its tokens it sees.
type Cached struct {
	Cache
	Tokens int
}

// AttendCached is attention of one query for each of texts: row i of out
// [texts, hq*dim] for the query at q[i*ldq:]. All caches are of one format.
func AttendCached(out, q []float32, ldq int, texts []Cached, hq, hkv, dim int, scale float32) {
	need("out", len(out), len(texts)*hq*dim)
	needMatrix("q", len(q), len(texts), hq*dim, ldq)
	for _, t := range texts {
		need("cache", max(len(t.keys), len(t.halfKeys)), t.Tokens*hkv*dim)
	}
	if len(texts) > 0 {
		attendCached(out, q, ldq, texts, hq, hkv, dim, scale)
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

func plainAttendCached(out, q []float32, ldq int, texts []Cached, hq, hkv, dim int, scale float32) {
	for i, t := range texts {
		keys, values := t.floats()
		plainAttendOne(out[i*hq*dim:], q[i*ldq:], keys, values, t.Tokens, hq, hkv, dim, scale)
	}
}
