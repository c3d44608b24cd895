package read

import (
	"bytes"
	"strings"
)

// foreign are files that people take for their data, by what they begin with, and what to
// do with them.
var foreign = []struct{ magic, what, hint string }{
	{"PARE", "an encrypted Parquet file, want one that is not", "write it again without encryption"},
	{"FEA1", "a file in the first Feather format", "write it again with a version of pyarrow from 1.0 on"},
	{"version https://git-lfs", "a pointer of Git LFS, not the file itself", "`git lfs pull` fetches the file"},
	{"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a file of Excel or Word from before 2007", asCSV},
	{"BZh", "a compressed file (bzip2), want gzip or zstd", "unpack it first"},
	{"\xfd7zXZ", "a compressed file (xz), want gzip or zstd", "unpack it first"},
	{"\x04\x22\x4d\x18", "a compressed file (lz4), want gzip or zstd", "unpack it first"},
	{"]\x00\x00", "a compressed file (lzma), want gzip or zstd", "unpack it first"},
	{"\x1f\x9d", "a compressed file (compress), want gzip or zstd", "unpack it first"},
	{"\xff\x06\x00\x00sNaPpY", "a compressed file (snappy), want gzip or zstd", "unpack it first"},
	{"7z\xbc\xaf\x27\x1c", "an archive (7z)", "unpack it first, and name its folder"},
	{"Rar!\x1a", "an archive (RAR)", "unpack it first, and name its folder"},
	{"SQLite format 3\x00", "a database of SQLite", "export its table as CSV, or as Parquet"},
	{"ORC", "a file in the ORC format", "write it as Parquet: pyarrow.orc.read_table, then pyarrow.parquet.write_table"},
	{"Obj\x01", "a file in the Avro format", "write it as JSONL or Parquet"},
	{"\x89HDF\r\n", "a file in the HDF5 format", "write it as JSONL or Parquet"},
	{"\x93NUMPY", "an array of NumPy", "want conversations; tokens without their texts can not be told apart"},
	{"\x80\x02", "a pickle of Python", asJSONL}, {"\x80\x03", "a pickle of Python", asJSONL},
	{"\x80\x04", "a pickle of Python", asJSONL}, {"\x80\x05", "a pickle of Python", asJSONL},
	{"GGUF", "a model in the GGUF format", "a model is named by model.path"},
	{"%PDF-", "a PDF file", "write its conversations as JSONL"},
	{"{\\rtf", "a text with formatting (RTF)", "save it as plain text in UTF-8"},
	{"<?xml", "an XML file", "write its conversations as JSONL"},
}

const (
	asCSV   = "save it as CSV (UTF-8), with the names of the columns in the first row"
	asJSONL = "write it as JSONL, one record a line: json.dumps(record)"
)

// refused is the error of a file that is none of those that are read, by its first bytes.
func refused(head []byte) error {
	for _, f := range foreign {
		if bytes.HasPrefix(head, []byte(f.magic)) {
			return &brokenFile{detail: f.what, hint: f.hint}
		}
	}
	start := strings.ToLower(string(bytes.TrimLeft(head[:min(len(head), 256)], "\ufeff \t\r\n")))
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return zipped(head)
	case len(head) > 262 && string(head[257:262]) == "ustar":
		return &brokenFile{detail: "a tar archive", hint: "unpack it, and name its folder"}
	case strings.HasPrefix(start, "<!doctype html"), strings.HasPrefix(start, "<html"):
		return &brokenFile{detail: "a page of the web (HTML), want a file of data",
			hint: "the address may be that of the page about the file; get the file itself"}
	}
	return nil
}

// zipped tells apart what is a zip archive.
func zipped(head []byte) error {
	has := func(name string) bool { return bytes.Contains(head, []byte(name)) }
	switch {
	case has("xl/"):
		return &brokenFile{detail: "a file of Excel (.xlsx)", hint: asCSV}
	case has("opendocument"):
		return &brokenFile{detail: "a file of OpenDocument", hint: asCSV}
	case has("word/"):
		return &brokenFile{detail: "a file of Word (.docx)", hint: asJSONL}
	case has("[Content_Types].xml"):
		return &brokenFile{detail: "a file of Excel or Word", hint: asCSV}
	}
	return &brokenFile{detail: "a compressed file (zip), want gzip or zstd", hint: "unpack it first, and name its folder"}
}
