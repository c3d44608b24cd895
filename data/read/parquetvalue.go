package read

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/parquet"
	pq "github.com/apache/arrow/go/v17/parquet/file"
	"github.com/apache/arrow/go/v17/parquet/schema"
)

// Rows lie in Parquet by columns: every value with a definition level (how much
// of its path is there) and a repetition level (which list it goes on with), as
// in Dremel (Melnik et al. 2010). A parquetNode puts the text of a row together
// from them.
type parquetNode struct {
	name               string
	optional, repeated bool
	def, rep           int16 // levels of a value that is there
	leaf               *parquetLeaf
	children           []*parquetNode
	bare               bool // a list's wrapper: its only child stands for it
	pairs              bool // repeated: the keys and values of a map
	keepNulls          bool
}

// unwrap recognises the groups that LIST and MAP put around what is in them:
// optional group messages (LIST) { repeated group list { optional element } },
// optional group arguments (MAP) { repeated group key_value { required key; optional value } }.
func (n *parquetNode) unwrap(g *schema.GroupNode) {
	_, isMap := g.LogicalType().(schema.MapLogicalType)
	isMap = isMap || g.ConvertedType() == schema.ConvertedTypes.Map || g.ConvertedType() == schema.ConvertedTypes.MapKeyValue
	if isMap && len(n.children) == 1 && n.children[0].isPairs() {
		n.bare, n.children[0].pairs = true, true
		return
	}
	_, isList := g.LogicalType().(schema.ListLogicalType)
	isList = isList || g.ConvertedType() == schema.ConvertedTypes.List
	if !isList || len(n.children) != 1 || !n.children[0].repeated {
		return
	}
	n.bare = true
	// Old writers have no group between: then the repeated one is the element.
	list := n.children[0]
	if list.leaf == nil && len(list.children) == 1 && list.name != "array" && list.name != n.name+"_tuple" {
		list.bare = true
	}
}

// isPairs reports whether a node repeats a text and a value.
func (n *parquetNode) isPairs() bool {
	if !n.repeated || len(n.children) != 2 {
		return false
	}
	key := n.children[0]
	return key.leaf != nil && key.leaf.isText && !key.optional && !key.repeated
}

// know tells a node what more is known of it, and which field it was in Arrow.
func (n *parquetNode) know(more *feature, f arrow.Field) {
	switch t := f.Type.(type) {
	case arrow.ExtensionType:
		f.Type = t.StorageType()
	case *arrow.DurationType:
		n.eachLeaf(func(l *parquetLeaf) { l.refused = "durations" })
	}
	element := arrow.Field{}
	if t, ok := f.Type.(arrow.ListLikeType); ok {
		element = t.ElemField()
	}
	switch {
	case n.bare && n.children[0].pairs:
		if t, ok := f.Type.(*arrow.MapType); ok {
			n.children[0].children[1].know(nil, t.ItemField())
		}
	case n.bare && n.repeated: // the list of a list
		n.children[0].know(more, f)
	case n.bare:
		n.children[0].know(more.items(), element)
	case n.leaf != nil:
		n.leaf.classes = more.names()
	}
	if n.bare || n.leaf != nil {
		return
	}
	fields, _ := f.Type.(*arrow.StructType)
	for _, c := range n.children {
		of := arrow.Field{}
		if fields != nil {
			of, _ = fields.FieldByName(c.name)
		}
		c.know(more.member(c.name), of)
	}
}

func (n *parquetNode) eachLeaf(see func(*parquetLeaf)) {
	if n.leaf != nil {
		see(n.leaf)
	}
	for _, c := range n.children {
		c.eachLeaf(see)
	}
}

func (n *parquetNode) first() *parquetLeaf {
	for n.leaf == nil {
		n = n.children[0]
	}
	return n.leaf
}

// append writes the node's part of the row at hand.
func (n *parquetNode) append(dst []byte) []byte {
	switch first := n.first(); {
	case n.repeated:
		open, end := byte('['), byte(']')
		if n.pairs {
			open, end = '{', '}'
		}
		dst = append(dst, open)
		if def, _ := first.peek(); def < n.def {
			n.eachLeaf((*parquetLeaf).pass)
			return append(dst, end)
		}
		for {
			dst = n.one(dst)
			if !first.goesOn(n.rep) {
				return append(dst, end)
			}
			dst = append(dst, ',')[:min(len(dst)+1, MaxLine+1)] // what is too long to be a row is gone through, and not kept
		}
	case n.optional:
		if def, _ := first.peek(); def < n.def {
			n.eachLeaf((*parquetLeaf).pass)
			return append(dst, "null"...)
		}
	}
	return n.one(dst)
}

// one writes a node that is there, or one element of a repeated one.
func (n *parquetNode) one(dst []byte) []byte {
	switch {
	case n.leaf != nil:
		return n.leaf.take(dst)
	case n.bare:
		return n.children[0].append(dst)
	case n.pairs:
		return n.children[1].append(append(n.children[0].append(dst), ':'))
	}
	dst = append(dst, '{')
	for _, c := range n.children {
		dst = appendMember(dst, c.name, n.keepNulls, c.append)
	}
	return append(dst, '}')
}

// parquetBatch is how many values are taken from a column at a time.
const parquetBatch = 64

// parquetLeaf reads one column.
type parquetLeaf struct {
	path           string
	refused        string // why it can't be read
	column         int
	maxDef, maxRep int16
	unsigned, half bool
	classes        []string // what its numbers are the names of; nil: they are numbers
	isText, isJSON bool
	asTime         func(dst []byte, v int64) []byte // nil: a number

	may      *budget
	r        pq.ColumnChunkReader
	def, rep [parquetBatch]int16
	n, at    int // levels that are held, and the next of them
	value    int // the next value
	texts    [parquetBatch]parquet.ByteArray
	fixed    [parquetBatch]parquet.FixedLenByteArray
	bools    [parquetBatch]bool
	int32s   [parquetBatch]int32
	int64s   [parquetBatch]int64
	float32s [parquetBatch]float32
	float64s [parquetBatch]float64
}

func newParquetLeaf(n *schema.PrimitiveNode, def, rep int16, column int, may *budget) *parquetLeaf {
	l := &parquetLeaf{path: n.Path(), column: column, may: may, maxDef: def, maxRep: rep}
	if _, ok := n.LogicalType().(*schema.DecimalLogicalType); ok || n.ConvertedType() == schema.ConvertedTypes.Decimal {
		l.refused = "decimal numbers"
	}
	if n.PhysicalType() == parquet.Types.Int96 {
		l.refused = "numbers of 96 bits"
	}
	switch t := n.LogicalType().(type) {
	case *schema.IntLogicalType:
		l.unsigned = !t.IsSigned()
	case schema.JSONLogicalType:
		l.isJSON = true
	case schema.DateLogicalType:
		l.asTime = func(dst []byte, v int64) []byte { return appendTime(dst, time.Unix(v*86400, 0), dateLayout, false) }
	case *schema.TimeLogicalType:
		l.asTime = func(dst []byte, v int64) []byte { return appendTime(dst, timeOf(v, t.TimeUnit()), timeLayout, false) }
	case *schema.TimestampLogicalType:
		l.asTime = func(dst []byte, v int64) []byte {
			return appendTime(dst, timeOf(v, t.TimeUnit()), timestampLayout, t.IsAdjustedToUTC())
		}
	}
	if n.PhysicalType() == parquet.Types.FixedLenByteArray {
		switch n.LogicalType().(type) {
		case schema.Float16LogicalType:
			l.half = true
		case schema.IntervalLogicalType:
			l.refused = "intervals"
		case schema.UUIDLogicalType:
			l.refused = "ids in 16 bytes"
		}
	}
	l.isText = n.PhysicalType() == parquet.Types.ByteArray && !l.isJSON
	return l
}

// timeOf is a time since the start of 1970, or of the day.
func timeOf(v int64, unit schema.TimeUnitType) time.Time {
	switch unit {
	case schema.TimeUnitMillis:
		return time.UnixMilli(v)
	case schema.TimeUnitMicros:
		return time.UnixMicro(v)
	}
	return time.Unix(v/1e9, v%1e9)
}

func (l *parquetLeaf) begin(r pq.ColumnChunkReader) {
	if l.n > l.at {
		panic(fmt.Errorf("column %s has more values than rows", l.path))
	}
	l.r, l.n, l.at, l.value = r, 0, 0, 0
}

var errShort = errors.New("a column ends before the rows do")

// fill reads levels and values, and reports whether there are any.
func (l *parquetLeaf) fill() bool {
	if l.at < l.n {
		return true
	}
	var values int
	var n int64
	var err error
	l.at, l.value, l.n = 0, 0, 0
	for n == 0 && l.r.HasNext() {
		switch r := l.r.(type) {
		case *pq.ByteArrayColumnChunkReader:
			n, values, err = r.ReadBatch(parquetBatch, l.texts[:], l.def[:], l.rep[:])
		case *pq.FixedLenByteArrayColumnChunkReader:
			n, values, err = r.ReadBatch(parquetBatch, l.fixed[:], l.def[:], l.rep[:])
		case *pq.BooleanColumnChunkReader:
			n, values, err = r.ReadBatch(parquetBatch, l.bools[:], l.def[:], l.rep[:])
		case *pq.Int32ColumnChunkReader:
			n, values, err = r.ReadBatch(parquetBatch, l.int32s[:], l.def[:], l.rep[:])
		case *pq.Int64ColumnChunkReader:
			n, values, err = r.ReadBatch(parquetBatch, l.int64s[:], l.def[:], l.rep[:])
		case *pq.Float32ColumnChunkReader:
			n, values, err = r.ReadBatch(parquetBatch, l.float32s[:], l.def[:], l.rep[:])
		case *pq.Float64ColumnChunkReader:
			n, values, err = r.ReadBatch(parquetBatch, l.float64s[:], l.def[:], l.rep[:])
		}
		if err != nil {
			panic(fmt.Errorf("column %s: %w", l.path, err))
		}
		if n == 0 && values == 0 {
			break
		}
	}
	if err := l.r.Err(); err != nil {
		panic(fmt.Errorf("column %s: %w", l.path, err))
	}
	l.may.mustTake(valueCost * n)
	l.n = int(n)
	there := 0
	for i := range l.n {
		if l.maxDef == 0 {
			l.def[i] = 0
		}
		if l.maxRep == 0 {
			l.rep[i] = 0
		}
		if l.def[i] == l.maxDef {
			there++
		}
		if l.def[i] > l.maxDef || l.rep[i] > l.maxRep {
			panic(fmt.Errorf("column %s: levels %d and %d, want at most %d and %d", l.path, l.def[i], l.rep[i], l.maxDef, l.maxRep))
		}
	}
	if there != values {
		panic(fmt.Errorf("column %s: %d values, where the levels speak of %d", l.path, values, there))
	}
	return l.n > 0
}

// peek returns the levels of the next value.
func (l *parquetLeaf) peek() (def, rep int16) {
	if !l.fill() {
		panic(errShort)
	}
	return l.def[l.at], l.rep[l.at]
}

// goesOn reports whether the next value goes on with a list of this level.
func (l *parquetLeaf) goesOn(rep int16) bool { return l.fill() && l.rep[l.at] >= rep }

// pass goes by a value that is not there.
func (l *parquetLeaf) pass() {
	if def, _ := l.peek(); def == l.maxDef {
		panic(fmt.Errorf("column %s: a value where there should be none", l.path))
	}
	l.at++
}

// take writes the next value, which is there.
func (l *parquetLeaf) take(dst []byte) []byte {
	def, _ := l.peek()
	l.at++
	if def < l.maxDef {
		return append(dst, "null"...)
	}
	i := l.value
	l.value++
	switch l.r.(type) {
	case *pq.ByteArrayColumnChunkReader:
		if l.isJSON {
			return appendJSON(dst, []byte(l.texts[i]))
		}
		return appendText(dst, []byte(l.texts[i]))
	case *pq.FixedLenByteArrayColumnChunkReader:
		if l.half {
			return appendFloat(dst, halfOf(binary.LittleEndian.Uint16(l.fixed[i])))
		}
		return appendText(dst, []byte(l.fixed[i]))
	case *pq.BooleanColumnChunkReader:
		return strconv.AppendBool(dst, l.bools[i])
	case *pq.Int32ColumnChunkReader:
		if l.unsigned {
			return l.appendInt(dst, int64(uint32(l.int32s[i])))
		}
		return l.appendInt(dst, int64(l.int32s[i]))
	case *pq.Int64ColumnChunkReader:
		return l.appendInt(dst, l.int64s[i])
	case *pq.Float32ColumnChunkReader:
		return appendFloat(dst, float64(l.float32s[i]))
	case *pq.Float64ColumnChunkReader:
		return appendFloat(dst, l.float64s[i])
	}
	panic(fmt.Errorf("column %s: an unknown type", l.path))
}

// appendInt writes what a whole number means.
func (l *parquetLeaf) appendInt(dst []byte, v int64) []byte {
	switch {
	case l.asTime != nil:
		return l.asTime(dst, v)
	case l.classes != nil:
		return appendClass(dst, v, l.classes)
	case l.unsigned:
		return strconv.AppendUint(dst, uint64(v), 10)
	}
	return strconv.AppendInt(dst, v, 10)
}
