package show

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"lwtrain/configs"
	"lwtrain/internal/human"
	"lwtrain/internal/terminal"
	"lwtrain/pairs"
	"lwtrain/session"
)

// PairsPlan says what will be asked for pairs.
func PairsPlan(w io.Writer, c *configs.Config, run *session.PairsRun) {
	line := terminal.Labelled(w)
	o, prompts := c.Pairs, run.Prompts
	from := o.Server.Who()
	if m := run.Model; m != nil {
		from = m.Describe()
	}
	stated, words, ranged, left := 0, 0, 0, 0
	for _, p := range prompts {
		if p.Required > 0 {
			stated++
			words += p.Required
		}
		if p.Ranged() {
			ranged++
		}
		if !o.Rates(p) {
			left++
		}
	}
	line("model", "%s", from)
	line("prompts", "%s, %d of them ask for a length, of %.0f words on average",
		human.Count(len(prompts), "prompt"), stated, float64(words)/max(1, float64(stated)))
	if ranged > 0 {
		line("", "%d of them ask for a range of words", ranged)
	}
	if len(run.Dropped) > 0 {
		line("", "dropped: %s", human.Counts(run.Dropped))
	}
	line("answers", "%d to each, at most %s tokens, temperature %g, top-p %g",
		o.Samples, human.Grouped(o.MaxNewTokens), o.Temperature, o.TopP)
	var scores []string
	for _, s := range []struct {
		used   bool
		name   string
		weight float64
	}{
		{o.LengthWeight > 0, "length score (S_l)", o.LengthWeight},
		{o.LengthWeight > 0 && ranged > 0, "length range", o.LengthWeight},
		{o.RepetitionWeight > 0, "repetition", o.RepetitionWeight},
		{o.EndWeight > 0, "end", o.EndWeight},
		{o.Judge.URL != "", "judge " + o.Judge.Model + " (S_q)", o.JudgeWeight},
		{len(o.Command) > 0, "command " + strings.Join(o.Command, " "), o.CommandWeight},
	} {
		if s.used {
			scores = append(scores, fmt.Sprintf("%s x %g", s.name, s.weight))
		}
	}
	line("scores", "%s", strings.Join(scores, ", "))
	line("pairs", "the best against %s", map[string]string{"random": "one of the rest at random", "worst": "the worst"}[o.Rejected])
	if left > 0 {
		line("", "%s without a length to score: not answered", human.Count(left, "prompt"))
	}
	memoryToAnswer(line, run.Needs())
	line("output", "%s", c.Output.Dir)
}

// PairsResult says what came of making pairs, and what to do with them.
func PairsResult(w io.Writer, c *configs.Config, s pairs.Summary, took time.Duration) {
	line := terminal.Labelled(w)
	line("done", "%s to %s in %s", human.Count(s.Samples, "answer"), human.Count(s.Prompts, "prompt"), human.Span(took))
	if s.Required > 0 {
		line("answers", "%.0f words on average, %.0f asked for; half have at most %.2f of it", s.Words, s.Required, s.Ratio)
	} else {
		line("answers", "%.0f words on average", s.Words)
	}
	line("", "%.0f %% ended, %.1f %% of their words repeat what came before", 100*s.Ended, 100*s.Repeated)
	if len(s.Failed) > 0 {
		line("", "no answers: %s; the same command asks again", human.Counts(s.Failed))
	}
	if s.CutOff > 0 {
		line("", "%s cut off at pairs.max_new_tokens", human.Count(s.CutOff, "answer"))
	}
	if s.Unrated > 0 {
		line("", "%s without a readable rating", human.Count(s.Unrated, "answer"))
	}
	spread := func(label string, x pairs.Spread) {
		if x.Count > 0 {
			line("", "%-13s mean %5.1f, quartiles %5.1f %5.1f %5.1f, from %.1f to %.1f",
				label, x.Mean, x.P25, x.Median, x.P75, x.Least, x.Most)
		}
	}
	spread("score", s.Total)
	if s.Quality.Count+s.Command.Count+s.Range.Count+s.New.Count+s.End.Count > 0 {
		spread("length score", s.Length)
	}
	spread("length range", s.Range)
	spread("repetition", s.New)
	spread("end", s.End)
	spread("judge", s.Quality)
	spread("command", s.Command)
	line("pairs", "%s; words of the chosen answer %.0f, of the rejected %.0f", human.Count(s.Pairs, "pair"), s.ChosenWords, s.RejectedWords)
	spread("margin", s.Margin)
	if len(s.Dropped) > 0 {
		line("", "prompts without a pair: %s", human.Counts(s.Dropped))
	}
	line("", "%s", filepath.Join(c.Output.Dir, pairs.PairsFile))
	line("samples", "%s", filepath.Join(c.Output.Dir, pairs.CandidatesFile))
	if s.Pairs > 0 {
		line("next", "lwtrain dpo -c my.yaml \\")
		line("", "  'data.sources=[{name: pairs, path: %s}]'", filepath.Join(c.Output.Dir, pairs.PairsFile))
	}
}

// PairsTable sets runs of making pairs, by their folders, side by side.
func PairsTable(w io.Writer, dirs []string, runs []pairs.Summary) {
	width := len("run")
	for i := range dirs {
		dirs[i] = terminal.Printable(dirs[i])
		width = max(width, utf8.RuneCountInString(dirs[i]))
	}
	mean := func(x pairs.Spread) string {
		if x.Count == 0 {
			return "-"
		}
		return fmt.Sprintf("%.1f", x.Mean)
	}
	fmt.Fprintf(w, "%-*s %5s %5s %6s %8s %6s %6s %5s %6s\n", width, "run", "S_l", "range", "ended", "repeated", "words", "asked", "pairs",
		"margin")
	for i, s := range runs {
		asked := "-"
		if s.Required > 0 {
			asked = fmt.Sprintf("%.0f", s.Required)
		}
		fmt.Fprintf(w, "%-*s %5s %5s %5.0f%% %7.1f%% %6.0f %6s %5d %6s\n", width, dirs[i], mean(s.Length), mean(s.Range), 100*s.Ended,
			100*s.Repeated, s.Words, asked, s.Pairs, mean(s.Margin))
	}
}
