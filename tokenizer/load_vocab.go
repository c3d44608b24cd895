package tokenizer

import (
	"fmt"
	"maps"
	"slices"

	"lwtrain/internal/fault"
)

// parseModel fills the vocabulary and the merges.
func (t *Tokenizer) parseModel(f *modelFile, byteLevel bool) error {
	// Files from before the type was written down have merges only for BPE.
	if f.Type != "BPE" && (f.Type != "" || f.Merges == nil) {
		return unknownPart("model is", fmt.Sprintf("%.40q", f.Type), "BPE")
	}
	switch {
	case f.Dropout != 0:
		return fmt.Errorf("model has dropout %g, want none", f.Dropout)
	case f.Prefix != "":
		return unknownPart("model has", fmt.Sprintf("continuing_subword_prefix %.40q", f.Prefix), "none")
	case f.Suffix != "":
		return unknownPart("model has", fmt.Sprintf("end_of_word_suffix %.40q", f.Suffix), "none")
	}
	if err := t.parseVocab(f.Vocab); err != nil {
		return err
	}
	alphabet := t.parseAlphabet
	if !byteLevel {
		alphabet = t.parseCharacters
	}
	if err := alphabet(f); err != nil {
		return err
	}
	return t.parseMerges(f.Merges)
}

func (t *Tokenizer) parseVocab(vocab map[string]int64) error {
	if len(vocab) == 0 {
		return fmt.Errorf("model has an empty vocab")
	}
	highest, bad := int64(-1), false
	for _, id := range vocab {
		bad = bad || id < 0 || id > maxID
		highest = max(highest, id)
	}
	if bad {
		return badVocab(vocab)
	}
	t.grow(int(highest) + 1)
	t.ids = make(map[string]int32, len(vocab))
	used := make([]bool, highest+1)
	for token, id := range vocab {
		if used[id] {
			return badVocab(vocab)
		}
		used[id] = true
		t.ids[token] = int32(id)
		t.tokens[id] = token
	}
	return nil
}

// badVocab says what is wrong with a vocabulary, in the order of its tokens.
func badVocab(vocab map[string]int64) error {
	owner := make(map[int64]string, len(vocab))
	for _, token := range slices.Sorted(maps.Keys(vocab)) {
		id := vocab[token]
		if id < 0 || id > maxID {
			return fmt.Errorf("vocab: token %.40q has the id %d, want 0 to %d", token, id, maxID)
		}
		if other, twice := owner[id]; twice {
			return fmt.Errorf("vocab: id %d has two tokens, %.40q and %.40q", id, other, token)
		}
		owner[id] = token
	}
	return nil
}

// grow makes room for ids below n.
func (t *Tokenizer) grow(n int) {
	for _, s := range []*[]string{&t.tokens, &t.texts} {
		*s = append(*s, make([]string, max(0, n-len(*s)))...)
	}
	t.special = append(t.special, make([]bool, max(0, n-len(t.special)))...)
}

// parseAlphabet finds the symbols of the bytes and what each token stands for.
func (t *Tokenizer) parseAlphabet(f *modelFile) error {
	m := &t.model
	m.unknown, m.fuse = -1, f.FuseUnknown
	m.length = make([]int32, len(t.tokens))
	if f.IgnoreMerges {
		m.whole = make(map[string]int32, len(t.tokens))
	}
	for token, id := range t.ids {
		text, mapped := tokenBytes(token)
		t.texts[id] = text
		m.length[id] = int32(len(text))
		if mapped && m.whole != nil && text != "" {
			m.whole[text] = id
		}
	}
	for b, char := range byteChars {
		id, ok := t.ids[string(char)]
		if !ok {
			id, m.partial = -1, true
		}
		m.byteID[b] = id
	}
	if !m.partial {
		return nil
	}
	if f.ByteFallback {
		return unknownPart("model has", "byte_fallback and a vocab that lacks some of the 256 byte symbols", "all of them")
	}
	if f.Unknown != nil {
		id, ok := t.ids[*f.Unknown]
		if !ok {
			return fault.Hint(fmt.Errorf("model has the unk_token %.40q, want one of its vocab", *f.Unknown),
				"the vocab lacks some of the 256 byte symbols, so that the unknown token is needed")
		}
		m.unknown = id
	}
	return nil
}

func (t *Tokenizer) parseMerges(merges []mergeFile) error {
	m := &t.model
	if len(merges) > maxMerges {
		return fmt.Errorf("%d merges, want at most %d", len(merges), maxMerges)
	}
	m.pairs, m.shift = newPairs(len(merges))
	m.merged = make([]int32, 0, len(merges))
	for i := range merges {
		if merges[i].comment {
			continue
		}
		var id [3]int32
		for k, token := range [...]string{merges[i].left, merges[i].right, merges[i].left + merges[i].right} {
			var ok bool
			if id[k], ok = t.ids[token]; !ok {
				return fmt.Errorf("merge %d (%.40q, %.40q): token %.80q is not in the vocab", i, merges[i].left, merges[i].right, token)
			}
		}
		m.setRank(id[0], id[1], uint32(len(m.merged)))
		m.merged = append(m.merged, id[2])
		if m.chars == nil {
			continue
		}
		for _, id := range id {
			if m.chars.fallback && m.length[id] == 1 && t.tokens[id][0] == '<' && len(t.tokens[id]) == len(byteToken(0)) {
				return unknownPart(fmt.Sprintf("merge %d (%.40q, %.40q) has", i, merges[i].left, merges[i].right),
					"the token of a byte", "text")
			}
		}
		m.chars.join(merges[i].left, merges[i].right)
	}
	if m.chars != nil {
		return nil
	}
	m.first = make([]uint32, 1<<16)
	for i := range m.first {
		m.first[i] = noRank
		if a, b := m.byteID[i>>8], m.byteID[i&0xff]; a >= 0 && b >= 0 {
			m.first[i] = m.rank(a, b)
		}
	}
	return nil
}

// parseAdded enters the added tokens. Ids of tokens that the vocabulary lacks
// are not free: the tokenizers library counts them on from its end, whatever
// the file says, so that a file that says otherwise has no one meaning.
func (t *Tokenizer) parseAdded(added []addedToken, vocabSize int) error {
	t.raw.classes, t.normalized.classes = t.classes, t.classes
	if err := t.growAdded(added); err != nil {
		return err
	}
	next := int64(vocabSize)
	known := make(map[string]bool, len(added))
	for i, a := range added {
		if a.Content == "" {
			continue // ignored by the library too
		}
		if known[a.Content] {
			return fmt.Errorf("added_tokens: %.40q is there twice", a.Content)
		}
		known[a.Content] = true
		id, ok := t.ids[a.Content]
		want := int64(id)
		if !ok {
			want = next
			next++
		}
		if a.ID != want {
			return fmt.Errorf("added_tokens: entry %d (%.40q) has the id %d, want %d", i, a.Content, a.ID, want)
		}
		if a.ID > maxID {
			return fmt.Errorf("added_tokens: %.40q has the id %d, want at most %d", a.Content, a.ID, maxID)
		}
		if !ok && int(want) < len(t.tokens) && t.tokens[want] != "" {
			return fmt.Errorf("added_tokens: id %d has two tokens, %.40q and %.40q", want, t.tokens[want], a.Content)
		}
		t.addToken(a)
	}
	return nil
}

// growAdded makes room for added tokens, unless they are too many or too long.
func (t *Tokenizer) growAdded(added []addedToken) error {
	if len(added) > maxAdded {
		return fmt.Errorf("%d added_tokens, want at most %d", len(added), maxAdded)
	}
	raw, normalized := 0, 0
	for i, a := range added {
		if len(a.Content) > maxAddedToken {
			return fmt.Errorf("added_tokens: entry %d (%.40q) has %d bytes, want at most %d", i, a.Content, len(a.Content), maxAddedToken)
		}
		if a.Normalized {
			normalized += len(t.normalForm(a.Content))
		} else {
			raw += len(a.Content)
		}
		if raw+normalized > maxAddedText {
			return fmt.Errorf("added_tokens have more than %d bytes together, want fewer", maxAddedText)
		}
	}
	t.raw.grow(raw)
	t.normalized.grow(normalized)
	return nil
}

// normalForm is a text as the normalizer leaves it.
func (t *Tokenizer) normalForm(text string) string {
	for i := range t.normalizers {
		text, _ = t.normalizers[i].apply(text, false)
	}
	return text
}

func (t *Tokenizer) addToken(a addedToken) {
	t.grow(int(a.ID) + 1)
	t.ids[a.Content] = int32(a.ID)
	t.tokens[a.ID] = a.Content
	if t.texts[a.ID] = a.Content; t.model.chars == nil {
		t.texts[a.ID], _ = tokenBytes(a.Content)
	}
	t.special[a.ID] = a.Special
	if !a.Normalized {
		t.raw.add(a.Content, a)
		return
	}
	t.normalized.add(t.normalForm(a.Content), a)
}
