package judge

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"lwtrain/internal/llm"
	"lwtrain/internal/prose"
	"lwtrain/internal/rng"
)

// Damages are the ways in which [Calibrate] damages a text.
var Damages = []string{"shuffled", "looped", "cut", "off topic"}

// Told is how well a judge tells texts that are damaged in one way from whole ones.
type Told struct {
	Damage string   `json:"damage"`
	AUC    *float64 `json:"auc"` // probability that a whole text is rated higher than a damaged one, ties half; nil: nothing is rated
	N      int      `json:"n"`   // damaged texts that were rated, or compared with the whole one
}

// Calibration is what a judge can tell apart.
type Calibration struct {
	Judge string `json:"judge"`
	Mode  Mode   `json:"mode"`
	Texts int    `json:"texts"` // whole ones
	Told  []Told `json:"told"`
	Calls int    `json:"calls"`
	Read  int    `json:"read"`  // of their replies
	Duels int    `json:"duels"` // that were scored; 0 but in mode pair
	Flips int    `json:"flips"` // of these: the order of the texts decided

	Attempts []Attempt `json:"-"` // all calls
}

// Calibrate has whole texts and damaged ones rated, or compared in mode [Pair]. The damage
// follows from the texts.
func Calibrate(ctx context.Context, from llm.Answerer, j Judge, whole []Case) (Calibration, error) {
	c := Calibration{Judge: j.Name, Mode: j.Mode, Texts: len(whole)}
	damaged := make([][]Case, len(Damages)) // by damage; without ID where there is none
	for k, damage := range Damages {
		for i := range whole {
			d := Case{Prompt: whole[i].Prompt, Text: damagedText(damage, whole, i)}
			if d.Text != "" {
				d.ID = fmt.Sprintf("%s (%s)", whole[i].ID, damage)
			}
			damaged[k] = append(damaged[k], d)
		}
	}
	if j.Mode == Pair {
		return c, c.compare(ctx, from, j, whole, damaged)
	}
	return c, c.rate(ctx, from, j, whole, damaged)
}

// rate rates all texts, and compares the marks of whole and damaged ones.
func (c *Calibration) rate(ctx context.Context, from llm.Answerer, j Judge, whole []Case, damaged [][]Case) error {
	all := slices.Clone(whole)
	at := make([][]int, len(Damages)) // in all, of the damaged texts
	for k := range damaged {
		for _, d := range damaged[k] {
			if d.ID != "" {
				at[k] = append(at[k], len(all))
				all = append(all, d)
			}
		}
	}
	rated := make([]Verdict, len(all))
	err := Rate(ctx, from, j, all, func(i int, v Verdict) error {
		rated[i] = v
		return nil
	})
	if err != nil {
		return err
	}
	var good []float64
	for i, v := range rated {
		c.count(v.Attempts)
		if v.Quality != nil && i < len(whole) {
			good = append(good, *v.Quality)
		}
	}
	for k, damage := range Damages {
		var bad []float64
		for _, i := range at[k] {
			if q := rated[i].Quality; q != nil {
				bad = append(bad, *q)
			}
		}
		c.Told = append(c.Told, Told{damage, auc(good, bad), len(bad)})
	}
	return nil
}

// compare compares each damaged text with the whole one.
func (c *Calibration) compare(ctx context.Context, from llm.Answerer, j Judge, whole []Case, damaged [][]Case) error {
	var duels []Duel
	var kind []int
	for k := range damaged {
		for i, d := range damaged[k] {
			if d.ID != "" {
				duels, kind = append(duels, Duel{d.ID, d.Prompt, whole[i].Text, d.Text}), append(kind, k)
			}
		}
	}
	ended := make([]Outcome, len(duels))
	err := Compare(ctx, from, j, duels, func(i int, o Outcome) error {
		ended[i] = o
		return nil
	})
	if err != nil {
		return err
	}
	sums, n := make([]float64, len(Damages)), make([]int, len(Damages))
	for i, o := range ended {
		c.count(o.Attempts)
		if o.A == nil {
			continue
		}
		sums[kind[i]] += *o.A
		n[kind[i]]++
		c.Duels++
		if o.Flipped {
			c.Flips++
		}
	}
	for k, damage := range Damages {
		told := Told{Damage: damage, N: n[k]}
		if n[k] > 0 {
			share := sums[k] / float64(n[k])
			told.AUC = &share
		}
		c.Told = append(c.Told, told)
	}
	return nil
}

func (c *Calibration) count(attempts []Attempt) {
	for _, a := range attempts {
		if c.Calls++; a.Status == Scored {
			c.Read++
		}
	}
	c.Attempts = append(c.Attempts, attempts...)
}

// auc is the area under the ROC curve: the probability that one of good is higher than one of
// bad, where equal ones count half (Hanley and McNeil 1982); nil where either is empty.
func auc(good, bad []float64) *float64 {
	if len(good) == 0 || len(bad) == 0 {
		return nil
	}
	slices.Sort(bad)
	sum := 0.0
	for _, g := range good {
		below, _ := slices.BinarySearch(bad, g)
		upTo, _ := slices.BinarySearchFunc(bad, g, func(b, g float64) int { return cmp.Or(cmp.Compare(b, g), -1) })
		sum += float64(below) + float64(upTo-below)/2
	}
	sum /= float64(len(good)) * float64(len(bad))
	return &sum
}

// String is the calibration in a line.
func (c Calibration) String() string {
	var told []string
	for _, t := range c.Told {
		if t.AUC == nil {
			told = append(told, t.Damage+" -")
		} else {
			told = append(told, fmt.Sprintf("%s %.2f (n %d)", t.Damage, *t.AUC, t.N))
		}
	}
	read := "no calls"
	if c.Calls > 0 {
		read = fmt.Sprintf("%.3g %% of %d replies read", 100*float64(c.Read)/float64(c.Calls), c.Calls)
	}
	if c.Mode == Pair {
		read += fmt.Sprintf(", %d of %d flipped by the order", c.Flips, c.Duels)
	}
	return fmt.Sprintf("%s, %s: tells from whole texts, 0.5 is chance: %s; %s", c.Judge, c.Mode, strings.Join(told, ", "), read)
}

// damagedText is the i-th text, damaged; "" where it can not be.
func damagedText(damage string, whole []Case, i int) string {
	text := whole[i].Text
	switch damage {
	case "shuffled":
		return shuffled(text, i)
	case "looped":
		return looped(text)
	case "cut":
		return cutOff(text)
	}
	for k := 1; k < len(whole); k++ {
		if other := whole[(i+k)%len(whole)]; other.Prompt != whole[i].Prompt && other.Text != text {
			return other.Text
		}
	}
	return ""
}

// paragraphs are the paragraphs of a text, without what is between them, or its sentences
// where there are less than three.
func paragraphs(text string) (all []string, between string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			all = append(all, line)
		}
	}
	if len(all) > 2 {
		return all, "\n\n"
	}
	all = nil
	from := 0
	for _, end := range append(prose.SentenceEnds(text), len(text)) {
		if sentence := strings.TrimSpace(text[from:end]); sentence != "" {
			all = append(all, sentence)
		}
		from = end
	}
	return all, " "
}

// shuffled is a text with its paragraphs in an order by chance, another one than they have.
func shuffled(text string, i int) string {
	all, between := paragraphs(text)
	if len(all) < 3 {
		return ""
	}
	for try := range uint64(100) {
		order := rng.Perm(rng.New(0, "judge/shuffled", uint64(i), try), len(all))
		mixed := make([]string, len(all))
		for k, from := range order {
			mixed[k] = all[from]
		}
		if !slices.Equal(mixed, all) {
			return strings.Join(mixed, between)
		}
	}
	return "" // all of them are the same
}

// looped is a text that comes no further than its first third: the paragraph there comes
// again and again.
func looped(text string) string {
	all, between := paragraphs(text)
	if len(all) < 3 {
		return ""
	}
	keep := (len(all) + 2) / 3
	for i := keep; i < len(all); i++ {
		all[i] = all[keep-1]
	}
	return strings.Join(all, between)
}

// cutOff is the first 40 % of a text, up to the middle of a word or a sentence.
func cutOff(text string) string {
	letters := []rune(strings.TrimSpace(text))
	const least = 40
	if len(letters) < least {
		return ""
	}
	return strings.TrimRight(string(letters[:len(letters)*2/5]), " \t\r\n.!?。！？")
}
