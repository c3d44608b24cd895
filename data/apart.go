package data

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"

	"lwtrain/data/read"
	"lwtrain/internal/fault"
)

// What is held out tells something only where it is not trained on. That is looked for twice:
// by files before anything is tokenised, and by samples, which finds copies in whatever
// container.

const keepApart = "name other files, let data.held_out: 0.02 hold some of the sources out, or drop the copies with data.dedup: exact"

// filesApart refuses a held-out file that a source trains on as a whole: by its name, a link to
// it or a copy of it.
func filesApart(sources []source, trained int, opts Options) error {
	if opts.Dedup == "exact" || opts.Dedup == "near" {
		return nil // drops what is held out from what is trained on
	}
	for _, held := range sources[trained:] {
		for _, h := range held.files {
			for _, src := range sources[:trained] {
				if !src.takesAll() {
					continue
				}
				for _, f := range src.files {
					how, err := sameFile(f, h)
					if err != nil {
						return err
					}
					if how != "" {
						return fault.Usage(fault.Hint(
							fmt.Errorf("%s: held out (source %s), and source %s trains on it: %s %s", h.Name, held.Name, src.Name,
								f.Name, how), keepApart))
					}
				}
			}
		}
	}
	return nil
}

// takesAll reports whether a source selects none of its records.
func (s Source) takesAll() bool {
	filter := s.Filter
	if filter.StatedLength == "any" {
		filter.StatedLength = ""
	}
	return s.CutAnswer.Words == 0 && s.Samples == 0 && s.Fraction == 0 && s.Tokens == 0 && s.LossFactor > 0 &&
		reflect.ValueOf(filter).IsZero()
}

// sameFile says how two files are the same: by name, by link or by content; "": they are not.
func sameFile(a, b read.File) (how string, err error) {
	if a.Path == b.Path {
		return "is the same file", nil
	}
	infoA, errA := os.Stat(a.Path)
	infoB, errB := os.Stat(b.Path)
	switch {
	case errA != nil || errB != nil: // they ship with lwtrain
		return "", nil
	case os.SameFile(infoA, infoB):
		return "is the same file", nil
	case infoA.Size() != infoB.Size():
		return "", nil
	}
	same, err := sameContent(a.Path, b.Path)
	if same {
		how = "has the same content"
	}
	return how, err
}

// sameContent reads two files of one size as far as they are the same.
func sameContent(a, b string) (bool, error) {
	f, err := os.Open(a)
	if err != nil {
		return false, fault.Usage(err)
	}
	defer f.Close()
	g, err := os.Open(b)
	if err != nil {
		return false, fault.Usage(err)
	}
	defer g.Close()
	x, y := make([]byte, 1<<16), make([]byte, 1<<16)
	for {
		n, errX := io.ReadFull(f, x)
		m, errY := io.ReadFull(g, y)
		switch {
		case n != m || !bytes.Equal(x[:n], y[:m]):
			return false, nil
		case errX == io.EOF || errors.Is(errX, io.ErrUnexpectedEOF):
			return true, nil
		case errX != nil || errY != nil:
			return false, errors.Join(errX, errY)
		}
	}
}

// samplesApart refuses a held-out source all of whose samples are trained on, too, and notes
// how many of another's are. taken are the items of the sources, of which the first are trained
// on.
func (s *Set) samplesApart(taken [][]item, trained int) error {
	type place struct{ source, first int }
	held := map[[2]uint64]*place{} // where it is trained on
	for i := trained; i < len(taken); i++ {
		for _, it := range taken[i] {
			held[s.itemHash(i, it)] = nil
		}
	}
	if len(held) == 0 {
		return nil
	}
	for i, items := range taken[:trained] {
		for _, it := range items {
			key := s.itemHash(i, it)
			if at, there := held[key]; there && at == nil {
				held[key] = &place{i, int(it.first)}
			}
		}
	}
	for i := trained; i < len(taken); i++ {
		both, example := 0, ""
		for _, it := range taken[i] {
			at := held[s.itemHash(i, it)]
			if at == nil {
				continue
			}
			if both++; both == 1 {
				example = fmt.Sprintf("%s is %s", s.At(at.source, s.line(at.source, at.first)), s.At(i, s.line(i, int(it.first))))
			}
		}
		n := len(taken[i])
		switch stats := &s.sources[i]; {
		case both == 0:
		case both == n:
			return fault.Usage(fault.Hint(fmt.Errorf("%s: held out, and %s trained on: %s", s.from[i].shown, allOf(n), example), keepApart))
		default:
			stats.Notes = append(stats.Notes, fmt.Sprintf("of %d held-out samples %d are trained on, too: %s", n, both, example))
		}
	}
	return nil
}

func allOf(n int) string {
	if n == 1 {
		return "its only sample is"
	}
	return fmt.Sprintf("all of its %d samples are", n)
}

// line is the number of the record of a conversation.
func (s *Set) line(source, conversation int) int {
	return int(s.stores[source].Entries.At(conversation).Line)
}
