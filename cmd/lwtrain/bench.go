package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"lwtrain/engine"
	"lwtrain/internal/fault"
	"lwtrain/internal/human"
	"lwtrain/internal/terminal"
	"lwtrain/model"
	"lwtrain/session"
	"lwtrain/train"
)

// benchFlags are the flags of lwtrain bench.
type benchFlags struct {
	shape           string
	capacity, steps int
	documents       tokenRange
	memoryLimit     train.Bytes
	adapters        model.LoRA
	optim           string
	json            bool
	engine          engine.Options
	packs           int
	save            string
}

func newBenchCmd() *cobra.Command {
	f := benchFlags{documents: tokenRange{2048, 8192}, engine: engine.Default(), adapters: model.DefaultLoRA()}
	cmd := &cobra.Command{
		Use:   "bench [-c CONFIG [key=value ...]]",
		Short: "Measure how fast this machine trains a model",
		Long: `Trains a model of random weights on synthetic documents for a few steps,
and says how many tokens a second that is, how near it comes to what a bare
matrix product reaches here (mfu), and where the time went. The model has the
shape of a config's, or a published one.

Shapes:
` + terminal.Wrapped(strings.Join(model.ShapeNames(), ", "), 9, 0),
		Example: "  lwtrain bench --capacity 8192\n  lwtrain bench -c my.yaml --steps 3 --json",
		RunE:    func(cmd *cobra.Command, args []string) error { return bench(cmd, args, f) },
	}
	addConfigFlags(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.shape, "shape", "smollm2-135m", "a published model's shape")
	fl.IntVar(&f.capacity, "capacity", 2048, "tokens in a pack")
	fl.Var(&f.documents, "documents", "tokens of a document, as 2048 or 512-4096; the last of a pack is cut")
	fl.TextVar(&f.memoryLimit, "memory-limit", train.Bytes(0), "memory that the run keeps below by recomputing, as 4GiB; "+
		"without -c 3.75GiB, twice that from 32,768 tokens on, or what a larger model needs")
	fl.IntVar(&f.steps, "steps", 5, "steps that are measured")
	fl.IntVar(&f.adapters.Rank, "lora", 0, "rank of adapters; 0: all parameters are trained")
	fl.StringVar(&f.optim, "optim", train.AdamW, "adamw or adamw_8bit; with -c the config says")
	fl.StringVar(&f.engine.Kind, "engine", f.engine.Kind, "native or torch; with -c the config says")
	fl.IntVar(&f.engine.Processes, "processes", 0, "of torch; 0: one for each GPU, or 1")
	fl.StringVar(&f.engine.Compile, "compile", f.engine.Compile, "blocks, by torch: auto, true or false")
	fl.BoolVar(&f.engine.Deterministic, "deterministic", false, "the same bytes each time, by torch")
	fl.IntVar(&f.packs, "packs", 0, "packs in a step; 0: 1 for each process")
	fl.StringVar(&f.save, "save", "", "an empty folder to write a checkpoint into at the end, to measure that")
	fl.BoolVar(&f.json, "json", false, "print one JSON object")
	return cmd
}

func bench(cmd *cobra.Command, args []string, f benchFlags) error {
	if err := useThreads(cmd); err != nil {
		return err
	}
	c, job, err := f.subject(cmd, args)
	if err != nil {
		return err
	}
	if !slices.Contains([]string{engine.Native, engine.Torch}, f.engine.Kind) {
		return fault.Usage(fmt.Errorf("--engine %q, want native or torch", f.engine.Kind))
	}
	if !slices.Contains(train.Options{}.Enums()["optim"], job.Options.Optim) {
		return fault.Usage(fmt.Errorf("--optim %q, want adamw or adamw_8bit", job.Options.Optim))
	}
	if !slices.Contains([]string{"auto", "true", "false"}, f.engine.Compile) {
		return fault.Usage(fmt.Errorf("--compile %q, want auto, true or false", f.engine.Compile))
	}
	if job.Capacity < 16 || job.Capacity > 1<<22 || f.steps < 1 || f.steps > 1<<20 {
		return fault.Usage(fmt.Errorf("--capacity %d --steps %d, want 16 to 4194304 tokens and at least a step", job.Capacity, f.steps))
	}
	bar := terminal.NewProgress(cmd.ErrOrStderr(), "training", int64(f.steps))
	job.Progress = func(step int, speed float64) { bar.Set(int64(step), human.Speed(speed)+" tok/s") }
	bar.Set(0, "")
	r, err := session.Bench(cmd.Context(), c, f.engine, f.adapters, job)
	if err != nil {
		bar.Abandon()
		return err
	}
	bar.Done()
	if f.json {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(r)
	}
	printBench(cmd.OutOrStdout(), c, job, r)
	return nil
}

// subject is what is measured: the model and the options of a config, or a published
// shape with those that make figures of different machines compare.
func (f *benchFlags) subject(cmd *cobra.Command, args []string) (c model.Config, job train.BenchJob, err error) {
	job = train.BenchJob{
		Options: train.Default(), Capacity: f.capacity, Steps: f.steps, Documents: f.documents, Packs: f.packs, Save: f.save,
	}
	switch named := cmd.Flags().Changed("config"); {
	case named && cmd.Flags().Changed("shape"):
		return c, job, fault.Usage(errors.New("there is -c and --shape, want one of them"))
	case !named && len(args) > 0:
		return c, job, fault.Usage(fmt.Errorf("%q is a value for a config, and there is no -c", args[0]))
	case named:
		s, err := openSession(cmd, args, true)
		if err != nil {
			return c, job, err
		}
		defer s.Close()
		m, err := s.Model(cmd.Context())
		if err != nil {
			return c, job, err
		}
		c, job.Options, f.engine, f.adapters = m.Config, s.Config.Train, s.Config.Engine, s.Config.LoRA
		if !cmd.Flags().Changed("capacity") {
			job.Capacity = s.Config.Packing.Capacity
		}
	default:
		if c, err = model.Shape(f.shape); err != nil {
			return c, job, fault.Usage(err)
		}
		job.Options.Optim = f.optim
		if f.engine.Kind == engine.Torch {
			break
		}
		job.Options.MemoryLimit = 3840 << 20
		if job.Capacity >= 32768 {
			job.Options.MemoryLimit *= 2
		}
	}
	if f.memoryLimit > 0 {
		job.Options.MemoryLimit = f.memoryLimit
	}
	return c, job, nil
}

func printBench(out io.Writer, c model.Config, job train.BenchJob, r train.BenchResult) {
	fmt.Fprintf(out, "model     %s, %s parameters\n", c.Type, human.Scaled(r.Parameters))
	fmt.Fprintf(out, "machine   %s\n", r.Machine)
	fmt.Fprintf(out, "packs     %s of %s tokens, %s\n", human.Grouped(job.Steps), human.Grouped(job.Capacity), r.Recomputed)
	fmt.Fprintf(out, "speed     %.1f tokens/s, %.0f MFLOP a token\n", r.TokensPerSecond, r.ModelFLOPsPerToken/1e6)
	fmt.Fprintf(out, "mfu       %.3f of %s GFLOP/s, what a matrix product reaches\n", r.MFU, human.Speed(r.PeakGFLOPs))
	fmt.Fprintf(out, "memory    %s at most, %s planned\n", human.Bytes(r.PeakRSS), human.Bytes(r.Planned))
	if r.Attention != "" {
		fmt.Fprintf(out, "attention %s\n", r.Attention)
	}
	if r.SaveTime > 0 {
		fmt.Fprintf(out, "save      %.1f s, and %.1f s while training would go on\n", float64(r.SaveTime)/1e9, float64(r.MergeTime)/1e9)
	}
	if len(r.Ops) > 0 {
		fmt.Fprintln(out, "time by op")
	}
	for _, o := range r.Ops {
		if o.Share >= 0.0005 {
			fmt.Fprintf(out, "  %-18s %5.1f %%\n", o.Name, 100*o.Share)
		}
	}
}

// tokenRange is a flag: the least and the most tokens, as 2048 or 2048-8192.
type tokenRange [2]int

func (r *tokenRange) String() string { return fmt.Sprintf("%d-%d", r[0], r[1]) }

func (r *tokenRange) Type() string { return "range" }

func (r *tokenRange) Set(text string) error {
	least, most, isRange := strings.Cut(text, "-")
	if !isRange {
		most = least
	}
	a, err := strconv.Atoi(least)
	b, err2 := strconv.Atoi(most)
	if err != nil || err2 != nil || a < 2 || b < a || b > 1<<22 {
		return fmt.Errorf("want tokens as 2048 or 2048-8192")
	}
	*r = tokenRange{a, b}
	return nil
}
