package read

// mostRatio and alwaysFine bound what comes out of a file that is packed: of text in gzip or zstd, and
// of tables, whose values can be packed, said once and meant a million times, or be run lengths. Text is
// packed to a tenth, seldom to a hundredth; long tools in front of short answers to nearly two hundredths.
const (
	mostRatio  = 200
	alwaysFine = 128 << 20 // bytes that a file may unpack to however small it is
)

// budget is how many bytes may still come out of a file.
type budget struct{ left int64 }

func newBudget(size int64) *budget { return &budget{alwaysFine + mostRatio*size} }

// take is the error of bytes that are too many.
func (b *budget) take(n int64) error {
	if b.left -= n; b.left >= 0 {
		return nil
	}
	return &brokenFile{
		detail: "the file unpacks to more than 200 times its size, which text does not", hint: "unpack it first, if that is right",
	}
}

// What is built of a table, beside its text.
const (
	rowCost   = 16 // bytes for each row
	valueCost = 4  // and for each value, those that are null and those of nothing among them
)

// mustTake is take for what is within the library, or deep in a row: see [recovered].
func (b *budget) mustTake(n int64) {
	if err := b.take(n); err != nil {
		panic(err)
	}
}
