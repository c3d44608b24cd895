package read

import (
	"fmt"
	"strconv"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
)

// arrowWriter writes values of columns as JSON.
type arrowWriter struct {
	keepNulls bool
	may       *budget
}

// isJSON reports whether a column holds the text of JSON: pyarrow's type arrow.json, which is
// Json of Hugging Face's datasets.
func isJSON(f arrow.Field) bool {
	name, _ := f.Metadata.GetValue("ARROW:extension:name")
	return name == "arrow.json"
}

// append writes value i of a column, which is of a field, and of which more may be known. It panics
// for a type that has no place in a conversation: see [unreadable].
func (w arrowWriter) append(dst []byte, f arrow.Field, more *feature, column arrow.Array, i, depth int) []byte {
	if depth > maxNesting {
		panic(fmt.Errorf("values nested deeper than %d", maxNesting))
	}
	w.may.mustTake(valueCost)
	if column.IsNull(i) {
		return append(dst, "null"...)
	}
	switch c := column.(type) {
	case *array.Null:
		return append(dst, "null"...)
	case *array.Dictionary:
		return w.append(dst, f, more, c.Dictionary(), c.GetValueIndex(i), depth+1)
	case *array.Struct:
		dst = append(dst, '{')
		for k, field := range c.DataType().(*arrow.StructType).Fields() {
			dst = appendMember(dst, field.Name, w.keepNulls, func(dst []byte) []byte {
				return w.append(dst, field, more.member(field.Name), c.Field(k), i, depth+1)
			})
		}
		return append(dst, '}')
	case *array.Map:
		return w.pairs(dst, c, i, depth)
	case array.ListLike:
		from, to := c.ValueOffsets(i)
		element := arrow.Field{}
		if t, ok := c.DataType().(arrow.ListLikeType); ok {
			element = t.ElemField()
		}
		dst = append(dst, '[')
		for k := from; k < to && len(dst) <= MaxLine; k++ {
			if k > from {
				dst = append(dst, ',')
			}
			dst = w.append(dst, element, more.items(), c.ListValues(), int(k), depth+1)
		}
		return append(dst, ']')
	case array.ExtensionArray:
		return w.append(dst, f, more, c.Storage(), i, depth+1)
	}
	if s, ok := textAt(column, i); ok && isJSON(f) {
		return appendJSON(dst, s)
	} else if ok {
		return appendText(dst, s)
	}
	if names := more.names(); names != nil {
		if n, err := strconv.ParseInt(string(appendScalar(nil, column, i)), 10, 64); err == nil {
			return appendClass(dst, n, names)
		}
	}
	return appendScalar(dst, column, i)
}

// unreadable looks for a column within a field whose type has no place in a conversation.
func unreadable(f arrow.Field, path string, depth int) error {
	if depth > maxNesting {
		return fmt.Errorf("values nested deeper than %d", maxNesting)
	}
	inner := func(fields ...arrow.Field) error {
		for _, field := range fields {
			if err := unreadable(field, path+"."+field.Name, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	switch t := f.Type.(type) {
	case *arrow.DictionaryType:
		return unreadable(arrow.Field{Type: t.ValueType}, path, depth+1)
	case *arrow.StructType:
		return inner(t.Fields()...)
	case *arrow.MapType:
		return inner(t.ItemField())
	case arrow.ListLikeType:
		return inner(t.ElemField())
	case arrow.ExtensionType:
		return unreadable(arrow.Field{Type: t.StorageType()}, path, depth+1)
	case *arrow.NullType, *arrow.BooleanType, *arrow.StringType, *arrow.LargeStringType, *arrow.StringViewType,
		*arrow.BinaryType, *arrow.LargeBinaryType, *arrow.BinaryViewType, *arrow.Int8Type, *arrow.Int16Type, *arrow.Int32Type,
		*arrow.Int64Type, *arrow.Uint8Type, *arrow.Uint16Type, *arrow.Uint32Type, *arrow.Uint64Type, *arrow.Float16Type,
		*arrow.Float32Type, *arrow.Float64Type, *arrow.Date32Type, *arrow.Date64Type, *arrow.Time32Type, *arrow.Time64Type,
		*arrow.TimestampType:
		return nil
	}
	return badColumn(path, fmt.Sprintf("values of the type %s", f.Type))
}

// pairs writes a map whose keys are text as an object.
func (w arrowWriter) pairs(dst []byte, m *array.Map, i, depth int) []byte {
	from, to := m.ValueOffsets(i)
	t := m.DataType().(*arrow.MapType)
	dst = append(dst, '{')
	for k := from; k < to && len(dst) <= MaxLine; k++ {
		key, ok := textAt(m.Keys(), int(k))
		if !ok {
			panic(fmt.Errorf("a column of type %s, want text as the keys of maps", t))
		}
		dst = w.append(appendKey(dst, key), t.ItemField(), nil, m.Items(), int(k), depth+1)
	}
	return append(dst, '}')
}

// textAt is the text that value i of a column is; ok is false for other columns.
func textAt(column arrow.Array, i int) (s string, ok bool) {
	switch c := column.(type) {
	case *array.String:
		return c.Value(i), true
	case *array.LargeString:
		return c.Value(i), true
	case *array.StringView:
		return c.Value(i), true
	case *array.Binary:
		return string(c.Value(i)), true
	case *array.LargeBinary:
		return string(c.Value(i)), true
	case *array.BinaryView:
		return string(c.Value(i)), true
	}
	return "", false
}

func appendScalar(dst []byte, column arrow.Array, i int) []byte {
	switch c := column.(type) {
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
	case *array.Float16:
		return appendFloat(dst, halfOf(c.Value(i).Uint16()))
	case *array.Float32:
		return appendFloat(dst, float64(c.Value(i)))
	case *array.Float64:
		return appendFloat(dst, c.Value(i))
	case *array.Date32:
		return appendTime(dst, c.Value(i).ToTime(), dateLayout, false)
	case *array.Date64:
		return appendTime(dst, c.Value(i).ToTime(), dateLayout, false)
	case *array.Time32:
		return appendTime(dst, c.Value(i).ToTime(c.DataType().(*arrow.Time32Type).Unit), timeLayout, false)
	case *array.Time64:
		return appendTime(dst, c.Value(i).ToTime(c.DataType().(*arrow.Time64Type).Unit), timeLayout, false)
	case *array.Timestamp:
		t := c.DataType().(*arrow.TimestampType)
		return appendTime(dst, c.Value(i).ToTime(t.Unit), timestampLayout, t.TimeZone != "")
	}
	panic(fmt.Errorf("a column of type %s, want text, numbers, lists or structs", column.DataType()))
}
