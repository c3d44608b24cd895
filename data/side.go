package data

import (
	"encoding/json"

	"lwtrain/internal/plainjson"
)

// Side is one side of preferences: their chosen answers, or the rejected ones.
type Side struct {
	Answers      int   `json:"answers"`
	Words        int64 `json:"words"`
	TargetTokens int64 `json:"target_tokens"`

	// Of [Set.Stats] alone.
	OutputWords  *Lengths  `json:"output_words,omitempty"`
	OutputTokens *Lengths  `json:"output_tokens,omitempty"`
	Buckets      []Bucket  `json:"buckets,omitempty"`  // by words of the answers
	Required     *Required `json:"required,omitempty"` // without points
}

func (s *Side) take(answers int, words, targets int64) {
	s.Answers += answers
	s.Words += words
	s.TargetTokens += targets
}

// Bucket is the samples of one of [prose.Ranges].
type Bucket struct {
	Name         string             `json:"name"`
	From         int                `json:"from"` // words
	Samples      int                `json:"samples"`
	TargetTokens int64              `json:"target_tokens"` // before cutting
	LossShare    map[string]float64 `json:"loss_share,omitempty"`
}

// Required compares the lengths that prompts ask for with those of the answers.
type Required struct {
	Samples     int     `json:"samples"`          // whose prompt names a length
	Score       float64 `json:"mean_score"`       // S_l, see [prose.LengthScore]
	Good        int     `json:"score_80_or_more"` // of the samples
	MedianRatio float64 `json:"median_ratio"`     // real / required
	// Points are a fair draw of [required, real] in words.
	Points []Point `json:"points,omitempty"`
}

// Point is a length that a prompt asks for, and what the answer has, in words.
type Point struct{ Required, Real int }

// MarshalJSON writes a point as [required, real].
func (p Point) MarshalJSON() ([]byte, error) { return json.Marshal([2]int{p.Required, p.Real}) }

// UnmarshalJSON reads it.
func (p *Point) UnmarshalJSON(raw []byte) error {
	var v [2]int
	err := plainjson.Unmarshal(raw, &v)
	p.Required, p.Real = v[0], v[1]
	return err
}
