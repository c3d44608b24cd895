package tokenizer

import (
	"encoding/binary"
	"fmt"
	"math"

	"lwtrain/internal/fault"
	"lwtrain/internal/plainjson"
)

// isSentencePiece reports whether a tokenizer.model is a SentencePiece model: its first field is a piece.
func isSentencePiece(data []byte) bool { return len(data) > 0 && data[0] == 1<<3|wireBytes }

// Wire types of protocol buffers.
const (
	wireVarint = 0
	wire64     = 1
	wireBytes  = 2
	wire32     = 5
)

// fields calls visit for each field of a protocol buffer: with its number, and its bytes or value.
func fields(data []byte, visit func(number uint64, value uint64, bytes []byte) error) error {
	for rest := data; len(rest) > 0; {
		broken := func(what string) error { return fmt.Errorf("byte %d: %s", len(data)-len(rest), what) }
		key, n := binary.Uvarint(rest)
		if n <= 0 {
			return broken("no field of a protocol buffer")
		}
		rest = rest[n:]
		var value uint64
		var bytes []byte
		switch key & 7 {
		case wireVarint:
			if value, n = binary.Uvarint(rest); n <= 0 {
				return broken("no number")
			}
			rest = rest[n:]
		case wire32:
			if len(rest) < 4 {
				return broken("the file ends in a number")
			}
			value, rest = uint64(binary.LittleEndian.Uint32(rest)), rest[4:]
		case wire64:
			if len(rest) < 8 {
				return broken("the file ends in a number")
			}
			value, rest = binary.LittleEndian.Uint64(rest), rest[8:]
		case wireBytes:
			size, n := binary.Uvarint(rest)
			if n <= 0 || size > uint64(len(rest)-n) {
				return broken("a field that is longer than the file")
			}
			bytes, rest = rest[n:n+int(size)], rest[n+int(size):]
		default:
			return broken("a field of a type that is not known")
		}
		if err := visit(key>>3, value, bytes); err != nil {
			return err
		}
	}
	return nil
}

// sentencePiece is what a SentencePiece model file holds (sentencepiece_model.proto).
type sentencePiece struct {
	pieces    []Piece
	modelType uint64 // 1 Unigram, 2 BPE
	suffix    bool   // spaces are marked behind words
	charsMap  bool   // a table of characters that are replaced
	prefix    bool
	trims     bool // white space that is doubled or at the ends is left out
	unescaped bool // spaces are no marks
	decoded   bool // text is changed when it is decoded
}

func readSentencePiece(data []byte) (*sentencePiece, error) {
	m := &sentencePiece{modelType: 1, prefix: true, trims: true}
	err := fields(data, func(number, _ uint64, bytes []byte) error {
		switch number {
		case 1:
			if len(m.pieces) > maxID {
				return fmt.Errorf("more than %d pieces, want fewer", maxID+1)
			}
			p := Piece{Kind: PieceNormal}
			m.pieces = append(m.pieces, p)
			return fields(bytes, m.pieces[len(m.pieces)-1].field)
		case 2:
			return fields(bytes, func(number, value uint64, _ []byte) error {
				switch number {
				case 3:
					m.modelType = value
				case 24:
					m.suffix = value != 0
				}
				return nil
			})
		case 3:
			return fields(bytes, func(number, value uint64, bytes []byte) error {
				switch number {
				case 2:
					m.charsMap = len(bytes) > 0
				case 3:
					m.prefix = value != 0
				case 4:
					m.trims = value != 0
				case 5:
					m.unescaped = value == 0
				}
				return nil
			})
		case 5:
			return fields(bytes, func(number, _ uint64, bytes []byte) error {
				m.decoded = m.decoded || number == 2 && len(bytes) > 0
				return nil
			})
		}
		return nil
	})
	return m, err
}

// field reads a field of a piece.
func (p *Piece) field(number, value uint64, bytes []byte) error {
	switch number {
	case 1:
		p.Text = string(bytes)
	case 2:
		p.Score = math.Float32frombits(uint32(value))
	case 3:
		p.Kind = PieceKind(min(value, 1<<16))
	}
	return nil
}

// refuse names what of the model is not known.
func (m *sentencePiece) refuse() error {
	switch {
	case m.modelType == 1:
		return unknownPart("the SentencePiece model is of the type", "Unigram", "BPE")
	case m.modelType != 2:
		return unknownPart("the SentencePiece model is of the type", fmt.Sprint(m.modelType), "BPE (2)")
	case m.charsMap || m.decoded:
		return unknownPart("the SentencePiece model", "replaces characters before it splits", "none replaced")
	case m.trims:
		return unknownPart("the SentencePiece model", "leaves white space out", "all of it kept")
	case m.suffix || m.unescaped:
		return unknownPart("the SentencePiece model", "does not mark spaces before words", "them marked so")
	}
	return nil
}

// convertSentencePiece makes the tokenizer.json of a SentencePiece model, which gives its ids. tokenizer_config.json says
// which tokens are put around a text, and whether a space is marked before its parts.
func convertSentencePiece(model, config []byte) (*tokenizerFile, error) {
	m, err := readSentencePiece(model)
	if err == nil {
		err = m.refuse()
	}
	if err != nil {
		return nil, fault.Hint(fmt.Errorf("%s: %w", fileRanks, err), convertHint)
	}
	p := &Pieces{List: m.pieces, Prefix: m.prefix, BOS: -1, EOS: -1}
	var c struct {
		Legacy *bool `json:"legacy"`
		Prefix *bool `json:"add_prefix_space"`
		AddBOS bool  `json:"add_bos_token"`
		AddEOS bool  `json:"add_eos_token"`
	}
	o := object{}
	if config != nil {
		if err := plainjson.Decode(config, maxValues, &c); err != nil {
			return nil, plainjson.In(fileConfig, err)
		}
		if err := plainjson.Decode(config, maxValues, &o); err != nil {
			return nil, plainjson.In(fileConfig, err)
		}
	}
	p.First = c.Legacy != nil && !*c.Legacy
	setIf(&p.Prefix, c.Prefix)
	for key, add := range map[string]bool{"bos_token": c.AddBOS, "eos_token": c.AddEOS} {
		if !add {
			continue
		}
		token := addedToken{Content: map[string]string{"bos_token": "<s>", "eos_token": "</s>"}[key]}
		if raw := o.values[key]; !isNull(raw) {
			if token, err = parseSpecial(key, raw); err != nil {
				return nil, fmt.Errorf("%s: %w", fileConfig, err)
			}
		}
		id := p.find(token.Content)
		if id < 0 {
			return nil, fmt.Errorf("%s: %s is %.40q, want a piece of %s", fileConfig, key, token.Content, fileRanks)
		}
		if key == "bos_token" {
			p.BOS = id
		} else {
			p.EOS = id
		}
	}
	f, err := p.file()
	if err != nil {
		err = fmt.Errorf("%s: %w", fileRanks, err)
	}
	return f, err
}

// find is the id of a piece, -1 if there is none.
func (p *Pieces) find(text string) int {
	for id, piece := range p.List {
		if piece.Text == text {
			return id
		}
	}
	return -1
}
