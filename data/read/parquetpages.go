package read

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math/bits"

	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/apache/arrow/go/v17/parquet"
	"github.com/apache/arrow/go/v17/parquet/compress"
	pq "github.com/apache/arrow/go/v17/parquet/file"
)

// checkedPages hands out the pages of a column whose levels are all there. The
// library waits for ever for those that a page promises and has not.
type checkedPages struct {
	pq.PageReader
	path           string // of the column
	maxDef, maxRep int16
	err            error
}

// byteStreamSplit is an encoding of numbers, by Parquet's specification, which the library does not decode.
const byteStreamSplit = 9

func (c *checkedPages) Err() error {
	if c.err != nil {
		return c.err
	}
	return c.PageReader.Err()
}

func (c *checkedPages) Next() bool {
	if c.err != nil || !c.PageReader.Next() {
		return false
	}
	c.err = c.check(c.PageReader.Page())
	return c.err == nil
}

func (c *checkedPages) check(page pq.Page) error {
	data, n := page.Data(), int64(page.NumValues())
	if n < 0 || n > mostBatch {
		return fmt.Errorf("a page of %d values", n)
	}
	var err error
	switch p := page.(type) {
	case *pq.DataPageV1:
		for _, l := range []struct {
			most     int16
			encoding parquet.Encoding
		}{{c.maxRep, p.RepetitionLevelEncoding()}, {c.maxDef, p.DefinitionLevelEncoding()}} {
			if l.most == 0 {
				continue
			}
			if l.encoding != parquet.Encodings.RLE {
				return fmt.Errorf("levels in the encoding %s, want RLE", l.encoding)
			}
			if len(data) < 4 {
				return fmt.Errorf("a page that ends in its levels")
			}
			size := int64(binary.LittleEndian.Uint32(data))
			if data = data[4:]; size > int64(len(data)) {
				return fmt.Errorf("a page that ends in its levels")
			}
			if err = checkRuns(data[:size], l.most, n); err != nil {
				return err
			}
			data = data[size:]
		}
	case *pq.DataPageV2:
		rep, def := int64(p.RepetitionLevelByteLen()), int64(p.DefinitionLevelByteLen())
		if rep < 0 || def < 0 || rep+def > int64(len(data)) {
			return fmt.Errorf("a page that ends in its levels")
		}
		if c.maxRep > 0 {
			err = checkRuns(data[:rep], c.maxRep, n)
		}
		if c.maxDef > 0 && err == nil {
			err = checkRuns(data[rep:rep+def], c.maxDef, n)
		}
		data = data[rep+def:]
	default: // a dictionary
		return nil
	}
	if page.Encoding() == byteStreamSplit {
		return &brokenFile{
			detail: fmt.Sprintf("column %.80q: values in the encoding BYTE_STREAM_SPLIT, want plain ones, deltas or a dictionary", c.path),
			hint:   "write the file again without it: use_byte_stream_split=False of pyarrow",
		}
	}
	if c.maxDef == 0 && err == nil && n > int64(len(data))*8 && page.Encoding() == 0 { // plain: at least a bit each
		err = fmt.Errorf("a page of %d values in %d bytes", n, len(data))
	}
	return err
}

// columnPages hands out the pages of a column of a row group in a file of size bytes.
func columnPages(file io.ReaderAt, size int64, group *pq.RowGroupReader, column int, may *budget, held *int64) (pq.PageReader, error) {
	c, err := group.MetaData().ColumnChunk(column)
	if err != nil {
		return nil, err
	}
	if c.CryptoMetadata() != nil {
		return nil, fmt.Errorf("an encrypted column, want one that is not")
	}
	if kind := c.Compression(); kind != compress.Codecs.Uncompressed && unpackers[kind] == nil {
		return nil, &brokenFile{detail: fmt.Sprintf("pages in the compression %s, want Snappy, gzip, Brotli, zstd or none", kind),
			hint: "write the file again with one of these: compression=\"zstd\" of pyarrow"}
	}
	start := c.DataPageOffset()
	if at := c.DictionaryPageOffset(); c.HasDictionaryPage() && at > 0 && at < start {
		start = at
	}
	if start < 0 || start > size {
		return nil, fmt.Errorf("a column that begins at byte %d of %d", start, size)
	}
	bytes := &pageBytes{Reader: bufio.NewReaderSize(io.NewSectionReader(file, start, size-start), 1<<16), left: size - start, held: held}
	return pq.NewPageReader(bytes, c.NumValues(), c.Compression(), boundedMemory{memory.NewGoAllocator(), may, nil}, nil)
}

// pageBytes are the bytes of a column. It looks at each page's head when the
// library has read it, and before the library makes room for as many bytes as the
// page says to have; and holds each page against its checksum, where it has one.
type pageBytes struct {
	*bufio.Reader
	head []byte // and what follows it
	left int64  // bytes to the end of the file
	page int64  // bytes of the page that it has begun, unpacked
	held *int64 // of those of all columns, with their dictionaries

	unread    int64  // bytes of the page that are to come
	sum, want uint32 // CRC-32 of those that came, and of all of them
	checked   bool   // the head has it
}

// Peek is what the library reads heads with, more and more of them until it
// understands one.
func (b *pageBytes) Peek(n int) (view []byte, err error) {
	if n > b.Size() {
		b.Reader = bufio.NewReaderSize(b.Reader, n)
	}
	b.head, err = b.Reader.Peek(n)
	return b.head, err
}

// Discard passes over a head. Its first field is the kind of the page, its second the size of what it
// unpacks to, its third that of the page as it lies in the file.
func (b *pageBytes) Discard(n int) (int, error) {
	t := thriftCheck{b: b.head[:n]}
	isDictionary := false
	b.sum, b.checked = 0, false
	for field := uint64(0); ; {
		h := t.byte()
		if h == 0 {
			break
		}
		if delta := uint64(h >> 4); delta > 0 {
			field += delta
		} else {
			field = t.varint() >> 1
		}
		switch kind := h & 15; {
		case field == 1 && kind == 5:
			isDictionary = t.varint()>>1 == 2
		case field == 2 && kind == 5:
			b.hold(int64(t.varint()>>1), isDictionary)
		case field == 3 && kind == 5:
			if b.unread = int64(t.varint() >> 1); b.unread > b.left-int64(n) {
				panic(fmt.Errorf("a page of %d bytes, where %d are left", b.unread, b.left-int64(n)))
			}
		case field == 4 && kind == 5:
			z := t.varint() // zigzag, of an i32
			b.want, b.checked = uint32(int32(z>>1)^-int32(z&1)), true
		case kind > 2: // true and false are in the head
			t.value(kind, 0)
		}
	}
	if t.bad {
		panic(fmt.Errorf("a page whose head ends in the middle"))
	}
	b.left -= int64(n)
	return b.Reader.Discard(n)
}

// hold counts a page of a size, which takes the place of the one before; a dictionary stays.
func (b *pageBytes) hold(size int64, stays bool) {
	if size = max(0, size); !stays {
		*b.held -= b.page
		b.page = size
	}
	if *b.held += size; *b.held > mostBatch {
		panic(&brokenFile{detail: fmt.Sprintf("pages of more than %d MiB in all columns at a time", mostBatch>>20), hint: smaller})
	}
}

func (b *pageBytes) Read(to []byte) (int, error) {
	n, err := b.Reader.Read(to)
	b.left -= int64(n)
	if b.checked {
		b.sum = crc32.Update(b.sum, crc32.IEEETable, to[:n])
	}
	if b.unread -= int64(n); b.unread == 0 && b.checked && b.sum != b.want {
		panic(fmt.Errorf("a page whose checksum is %08x, and should be %08x", b.sum, b.want))
	}
	return n, err
}

// checkRuns walks through runs of equal and of packed levels (Parquet's hybrid of
// run lengths and bit packing) until n levels are there.
func checkRuns(b []byte, most int16, n int64) error {
	width := bits.Len16(uint16(most))
	for n > 0 {
		head, used := binary.Uvarint(b)
		if used <= 0 {
			return fmt.Errorf("a page without %d of its levels", n)
		}
		b = b[used:]
		count, size := head>>1, uint64(width+7)/8
		if head&1 == 1 {
			if count > uint64(len(b)) {
				return fmt.Errorf("a page without %d of its levels", n)
			}
			count, size = count*8, count*uint64(width)
		}
		if count == 0 || size > uint64(len(b)) || count > mostBatch {
			return fmt.Errorf("a page without %d of its levels", n)
		}
		b = b[size:]
		n -= int64(count)
	}
	return nil
}
