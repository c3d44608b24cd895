package data

// piece is a sample: a stretch of a conversation's tokens.
type piece struct {
	source       int32
	conversation int32 // of the source's store
	from, to     int32 // tokens
	targets      int32
}

// cut returns the first limit tokens of a whole conversation, whose targets these are, or with split all of it in pieces
// of at most limit tokens. A piece without targets is left out.
func (whole piece) cut(target [][2]int32, limit int32, split bool) (pieces []piece) {
	for from := int32(0); from < whole.to; from += limit {
		p := piece{whole.source, whole.conversation, from, min(from+limit, whole.to), 0}
		for _, t := range within(target, p.from, p.to) {
			p.targets += t[1] - max(t[0], 1)
		}
		if p.targets > 0 {
			pieces = append(pieces, p)
		}
		if !split {
			break
		}
	}
	return pieces
}

// within cuts ranges to [from, to) and counts them from there.
func within(ranges [][2]int32, from, to int32) [][2]int32 {
	var out [][2]int32
	for _, t := range ranges {
		if a, b := max(t[0], from), min(t[1], to); a < b {
			out = append(out, [2]int32{a - from, b - from})
		}
	}
	return out
}
