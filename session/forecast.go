package session

import (
	"context"
	"fmt"

	"lwtrain/data"
	"lwtrain/engine"
	"lwtrain/engine/native"
	"lwtrain/engine/torch"
	"lwtrain/hub"
	"lwtrain/inspect"
	"lwtrain/internal/human"
	"lwtrain/model"
	"lwtrain/train"
)

// Forecast is what a run would do, need and take: all that is known before its weights are read.
type Forecast struct {
	Plan     *train.Plan
	Needs    engine.Needs
	Room     Room
	Time     Outlook // of what is left
	Step     int     // that the run would go on from; 0: it would begin
	Warnings []Warning
	Refused  error // why the run would be refused; nil: it would not
}

// Warning is what may be a mistake in a config, though it can be done.
type Warning struct {
	Key  string // of the config, that would change it
	Text string
}

// Forecast says what the run would do. It writes nothing, and measures for some seconds how fast this machine is
// where no run like it was done here.
func (r *Run) Forecast(ctx context.Context) (f Forecast, err error) {
	if f.Plan, err = r.Plan(); err != nil {
		return f, err
	}
	if f.Needs, err = r.Needs(); err != nil {
		return f, err
	}
	f.Room = r.Room(f.Plan, f.Needs)
	if f.Step, f.Refused = r.Check(); f.Refused == nil {
		if f.Time, err = r.Outlook(ctx, f.Plan, f.Needs, f.Step); err != nil {
			return f, err
		}
		f.Refused = f.Room.Check()
	}
	f.Warnings = r.warnings(f.Plan, f.Needs)
	return f, nil
}

// Kind is how the run trains: sft or dpo.
func (r *Run) Kind() string { return r.method.kind }

// warnings are what looks like a mistake in the run.
func (r *Run) warnings(p *train.Plan, m engine.Needs) (out []Warning) {
	c := r.session.Config
	add := func(key, format string, args ...any) {
		if format != "" {
			out = append(out, Warning{key, fmt.Sprintf(format, args...)})
		}
	}
	if text := MemoryWarning(m); text != "" {
		key := "packing.capacity"
		if mostForHeldOut(m) {
			key = "data.held_out_max_length"
		}
		add(key, "%s", text)
	}
	usual := UsualRate(r.Model.Config.Parameters(), p.Pairs > 0)
	if m.Adapters { // see UsualRate
		usual *= 10
	}
	if text := rateWarning(c.Train.LearningRate, usual, human.Scaled(r.Model.Config.Parameters())); text != "" {
		add("train.learning_rate", "%s", text)
	}
	if s := p.Schedule; s.Total > 0 && s.Warmup >= s.Total {
		key := "train.warmup_ratio"
		if c.Train.WarmupSteps > 0 {
			key = "train.warmup_steps"
		}
		add(key, "the warm-up has %s and the run %s: its rate never reaches %.2g",
			human.Count(s.Warmup, "step"), human.Grouped(s.Total), s.Peak)
	}
	if cut, all := longer(r.Data.Sources()); 4*cut >= all && cut > 0 {
		add("data.max_length", "%s of %s samples are longer than %s tokens: a model learns no longer answers than it sees whole",
			human.Grouped(cut), human.Grouped(all), human.Grouped(c.Data.MaxLength))
	}
	for i, times := range seen(r.Data, p.Epochs) {
		if times >= oftenSeen {
			add("train.num_train_epochs", "source %s is seen %.3g times: the model begins to learn it by heart",
				r.Data.Sources()[i].Name, times)
		}
	}
	held, unit := len(r.Data.HeldOut()), "sample"
	if mix := r.Data.Mix(); mix.Paired() {
		held, unit = held/2, "pair"
	}
	switch {
	case held == 0:
		add("data.held_out", "nothing is held out: no figure says whether the model learns or remembers")
	case held < fewHeldOut:
		add("data.held_out", "%s held out: the loss of so few says little", human.Count(held, unit))
	}
	return out
}

// What a run is warned of.
const (
	farRate    = 5 // times the usual rate, or one part of it
	oftenSeen  = 8 // times
	fewHeldOut = 8 // samples
)

// rateWarning compares a learning rate with the usual one of a size; "": it is near it.
func rateWarning(rate, usual float64, size string) string {
	const recipe = "LongWriter takes 1e-05 for models of 9B, small ones want more"
	switch {
	case rate > farRate*usual:
		return fmt.Sprintf("a rate of %.2g is high for %s parameters, where %.2g is usual (%s)", rate, size, usual, recipe)
	case rate < usual/farRate:
		return fmt.Sprintf("a rate of %.2g is low for %s parameters, where %.2g is usual (%s)", rate, size, usual, recipe)
	}
	return ""
}

// longer counts the samples that are longer than data.max_length, of all that could be trained on.
func longer(sources []data.SourceStats) (cut, all int) {
	for _, s := range sources {
		n := s.Samples - s.HeldOut
		if s.Paired() {
			n /= 2 // a pair is dropped as a whole
		}
		dropped := s.Dropped["too_long"]
		if dropped > 0 { // of all records, of which some of the others are drawn
			n += s.Undrawn
		}
		cut, all = cut+s.Cut+dropped, all+n+dropped
	}
	return cut, all
}

// seen is how often the mean sample of each source is gone through.
func seen(set *data.Set, epochs float64) []float64 {
	sources := set.Sources()
	held := make([]int, len(sources))
	for _, i := range set.HeldOut() {
		held[set.Source(int(i))]++
	}
	there := make([]int, len(sources))
	for i := range set.Len() {
		there[set.Source(i)]++
	}
	out := make([]float64, len(sources))
	for i, s := range sources {
		if n := there[i] - held[i]; n > 0 {
			out[i] = epochs * float64(s.Epoch.Samples) / float64(n)
		}
	}
	return out
}

// mostForHeldOut reports whether most of the memory is for the longest held-out sample.
func mostForHeldOut(m engine.Needs) bool {
	return m.HeldOut >= m.Total()/2 && m.HeldOut >= m.Activations/4*3
}

// MemoryWarning says so when a run needs more memory than there is, and what would help; "": there is enough.
func MemoryWarning(m engine.Needs) string {
	if m.Total() <= m.Limit {
		return ""
	}
	return fmt.Sprintf("this run needs %s and %s are free: it would be killed; %s would help",
		human.Bytes(m.Total()), human.Bytes(m.Limit), LessMemory(m))
}

// LessMemory names what would make a run take less memory.
func LessMemory(m engine.Needs) string {
	switch state := m.Gradients + m.Optimizer; {
	case mostForHeldOut(m):
		return "a smaller data.held_out_max_length"
	case m.Activations >= m.Total()/2:
		return "a smaller packing.capacity"
	case !m.Adapters && state > m.Total()/3 && m.Optimizer > m.Gradients && m.By == "":
		return "adapters (lora.rank: 16) or train.optim: adamw_8bit"
	case !m.Adapters && state > m.Total()/3:
		return "adapters (lora.rank: 16)"
	}
	return "a smaller model or a larger machine"
}

// EngineNeeds is what a fine-tune takes on an engine with an optimiser.
type EngineNeeds struct {
	Engine    string // native, torch
	Optimizer string
	Rank      int          // of adapters in all linear layers; 0: all parameters are trained
	Needs     engine.Needs // where nothing is computed again
	Again     engine.Needs // where all layers are
}

// NeedsByEngine says what the run's model takes on each engine, with the run's adapters or usual ones, too.
func (r *Run) NeedsByEngine() ([]EngineNeeds, error) {
	c := r.session.Config
	return needsByEngine(r.Model.Config, r.Model.dir, c.Train, c.LoRA, c.Packing.Capacity)
}

// usualRank of adapters is that of most of PEFT's examples.
const usualRank = 16

// needsByEngine says what a fine-tune with packs of a capacity takes on each engine, on one processor or GPU, whether
// it is there or not, of a model whose files may lie in dir. Torch's are upper bounds, in bf16 unless the options have another precision.
func needsByEngine(c model.Config, dir string, o train.Options, lora model.LoRA, capacity int) ([]EngineNeeds, error) {
	own, other := engineOptions(o, capacity), torch.Options{Processes: 1, Capacity: capacity, Precision: o.Precision}
	if other.Precision == "auto" {
		other.Precision = engine.BFloat16
	}
	if lora.From != "" || !lora.On() {
		lora = model.DefaultLoRA()
		lora.Rank = usualRank
	}
	const known = 1 << 50 // the limit has no say where the layers to compute again are given
	own.MemoryLimit, other.MemoryLimit = known, known
	rows := []EngineNeeds{
		{Engine: engine.Native, Optimizer: train.AdamW}, {Engine: engine.Native, Optimizer: train.AdamW8Bit},
		{Engine: engine.Native, Optimizer: train.AdamW, Rank: lora.Rank}, {Engine: engine.Torch, Optimizer: train.AdamW},
		{Engine: engine.Torch, Optimizer: train.AdamW, Rank: lora.Rank},
	}
	for i := range rows {
		own.Bits8 = rows[i].Optimizer == train.AdamW8Bit
		trained := model.Training{Freeze: o.Freeze, Bits24: own.Bits8}
		if rows[i].Rank > 0 {
			trained.LoRA = lora
		}
		outline, err := model.Outline(c, dir, trained)
		if err != nil {
			return nil, err
		}
		for again, needs := range map[string]*engine.Needs{"false": &rows[i].Needs, "true": &rows[i].Again} {
			if own.GradientCheckpointing, other.GradientCheckpointing = again, again; rows[i].Engine == engine.Native {
				*needs, err = native.Needs(outline, own)
			} else {
				*needs, err = torch.Needs(outline, &torch.Installation{}, other)
			}
			if err != nil {
				return nil, err
			}
		}
	}
	return rows, nil
}

// Inspection is what a model's folder or file holds, and what a fine-tune of it needs.
type Inspection struct {
	inspect.Report
	Capacity int           // tokens of the packs that it is of
	Needs    []EngineNeeds // nil: lwtrain has no forward pass for the model
}

// Inspect says what a folder or file holds, or what is known of a model on the hub without its weights, and
// what a fine-tune with packs of a capacity needs, or of the model's context where that is less.
func Inspect(ctx context.Context, name string, capacity int, e Events) (*Inspection, error) {
	path, err := folder(ctx, name, hub.ModelConfig, e)
	if err == nil {
		path, err = newest(path, e)
	}
	if err != nil {
		return nil, err
	}
	r, err := inspect.Read(path)
	if err != nil {
		return nil, err
	}
	out := &Inspection{Report: *r, Capacity: capacity}
	if r.Config == nil {
		return out, nil
	}
	if r.Context > 0 {
		out.Capacity = min(capacity, r.Context)
	}
	dir := path
	if r.Kind != "folder" {
		dir = ""
	}
	out.Needs, err = needsByEngine(*r.Config, dir, train.Default(), model.DefaultLoRA(), out.Capacity)
	return out, err
}
