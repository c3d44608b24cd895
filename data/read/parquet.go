package read

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/apache/arrow/go/v17/parquet"
	pq "github.com/apache/arrow/go/v17/parquet/file"
	"github.com/apache/arrow/go/v17/parquet/schema"
)

// parquetRows reads the rows of a Parquet file, page by page. It puts the rows
// together itself: the library's own way to Arrow records starts goroutines,
// whose panics on a broken file would end the program.
type parquetRows struct {
	f        *pq.Reader
	at       io.ReaderAt // its file
	size     int64
	may      *budget
	held     int64          // bytes of the pages at hand
	fields   []*parquetNode // the columns that are read
	leaves   []*parquetLeaf // in them
	others   []string       // those that are not
	features *feature
	arrow    *arrow.Schema // that the table had in Arrow; nil: it is not told
	group    int           // row groups that were begun
	left     int64         // rows in the one at hand
	number   int
	text     []byte
	err      error

	keepNulls bool // of nested objects
}

func newParquetRows(f randomAccess, size int64, want Options) (_ lines, err error) {
	defer recovered(0, "Parquet", &err)
	if err := checkParquet(f, size); err != nil {
		return nil, err
	}
	may := newBudget(size)
	props := parquet.NewReaderProperties(boundedMemory{memory.NewGoAllocator(), may, nil})
	p := &parquetRows{at: f, size: size, may: may, keepNulls: want.KeepNulls}
	if p.f, err = pq.NewParquetReader(f, pq.WithReadProps(props)); err != nil {
		return nil, brokenTable(0, "Parquet", err)
	}
	if err := p.readMetadata(may); err != nil {
		return nil, err
	}
	root := p.f.MetaData().Schema.Root()
	var all []string
	column := 0
	for i := range root.NumFields() {
		n := p.node(root.Field(i), 0, 0, 0, &column)
		all = append(all, fmt.Sprintf("%.40q", n.name))
		if want.Columns[n.name] {
			n.know(p.features.member(n.name), p.fieldOf(n.name))
			p.fields = append(p.fields, n)
			n.eachLeaf(func(l *parquetLeaf) { p.leaves = append(p.leaves, l) })
		} else {
			p.others = append(p.others, n.name)
		}
	}
	if len(p.fields) == 0 {
		return nil, noColumns(all)
	}
	for _, l := range p.leaves {
		if l.refused != "" {
			return nil, badColumn(l.path, l.refused)
		}
	}
	return p, nil
}

// arrowKey is where the metadata of a table that was one of Arrow has its schema: durations are told
// apart from other numbers by nothing else.
const arrowKey = "ARROW:schema"

// readMetadata reads what else is told of the columns.
func (p *parquetRows) readMetadata(may *budget) (err error) {
	metadata := p.f.MetaData().KeyValueMetadata()
	if text := metadata.FindValue(featuresKey); text != nil {
		if p.features, err = featuresOf(*text); err != nil {
			return err
		}
	}
	if text := metadata.FindValue(arrowKey); text != nil {
		raw, err := base64.StdEncoding.DecodeString(*text)
		if err != nil {
			return brokenTable(0, "Parquet", fmt.Errorf("%s: %w", arrowKey, err))
		}
		messages := &arrowMessages{r: bytes.NewReader(raw), size: int64(len(raw))}
		r, err := ipc.NewReaderFromMessageReader(messages, ipc.WithAllocator(boundedMemory{memory.NewGoAllocator(), may, nil}))
		if err != nil {
			return brokenTable(0, "Parquet", fmt.Errorf("%s: %w", arrowKey, err))
		}
		p.arrow = r.Schema()
	}
	return nil
}

// fieldOf is what a column was in Arrow, or a field of no type.
func (p *parquetRows) fieldOf(name string) arrow.Field {
	if p.arrow != nil {
		if found, ok := p.arrow.FieldsByName(name); ok {
			return found[0]
		}
	}
	return arrow.Field{}
}

// checkParquet checks the file's end before the library reads it.
func checkParquet(f io.ReaderAt, size int64) error {
	if size < 12 {
		return broken(0, "a broken Parquet file: it ends after %d bytes", size)
	}
	var end [8]byte
	if _, err := f.ReadAt(end[:], size-8); err != nil {
		return err
	}
	if string(end[4:]) == "PARE" {
		return &brokenFile{detail: "an encrypted Parquet file, want one that is not"}
	}
	n := int64(binary.LittleEndian.Uint32(end[:]))
	if string(end[4:]) != "PAR1" || n > size-12 {
		return broken(0, "a broken Parquet file: it is cut short, its end is missing")
	}
	if n > mostFooter {
		return broken(0, "a Parquet file with a footer of %d bytes, want at most %d MiB", n, mostFooter>>20)
	}
	footer := make([]byte, n)
	if _, err := f.ReadAt(footer, size-8-n); err != nil {
		return err
	}
	t := thriftCheck{b: footer}
	if t.structure(0); t.cost > mostThrift {
		return &brokenFile{detail: fmt.Sprintf("a Parquet file with more than %d structures in its footer", mostThrift/16),
			hint: "write larger groups of rows, or several files"}
	}
	if t.bad {
		return broken(0, "a broken Parquet file: a list or text in its footer is longer than the footer")
	}
	return nil
}

// position is a guess by rows: the columns are read at several places.
func (p *parquetRows) position() int64 {
	if n := p.f.NumRows(); n > 0 {
		return int64(float64(p.size) * min(1, float64(p.number)/float64(n)))
	}
	return p.size
}

func (p *parquetRows) passed() []string { return p.others }

func (p *parquetRows) classes(column string) []string { return p.features.member(column).names() }

func (p *parquetRows) next() (Line, error) {
	if p.err == nil {
		var l Line
		if l, p.err = p.one(); p.err == nil {
			return l, nil
		}
	}
	return Line{}, p.err
}

func (p *parquetRows) one() (_ Line, err error) {
	defer recovered(p.number+1, "Parquet", &err)
	for p.left == 0 {
		if p.group == p.f.NumRowGroups() {
			return Line{}, io.EOF
		}
		group := p.f.RowGroup(p.group)
		p.left = group.NumRows()
		if p.left < 0 {
			return Line{}, broken(p.number+1, "a broken Parquet file: a group of %d rows", p.left)
		}
		p.held = 0
		for _, l := range p.leaves {
			pages, err := columnPages(p.at, p.size, group, l.column, p.may, &p.held)
			if err != nil {
				return Line{}, brokenTable(p.number+1, "Parquet", err)
			}
			checked := &checkedPages{PageReader: pages, path: l.path, maxDef: l.maxDef, maxRep: l.maxRep}
			l.begin(pq.NewColumnReader(p.f.MetaData().Schema.Column(l.column), checked,
				boundedMemory{memory.NewGoAllocator(), p.may, nil}, p.f.BufferPool()))
		}
		p.group++
	}
	p.left--
	p.number++
	p.text = append(p.text[:0], '{')
	for _, n := range p.fields {
		p.text = appendKey(p.text, n.name)
		p.text = n.append(p.text)
	}
	p.may.mustTake(rowCost + int64(len(p.text)))
	return rowLine(p.number, append(p.text, '}')), nil
}

// node describes a field of the schema, and numbers the columns under it. def
// and rep are the levels of its parent.
func (p *parquetRows) node(n schema.Node, def, rep int16, depth int, column *int) *parquetNode {
	if depth > maxNesting {
		panic(fmt.Errorf("a schema nested deeper than %d", maxNesting))
	}
	out := &parquetNode{name: n.Name(), keepNulls: p.keepNulls}
	switch n.RepetitionType() {
	case parquet.Repetitions.Optional:
		def++
		out.optional = true
	case parquet.Repetitions.Repeated:
		def++
		rep++
		out.repeated = true
	}
	out.def, out.rep = def, rep
	switch n := n.(type) {
	case *schema.PrimitiveNode:
		out.leaf = newParquetLeaf(n, def, rep, *column, p.may)
		*column++
	case *schema.GroupNode:
		for i := range n.NumFields() {
			out.children = append(out.children, p.node(n.Field(i), def, rep, depth+1, column))
		}
		if len(out.children) == 0 {
			panic(fmt.Errorf("field %q has no children", out.name))
		}
		out.unwrap(n)
	}
	return out
}
