package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lwtrain/configs"
	"lwtrain/data"
	"lwtrain/internal/fault"
	"lwtrain/internal/kernels"
	"lwtrain/model"
	"lwtrain/pairs"
	"lwtrain/train"
)

func newPairsCmd() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "pairs",
		Short: "Make preference pairs: answer prompts, score the answers, choose",
		Long: `Answers each prompt of data.sources several times, with the model or with an
OpenAI-compatible server, scores the answers by LongWriter's length score, a
judge or a command of yours, and takes the best against another one. The pairs
train as they are: lwtrain dpo. Scores and files: docs/pairs.md.

Answers and scores are on the disk as soon as they are there: a run that was
interrupted goes on when the same command is given again, and asks only for
what is missing.`,
		Example: `  lwtrain pairs -c smollm2-pairs
  lwtrain pairs -c my.yaml pairs.samples=8 pairs.rejected=worst
  lwtrain pairs -c my.yaml pairs.server.url=http://localhost:8000/v1 \
      pairs.server.model=longwriter`,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := loadConfig(cmd, args)
			if err != nil {
				return err
			}
			return makePairs(cmd, c, dryRun)
		},
	}
	addConfigFlags(cmd)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "read the prompts and say what would be done; write nothing")
	return cmd
}

func makePairs(cmd *cobra.Command, c *configs.Config, dryRun bool) error {
	kernels.SetThreads(c.Threads)
	for _, s := range []struct {
		key string
		pairs.Server
	}{{"pairs.server", c.Pairs.Server}, {"pairs.judge", c.Pairs.Judge}} {
		if s.URL != "" && s.KeyEnv != "" && os.Getenv(s.KeyEnv) == "" {
			warn(cmd.ErrOrStderr(), "%s: %s is not set: it is asked without a key", s.key, s.KeyEnv)
		}
	}
	fetched, err := fetchData(cmd, c, dryRun)
	if err != nil {
		return err
	}
	defer fetched()
	prompts, bad, err := readPrompts(cmd, c)
	if err != nil {
		return err
	}
	job := pairs.Job{Options: c.Pairs, Seed: c.Seed, Dir: c.Output.Dir, Prompts: prompts, Config: c.Resolved()}
	if job.Identity, err = pairsIdentity(c, prompts); err != nil {
		return err
	}
	from := c.Pairs.Server.Model + " at " + c.Pairs.Server.URL
	var b *base
	if c.Pairs.Server.URL == "" {
		if b, err = openBase(cmd, c, dryRun); err != nil {
			return err
		}
		defer b.close()
		job.Identity.Contents["tokenizer and template"] = b.chat.Fingerprint()
		from = fmt.Sprintf("%s: %s, %s parameters", b.name, b.config.Type, scaled(float64(b.config.Parameters())))
	}
	out := cmd.OutOrStdout()
	printPairsPlan(out, c, from, prompts, bad)
	if dryRun {
		known, err := pairs.CheckFolder(c.Output.Dir, job.Identity)
		if err != nil {
			return err
		}
		if known {
			fmt.Fprintf(out, "\n%s holds this run, if the weights are the same: it would go on.\n", c.Output.Dir)
		}
		fmt.Fprintln(out, "\nThis was a dry run: nothing was written.")
		return nil
	}
	if b != nil {
		if err := b.fetchWeights(cmd); err != nil {
			return err
		}
		if job.Model, err = b.loadToAnswer(c.Pairs.Precision); err != nil {
			return err
		}
		defer job.Model.Free()
		if job.Identity.Contents["model"], err = b.weightsHash(); err != nil {
			return err
		}
		job.Tokenizer, job.Chat = b.tok, b.chat
	}
	fmt.Fprintln(out)
	total := len(prompts) * c.Pairs.Samples
	bar := newProgress(cmd.ErrOrStderr(), "answering", int64(2*total)) // each answer is written and rated
	began, before := time.Now(), -1
	job.Resumed = func(n int) {
		bar.Println(fmt.Sprintf("going on: %s of %s are there", grouped(int64(n)), count(total, "answer")))
	}
	job.Progress = func(answers, rated, tokens int) {
		if before < 0 {
			before = tokens
		}
		bar.Set(int64(answers+rated), fmt.Sprintf("%d answers  %d rated  %.0f tok/s", answers, rated, float64(tokens-before)/time.Since(began).Seconds()))
	}
	s, err := pairs.Make(cmd.Context(), job)
	bar.abandon()
	if err != nil {
		if status(err) == exitInterrupted {
			err = fault.Hint(fmt.Errorf("%w; what is answered is kept in %s", train.ErrInterrupted, c.Output.Dir), "this goes on from there: "+commandLine(cmd))
		}
		return err
	}
	printPairsResult(out, c, s, time.Since(began))
	return nil
}

// readPrompts reads all prompts of a config.
func readPrompts(cmd *cobra.Command, c *configs.Config) (prompts []data.Prompt, bad map[string]int, err error) {
	bad = map[string]int{}
	for _, src := range c.Data.Sources {
		if err := src.SuitsPrompts(); err != nil {
			return nil, nil, err
		}
		found, dropped, err := data.Prompts(cmd.Context(), src, c.Pairs.LengthColumn, c.Data.OnBadRecord == "skip")
		if err != nil {
			return nil, nil, err
		}
		prompts = append(prompts, found...)
		for reason, n := range dropped {
			bad[reason] += n
		}
	}
	if len(prompts) == 0 {
		return nil, nil, fault.Usage(errors.New("data.sources hold no prompts, want at least one"))
	}
	return prompts, bad, nil
}

// pairsIdentity is what two runs must have in common to be one, but for the model.
func pairsIdentity(c *configs.Config, prompts []data.Prompt) (train.Identity, error) {
	id := train.Identity{Contents: map[string]string{}, Settings: c.Settings("pairs")}
	type asked struct {
		Messages []map[string]string
		Required int
	}
	h := sha256.New()
	enc := json.NewEncoder(h)
	for _, p := range prompts {
		a := asked{Required: p.Required}
		for _, m := range p.Messages {
			a.Messages = append(a.Messages, map[string]string{"role": m.Role, "content": m.Content})
		}
		if err := enc.Encode(a); err != nil {
			return id, err
		}
	}
	id.Contents["prompts"] = hex.EncodeToString(h.Sum(nil))
	return id, nil
}

// loadToAnswer loads the weights as lwtrain generate does.
func (b *base) loadToAnswer(precision string) (*model.Model, error) {
	if b.dir != "" {
		return loadToGenerate(b.dir, precision)
	}
	m, err := b.load()
	if err == nil && precision == "bf16" {
		m.UseHalf()
	}
	return m, err
}

// weightsHash says which model answers, by its files or by how it is made.
func (b *base) weightsHash() (string, error) {
	if b.dir == "" {
		return model.FingerprintFresh(b.config, b.seed)
	}
	return model.FingerprintFiles(b.dir)
}

// printPairsPlan says what will be asked.
func printPairsPlan(w io.Writer, c *configs.Config, from string, prompts []data.Prompt, bad map[string]int) {
	line := labelled(w)
	o := c.Pairs
	stated, words := 0, 0
	for _, p := range prompts {
		if p.Required > 0 {
			stated++
			words += p.Required
		}
	}
	line("model", "%s", from)
	line("prompts", "%s, %d of them ask for a length, of %.0f words on average", count(len(prompts), "prompt"), stated, float64(words)/max(1, float64(stated)))
	if len(bad) > 0 {
		line("", "dropped: %s", countsText(bad))
	}
	line("answers", "%d to each, at most %s tokens, temperature %g, top-p %g", o.Samples, grouped(int64(o.MaxNewTokens)), o.Temperature, o.TopP)
	var scores []string
	for _, s := range []struct {
		used   bool
		name   string
		weight float64
	}{
		{o.LengthWeight > 0, "length score (S_l)", o.LengthWeight},
		{o.Judge.URL != "", "judge " + o.Judge.Model + " (S_q)", o.JudgeWeight},
		{len(o.Command) > 0, "command " + strings.Join(o.Command, " "), o.CommandWeight},
	} {
		if s.used {
			scores = append(scores, fmt.Sprintf("%s x %g", s.name, s.weight))
		}
	}
	line("scores", "%s", strings.Join(scores, ", "))
	line("pairs", "the best against %s", map[string]string{"random": "one of the rest at random", "worst": "the worst"}[o.Rejected])
	if left := len(prompts) - stated; left > 0 && o.Judge.URL == "" && len(o.Command) == 0 {
		line("", "%s without a length to score: not answered", count(left, "prompt"))
	}
	line("output", "%s", c.Output.Dir)
}

// printPairsResult says what came of it, and what to do with it.
func printPairsResult(w io.Writer, c *configs.Config, s pairs.Summary, took time.Duration) {
	line := labelled(w)
	line("done", "%s to %s in %s", count(s.Samples, "answer"), count(s.Prompts, "prompt"), span(took))
	if s.Required > 0 {
		line("answers", "%.0f words on average, %.0f asked for; half have at most %.2f of it", s.Words, s.Required, s.Ratio)
	} else {
		line("answers", "%.0f words on average", s.Words)
	}
	if s.CutOff > 0 {
		line("", "%s cut off at pairs.max_new_tokens", count(s.CutOff, "answer"))
	}
	if s.Unrated > 0 {
		line("", "%s without a readable rating", count(s.Unrated, "answer"))
	}
	spread := func(label string, x pairs.Spread) {
		if x.Count > 0 {
			line("", "%-13s mean %5.1f, quartiles %5.1f %5.1f %5.1f, from %.1f to %.1f", label, x.Mean, x.P25, x.Median, x.P75, x.Least, x.Most)
		}
	}
	spread("score", s.Score)
	if s.JudgeScore.Count+s.CommandScore.Count > 0 {
		spread("length score", s.LengthScore)
	}
	spread("judge", s.JudgeScore)
	spread("command", s.CommandScore)
	line("pairs", "%s; words of the chosen answer %.0f, of the rejected %.0f", count(s.Pairs, "pair"), s.ChosenWords, s.RejectedWords)
	spread("margin", s.Margin)
	if len(s.Dropped) > 0 {
		line("", "prompts without a pair: %s", countsText(s.Dropped))
	}
	line("", "%s", filepath.Join(c.Output.Dir, pairs.PairsFile))
	line("samples", "%s", filepath.Join(c.Output.Dir, pairs.SamplesFile))
	if s.Pairs > 0 {
		line("next", "lwtrain dpo -c my.yaml \\")
		line("", "  'data.sources=[{name: pairs, path: %s}]'", filepath.Join(c.Output.Dir, pairs.PairsFile))
	}
}
