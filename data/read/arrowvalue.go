package read

import (
	"fmt"
	"strconv"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
)

// maxNesting bounds how deep a schema may be nested.
const maxNesting = 32

// appendArrow writes value i of a column as JSON. It panics for a type that has
// no place in a conversation.
func appendArrow(dst []byte, column arrow.Array, i, depth int) []byte {
	if depth > maxNesting {
		panic(fmt.Errorf("values nested deeper than %d", maxNesting))
	}
	if column.IsNull(i) {
		return append(dst, "null"...)
	}
	switch c := column.(type) {
	case *array.Null:
		return append(dst, "null"...)
	case *array.String:
		return appendText(dst, c.Value(i))
	case *array.LargeString:
		return appendText(dst, c.Value(i))
	case *array.StringView:
		return appendText(dst, c.Value(i))
	case *array.Binary:
		return appendText(dst, c.Value(i))
	case *array.LargeBinary:
		return appendText(dst, c.Value(i))
	case *array.Boolean:
		return strconv.AppendBool(dst, c.Value(i))
	case *array.Int8:
		return strconv.AppendInt(dst, int64(c.Value(i)), 10)
	case *array.Int16:
		return strconv.AppendInt(dst, int64(c.Value(i)), 10)
	case *array.Int32:
		return strconv.AppendInt(dst, int64(c.Value(i)), 10)
	case *array.Int64:
		return strconv.AppendInt(dst, c.Value(i), 10)
	case *array.Uint8:
		return strconv.AppendUint(dst, uint64(c.Value(i)), 10)
	case *array.Uint16:
		return strconv.AppendUint(dst, uint64(c.Value(i)), 10)
	case *array.Uint32:
		return strconv.AppendUint(dst, uint64(c.Value(i)), 10)
	case *array.Uint64:
		return strconv.AppendUint(dst, c.Value(i), 10)
	case *array.Float32:
		return appendFloat(dst, float64(c.Value(i)), 32)
	case *array.Float64:
		return appendFloat(dst, c.Value(i), 64)
	case *array.Dictionary:
		return appendArrow(dst, c.Dictionary(), c.GetValueIndex(i), depth+1)
	case *array.Struct:
		dst = append(dst, '{')
		for k, f := range c.DataType().(*arrow.StructType).Fields() {
			dst = appendKey(dst, f.Name)
			dst = appendArrow(dst, c.Field(k), i, depth+1)
		}
		return append(dst, '}')
	case array.ListLike:
		from, to := c.ValueOffsets(i)
		dst = append(dst, '[')
		for k := from; k < to; k++ {
			if k > from {
				dst = append(dst, ',')
			}
			dst = appendArrow(dst, c.ListValues(), int(k), depth+1)
		}
		return append(dst, ']')
	}
	panic(fmt.Errorf("a column of type %s, want text, numbers, lists or structs", column.DataType()))
}
