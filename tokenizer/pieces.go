package tokenizer

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// PieceKind is what SentencePiece, and GGUF files after it, say of a piece.
type PieceKind int

const (
	PieceNormal PieceKind = iota + 1
	PieceUnknown
	PieceControl
	PieceUser // looked for in a text before anything else
	PieceUnused
	PieceByte
)

// Piece is a token of a SentencePiece model: its id is its place in the list.
type Piece struct {
	Text  string
	Score float32 // the higher one is made first
	Kind  PieceKind
}

// Pieces is a SentencePiece model of the type BPE.
type Pieces struct {
	List   []Piece
	Prefix bool // a mark of a space is put before each part of a text between special tokens,
	First  bool // or before the text alone, unless it begins with one
	BOS    int  // put before a text; -1: none
	EOS    int  // put behind it; -1: none
}

// maxPiece bounds the bytes of a piece: every way to cut it in two is looked up.
const maxPiece = 256

// JSON is the tokenizer.json of the model.
func (p *Pieces) JSON() ([]byte, error) {
	f, err := p.file()
	if err != nil {
		return nil, err
	}
	return marshal(f), nil
}

// file is the tokenizer.json of the model.
func (p *Pieces) file() (*tokenizerFile, error) {
	const mark = string(spaceMark)
	decoders := []any{
		map[string]any{"type": "Replace", "pattern": map[string]string{"String": mark}, "content": " "},
		map[string]any{"type": "ByteFallback"}, map[string]any{"type": "Fuse"},
	}
	marks := []any{map[string]any{"type": "Replace", "pattern": map[string]string{"String": " "}, "content": mark}}
	if p.Prefix {
		marks = slices.Insert(marks, 0, any(map[string]any{"type": "Prepend", "prepend": mark}))
		decoders = append(decoders, map[string]any{"type": "Strip", "content": " ", "start": 1, "stop": 0})
	}
	f := &tokenizerFile{
		Version:    "1.0",
		Normalizer: marshal(map[string]any{"type": "Sequence", "normalizers": marks}),
		Decoder:    marshal(map[string]any{"type": "Sequence", "decoders": decoders}),
		Model:      modelFile{Type: "BPE", FuseUnknown: true, ByteFallback: true, Vocab: make(map[string]int64, len(p.List))},
	}
	if p.Prefix && p.First {
		f.Normalizer = nil
		f.PreTokenizer = marshal(map[string]any{"type": "Metaspace", "replacement": mark, "prepend_scheme": "first", "split": false})
	}
	if len(p.List) > maxID+1 {
		return nil, fmt.Errorf("%d pieces, want at most %d", len(p.List), maxID+1)
	}
	for id, piece := range p.List {
		if _, twice := f.Model.Vocab[piece.Text]; twice || piece.Text == "" || len(piece.Text) > maxPiece || piece.Score != piece.Score {
			return nil, fmt.Errorf("piece %d is %.40q with the score %g, want a text of its own of at most %d bytes, and a number",
				id, piece.Text, piece.Score, maxPiece)
		}
		f.Model.Vocab[piece.Text] = int64(id)
		switch piece.Kind {
		case PieceUnknown:
			f.Model.Unknown = &piece.Text
			fallthrough
		case PieceControl, PieceUser:
			f.AddedTokens = append(f.AddedTokens, addedToken{ID: int64(id), Content: piece.Text, Special: piece.Kind != PieceUser})
		case PieceNormal, PieceUnused, PieceByte:
		default:
			return nil, fmt.Errorf("piece %d (%.40q) is of the kind %d, want 1 to 6", id, piece.Text, piece.Kind)
		}
	}
	var err error
	if f.Model.Merges, err = p.merges(); err == nil {
		f.PostProcessor, err = p.around()
	}
	return f, err
}

// merges lists every way to make a piece of two: that of the highest score first, of one score that of the longest left part.
func (p *Pieces) merges() ([]mergeFile, error) {
	ids := make(map[string]int, len(p.List))
	for id, piece := range p.List {
		if piece.Kind == PieceNormal {
			ids[piece.Text] = id
		}
	}
	type merge struct {
		left, right, of int
		long            [2]int // characters of both parts
	}
	var all []merge
	for id, piece := range p.List {
		if piece.Kind != PieceNormal {
			continue
		}
		first, chars := len(all), utf8.RuneCountInString(piece.Text)
		n := 0
		for i := range piece.Text {
			left, ok := ids[piece.Text[:i]]
			right, also := ids[piece.Text[i:]]
			if ok && also {
				all = append(all, merge{left, right, id, [2]int{n, chars - n}})
			}
			n++
		}
		if len(all) > maxMerges {
			return nil, fmt.Errorf("more than %d ways to make a piece of two, want fewer", maxMerges)
		}
		slices.SortFunc(all[first:], func(a, b merge) int { return cmp.Compare(a.left, b.left) })
	}
	slices.SortStableFunc(all, func(a, b merge) int {
		return cmp.Or(cmp.Compare(p.List[b.of].Score, p.List[a.of].Score), cmp.Compare(b.long[0], a.long[0]),
			cmp.Compare(b.long[1], a.long[1]))
	})
	out := make([]mergeFile, len(all))
	for i, m := range all {
		// Of one score SentencePiece makes the leftmost first, which a list of merges cannot say; of runs of marks it says it.
		if i > 0 && all[i-1].of != m.of && p.List[all[i-1].of].Score == p.List[m.of].Score &&
			!(onlyMarks(p.List[all[i-1].of].Text) && onlyMarks(p.List[m.of].Text)) {
			return nil, fmt.Errorf("pieces %d (%.40q) and %d (%.40q) have one score, %g, want one each",
				all[i-1].of, p.List[all[i-1].of].Text, m.of, p.List[m.of].Text, p.List[m.of].Score)
		}
		out[i] = mergeFile{left: p.List[m.left].Text, right: p.List[m.right].Text}
	}
	return out, nil
}

// around is the post-processor that puts tokens before and behind a text.
func (p *Pieces) around() (json.RawMessage, error) {
	var before, after []any
	special := map[string]any{}
	for _, id := range []int{p.BOS, p.EOS} {
		if id < 0 {
			continue
		}
		if id >= len(p.List) {
			return nil, fmt.Errorf("token %d is put around a text, want one of %d pieces", id, len(p.List))
		}
		name := p.List[id].Text
		special[name] = map[string]any{"id": name, "ids": []int{id}, "tokens": []string{name}}
		piece := map[string]any{"SpecialToken": map[string]any{"id": name, "type_id": 0}}
		if id == p.BOS && before == nil {
			before = append(before, piece)
		} else {
			after = append(after, piece)
		}
	}
	if len(special) == 0 {
		return nil, nil
	}
	text := func(id string, kind int) any {
		return map[string]any{"Sequence": map[string]any{"id": id, "type_id": kind}}
	}
	single := slices.Concat(before, []any{text("A", 0)}, after)
	return marshal(map[string]any{"type": "TemplateProcessing", "single": single,
		"pair": append(slices.Clone(single), text("B", 1)), "special_tokens": special}), nil
}

func onlyMarks(text string) bool { return strings.Trim(text, string(spaceMark)) == "" }

// pieces is the SentencePiece model that a tokenizer of characters is, or the error says why it is none.
func (t *Tokenizer) pieces(f *tokenizerFile) (*Pieces, error) {
	none := func(why string) (*Pieces, error) {
		return nil, fmt.Errorf("the tokenizer is no SentencePiece model: %s", why)
	}
	p := &Pieces{BOS: -1, EOS: -1}
	steps := t.normalizers
	if len(steps) == 2 && steps[0].prepends() && steps[0].content == string(spaceMark) {
		p.Prefix, steps = true, steps[1:]
	}
	switch idle := len(t.stages) == 0 || len(t.stages) == 1 && t.stages[0].name == "  MergedWithPrevious false"; {
	case len(steps) != 1 || steps[0].literal != " " || steps[0].content != string(spaceMark) || t.meta != nil:
		return none("it does not replace spaces by marks, with one before each text or none")
	case !idle: // no space is left to split by
		return none("it splits texts")
	case !t.model.chars.fallback || t.model.whole != nil,
		t.decoding.strip != map[bool]int{true: 1}[p.Prefix] || t.decoding.firstMark != "":
		return none("it has no tokens of bytes, or other rules")
	}
	for id, token := range t.tokens {
		kind := PieceNormal
		if token == "" {
			kind = PieceUnused
		}
		p.List = append(p.List, Piece{Text: token, Kind: kind, Score: -1e9})
		if t.special[id] {
			p.List[id].Kind = PieceControl
		}
	}
	for _, id := range t.model.chars.bytes {
		p.List[id].Kind = PieceByte
	}
	for _, a := range f.AddedTokens {
		if a.Normalized || a.SingleWord {
			return none(fmt.Sprintf("the added token %.40q is looked for in another way than wherever it stands", a.Content))
		}
		// Runs of marks are made of spaces, after added tokens were looked for: they are pieces like others.
		if a.ID < int64(len(p.List)) && !a.Special && !onlyMarks(a.Content) {
			p.List[a.ID].Kind = PieceUser
		}
	}
	if f.Model.Unknown != nil {
		if id, ok := t.ids[*f.Model.Unknown]; ok {
			p.List[id].Kind = PieceUnknown
		}
	}
	return p, p.score(f.Model.Merges, t.ids)
}

// score gives pieces the scores that make their merges, or says that none do. Merges of tokens that are looked for in a text
// before are left out: no text has them any more.
func (p *Pieces) score(merges []mergeFile, ids map[string]int32) error {
	none := func(why string, args ...any) error {
		return fmt.Errorf("the tokenizer is no SentencePiece model: %w", fmt.Errorf(why, args...))
	}
	next, before := float32(0), int32(-1)
	scored := make([]bool, len(p.List))
	known := make(map[[2]string]bool, len(merges))
	for _, m := range merges {
		id := ids[m.left+m.right]
		normal := func(id int32) bool { return p.List[id].Kind == PieceNormal }
		if m.comment || !normal(id) || !normal(ids[m.left]) || !normal(ids[m.right]) {
			continue
		}
		known[[2]string{m.left, m.right}] = true
		switch runs := before >= 0 && onlyMarks(p.List[id].Text) && onlyMarks(p.List[before].Text); {
		case id == before:
		case scored[id] && !(runs && p.List[id].Score == p.List[before].Score):
			return none("merges of %.40q stand apart, want them together", p.List[id].Text)
		case !scored[id]:
			if !runs { // runs of marks that follow each other have one score
				next--
			}
			p.List[id].Score, scored[id] = next, true
		}
		before = id
	}
	all, err := p.merges()
	if err != nil {
		return none("%w", err)
	}
	for _, m := range all {
		if !known[[2]string{m.left, m.right}] {
			return none("it does not merge %.40q with %.40q, want every piece made of any two", m.left, m.right)
		}
	}
	return nil
}
