package split

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"unicode/utf8"
)

// Limits of what is built of a pattern, several times above what the published ones need.
const (
	maxInsts  = 1 << 11
	maxSets   = 64      // that differ
	maxTable  = 1 << 15 // states times symbols
	maxEffort = 1 << 24 // steps of building it
)

// inst is an instruction of a backtracking matcher, which tries the first way on before the second.
type inst struct {
	op   instOp
	set  int // index of a set: of the code point that is taken, or of the one that is looked at
	end  bool
	out  int
	out2 int
}

type instOp uint8

const (
	instTake instOp = iota
	instLook
	instSplit
	instMatch
)

// builder makes the automaton of a pattern.
type builder struct {
	insts  []inst
	sets   []set
	member [][]bool // by set and class: whether the class is in it
	symbol int      // how many symbols there are: classes, and the end of the text
	effort int
}

func (b *builder) add(i inst) int {
	b.insts = append(b.insts, i)
	return len(b.insts) - 1
}

func (b *builder) setIndex(s set) int {
	i := slices.IndexFunc(b.sets, func(t set) bool { return slices.Equal(s, t) })
	if i < 0 {
		i = len(b.sets)
		b.sets = append(b.sets, s)
	}
	return i
}

// compile adds the instructions of a node, which go on at next, and returns the first one.
func (b *builder) compile(n *node, next int) int {
	if len(b.insts) > maxInsts {
		return next
	}
	switch n.op {
	case opSet:
		return b.add(inst{op: instTake, set: b.setIndex(n.set), out: next})
	case opLook:
		return b.add(inst{op: instLook, set: b.setIndex(n.set), end: n.end, out: next})
	case opCat:
		for _, s := range slices.Backward(n.subs) {
			next = b.compile(s, next)
		}
		return next
	case opAlt:
		first := b.compile(n.subs[len(n.subs)-1], next)
		for _, s := range slices.Backward(n.subs[:len(n.subs)-1]) {
			first = b.add(inst{op: instSplit, out: b.compile(s, next), out2: first})
		}
		return first
	}
	sub := n.subs[0]
	fork := func(more, enough int) inst {
		if n.lazy {
			more, enough = enough, more
		}
		return inst{op: instSplit, out: more, out2: enough}
	}
	first := next
	if n.max < 0 {
		first = b.add(inst{})
		b.insts[first] = fork(b.compile(sub, first), next)
	} else {
		for range n.max - n.min {
			first = b.add(fork(b.compile(sub, first), next))
		}
	}
	for range n.min {
		first = b.compile(sub, first)
	}
	return first
}

// partition makes classes of the code points that no set tells apart, and returns the first code point of each range
// of them and its class.
func (b *builder) partition() (starts []rune, class []uint8) {
	cuts := []rune{0}
	for _, s := range b.sets {
		for _, r := range s {
			cuts = append(cuts, r.lo, r.hi+1)
		}
	}
	slices.Sort(cuts)
	known := map[uint64]uint8{}
	b.member = make([][]bool, len(b.sets))
	for _, r := range slices.Compact(cuts) {
		if r > utf8.MaxRune {
			break
		}
		of := uint64(0)
		for i, s := range b.sets {
			if s.has(r) {
				of |= 1 << i
			}
		}
		c, ok := known[of]
		if !ok {
			c = uint8(len(known))
			known[of] = c
			for i := range b.sets {
				b.member[i] = append(b.member[i], of>>i&1 != 0)
			}
		}
		starts, class = append(starts, r), append(class, c)
	}
	b.symbol = len(known) + 1
	return starts, class
}

// closure follows the instructions from pcs on that take nothing, in the order in which a backtracking matcher would,
// with what is next in the text. It returns those that take a code point, up to a match.
func (b *builder) closure(pcs []int, symbol int) (takes []int, matched bool) {
	seen := make([]bool, len(b.insts))
	var walk func(pc int) bool
	walk = func(pc int) bool {
		b.effort++
		if seen[pc] {
			return false
		}
		seen[pc] = true
		switch in := b.insts[pc]; in.op {
		case instMatch:
			return true
		case instTake:
			takes = append(takes, pc)
			return false
		case instLook:
			end := symbol == b.symbol-1
			return (end && in.end || !end && b.member[in.set][symbol]) && walk(in.out)
		default:
			return walk(in.out) || walk(in.out2)
		}
	}
	b.effort += len(b.insts) / 16
	for _, pc := range pcs {
		if walk(pc) {
			return takes, true
		}
	}
	return takes, false
}

// step is where a state goes by a symbol, and whether a match ends before that.
func (b *builder) step(state []int, symbol int) (next []int, matched bool) {
	takes, matched := b.closure(state, symbol)
	if symbol == b.symbol-1 {
		return nil, matched
	}
	for _, pc := range takes {
		b.effort++
		if in := b.insts[pc]; b.member[in.set][symbol] && !slices.Contains(next, in.out) {
			next = append(next, in.out)
		}
	}
	return next, matched
}

// build makes the pattern of a tree: the states of the automaton are lists of instructions in the order of their
// precedence, of which the first that matches cuts off those behind it.
func build(n *node) (*Pattern, error) {
	if n.nullable() {
		return nil, fmt.Errorf("it may match nothing, want one that takes a character at least")
	}
	b := &builder{}
	start := b.compile(n, b.add(inst{op: instMatch}))
	if len(b.insts) > maxInsts || len(b.sets) > maxSets {
		return nil, fmt.Errorf("more than %d steps or %d classes, want fewer", maxInsts, maxSets)
	}
	p := &Pattern{}
	p.fillClasses(b.partition())
	p.shift = uint(bits.Len(uint(b.symbol - 1)))
	p.end = uint16(b.symbol - 1)
	stride := 1 << p.shift
	states := [][]int{nil, {start}} // the first one is dead
	index := map[string]int{"": 0, key(states[1]): 1}
	for at := 0; at < len(states); at++ {
		p.moves = append(p.moves, make([]uint16, stride)...)
		for symbol := range b.symbol {
			next, matched := b.step(states[at], symbol)
			to, ok := index[key(next)]
			if !ok {
				to = len(states)
				states = append(states, next)
				index[key(next)] = to
			}
			if len(states)*stride > maxTable || b.effort > maxEffort {
				return nil, fmt.Errorf("its automaton has more than %d entries, want fewer", maxTable)
			}
			move := uint16(to << p.shift)
			if matched {
				move |= matchBit
			}
			p.moves[at*stride+symbol] = move
		}
	}
	return p, nil
}

func key(state []int) string {
	var b []byte
	for _, pc := range state {
		b = binary.AppendUvarint(b, uint64(pc))
	}
	return string(b)
}
