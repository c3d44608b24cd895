package show

import (
	"encoding/json"
	"io"
	"math"

	"lwtrain/configs"
	"lwtrain/data"
	"lwtrain/engine"
	"lwtrain/session"
)

// planJSON is what `lwtrain plan --json` prints: docs/formats/plan.md.
type planJSON struct {
	Method       string         `json:"method"`
	Model        modelJSON      `json:"model"`
	Data         dataJSON       `json:"data"`
	Packs        int            `json:"packs"`
	Capacity     int            `json:"capacity"`
	Fill         float64        `json:"fill"`
	Pairs        int            `json:"pairs"`
	Once         *onceJSON      `json:"prompts_once,omitempty"`
	Steps        int            `json:"steps"`
	StepsEpoch   int            `json:"steps_per_epoch"`
	Epochs       float64        `json:"epochs"`
	From         int            `json:"from_step"`
	Scheduler    string         `json:"lr_scheduler_type"`
	LearningRate float64        `json:"learning_rate"`
	WarmupSteps  int            `json:"warmup_steps"`
	Bytes        bytesJSON      `json:"bytes"`
	Engines      []needsJSON    `json:"engines"`
	Checkpoint   checkpointJSON `json:"checkpoints"`
	Seconds      *float64       `json:"seconds"`
	Timing       timingJSON     `json:"timing"`
	Machine      string         `json:"machine"`
	Output       string         `json:"output"`
	Warnings     []warningJSON  `json:"warnings"`
	Refused      string         `json:"refused,omitempty"`
}

type modelJSON struct {
	Name       string `json:"name"`
	Family     string `json:"family"`
	Parameters int64  `json:"parameters"`
	Layers     int    `json:"layers"`
	Context    int    `json:"context"`
}

type dataJSON struct {
	Samples    int            `json:"samples"`
	Epoch      data.Epoch     `json:"epoch"`
	HeldOut    int            `json:"held_out"`
	Longer     int            `json:"held_out_longer,omitempty"`
	Longest    int            `json:"held_out_longest,omitempty"`
	Shortened  data.Shortened `json:"held_out_cut,omitzero"`
	Cut        int            `json:"cut"`
	LostTokens int64          `json:"lost_tokens"`
	LostEnds   int            `json:"lost_ends,omitempty"`
	Dropped    map[string]int `json:"dropped"`
}

// onceJSON is [train.Once].
type onceJSON struct {
	Pairs  int     `json:"pairs"`
	Saved  float64 `json:"saved"`
	Longer int     `json:"longer"`
	Why    string  `json:"why,omitempty"`
}

// bytesJSON is [engine.Needs].
type bytesJSON struct {
	Precision   string `json:"precision"`
	Weights     int64  `json:"weights"`
	Half        int64  `json:"half"`
	Gradients   int64  `json:"gradients"`
	Optimizer   int64  `json:"optimizer"`
	Activations int64  `json:"activations"`
	HeldOut     int64  `json:"held_out,omitempty"`
	Reference   int64  `json:"reference"`
	Total       int64  `json:"total"`
	Limit       int64  `json:"limit,omitempty"`
	Recomputed  string `json:"recomputed,omitempty"`
}

// needsJSON is [session.EngineNeeds].
type needsJSON struct {
	Engine    string    `json:"engine"`
	Optimizer string    `json:"optimizer"`
	Rank      int       `json:"lora_rank"`
	Bytes     bytesJSON `json:"bytes"`
	Again     bytesJSON `json:"bytes_recomputed"`
}

type checkpointJSON struct {
	Bytes int64 `json:"bytes"`
	Parts int64 `json:"parts,omitempty"`
	Most  int   `json:"most"`
	Free  int64 `json:"free"`
}

type timingJSON struct {
	By        string  `json:"by,omitempty"` // measured, remembered
	Reference float64 `json:"reference_seconds"`
	HeldOut   float64 `json:"held_out_seconds"`
	OtherWork float64 `json:"other_work"`
	Unknown   string  `json:"unknown,omitempty"`
}

type warningJSON struct {
	Key  string `json:"key"`
	Text string `json:"text"`
}

// PlanJSON prints what a run would do as one object.
func PlanJSON(w io.Writer, c *configs.Config, run *session.Run, f session.Forecast) error {
	p, mix, m := f.Plan, run.Data.Mix(), run.Model.Config
	out := planJSON{
		Method: run.Kind(),
		Model:  modelJSON{run.Model.Name, m.Type, m.Parameters(), m.Layers, m.MaxTokens},
		Data: dataJSON{Samples: mix.Samples - mix.HeldOut, Epoch: mix.Epoch, HeldOut: mix.HeldOut,
			Longer: mix.HeldOutLong, Longest: mix.HeldOutMost, Shortened: mix.HeldOutCut,
			Cut: mix.Cut, LostTokens: mix.LostTokens, LostEnds: mix.LostEnds, Dropped: mix.Dropped},
		Packs: p.Packs, Capacity: p.Capacity, Pairs: p.Pairs,
		Steps: p.Schedule.Total, StepsEpoch: p.StepsPerEpoch, Epochs: p.Epochs, From: f.Step,
		Scheduler: p.Schedule.Type, LearningRate: p.Schedule.Peak, WarmupSteps: p.Schedule.Warmup,
		Bytes:      bytesOf(f.Needs),
		Checkpoint: checkpointJSON{f.Room.Checkpoint, f.Room.Parts, f.Room.Most, f.Room.Free},
		Timing: timingJSON{Reference: f.Time.Reference.Seconds(), HeldOut: f.Time.HeldOut.Seconds(), OtherWork: f.Time.OtherWork,
			Unknown: f.Time.Unknown},
		Machine: f.Needs.Machine, Output: c.Output.Dir, Warnings: []warningJSON{},
	}
	if p.Pairs > 0 && !p.Labelled {
		out.Once = &onceJSON{p.Once.Pairs, math.Round(1e6*p.Once.Saved) / 1e6, p.Once.Longer, p.Once.Why}
	}
	if p.Packs > 0 {
		out.Fill = math.Round(1e6*p.Fill()) / 1e6
	}
	if f.Time.Unknown == "" && f.Refused == nil {
		seconds := math.Round(1e3*f.Time.Left.Seconds()) / 1e3
		out.Seconds, out.Timing.By = &seconds, map[bool]string{true: "remembered", false: "measured"}[f.Time.Remembered]
	}
	for _, w := range f.Warnings {
		out.Warnings = append(out.Warnings, warningJSON(w))
	}
	if f.Refused != nil {
		out.Refused = f.Refused.Error()
	}
	all, err := run.NeedsByEngine()
	if err != nil {
		return err
	}
	out.Engines = needsOf(all)
	return encode(w, out)
}

// encode prints one object on a line, with < and > as they are.
func encode(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

func bytesOf(m engine.Needs) bytesJSON {
	return bytesJSON{m.Precision, m.Weights, m.Half, m.Gradients, m.Optimizer, m.Activations, m.HeldOut, m.Reference, m.Total(), m.Limit,
		m.Recomputed}
}

func needsOf(all []session.EngineNeeds) (out []needsJSON) {
	for _, n := range all {
		n.Needs.Limit, n.Again.Limit = 0, 0 // of no machine in particular
		out = append(out, needsJSON{n.Engine, n.Optimizer, n.Rank, bytesOf(n.Needs), bytesOf(n.Again)})
	}
	return out
}
