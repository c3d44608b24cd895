package tokenizer

import (
	"embed"
	"sync"
)

//go:embed bytes
var bytesFiles embed.FS

var builtin = sync.OnceValue(func() *Tokenizer {
	t, err := load(func(name string) ([]byte, error) { return bytesFiles.ReadFile("bytes/" + name) })
	if err != nil {
		panic("tokenizer: built-in byte-level tokenizer: " + err.Error())
	}
	return t
})

// Bytes returns the built-in byte-level tokenizer, for models that start from
// a seed: the id of a byte is its value, then come <|endoftext|> (256, padding),
// <|im_start|> (257) and <|im_end|> (258, the end of a turn), with the ChatML
// template. Its files, which [Tokenizer.Save] writes, are an ordinary
// tokenizer.json that tokenizers and transformers load.
func Bytes() *Tokenizer { return builtin() }
