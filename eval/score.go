package eval

import (
	"lwtrain/eval/tasks"
	"lwtrain/internal/llm"
	"lwtrain/internal/prose"
)

// Score is a line of scores.jsonl: what is measured in an answer without a judge.
type Score struct {
	ID     string `json:"id"`
	Sample int    `json:"sample"`
	Prompt string `json:"prompt_hash"` // by which answers of two evaluations are paired
	Type   string `json:"type,omitempty"`
	Asked  int    `json:"asked,omitempty"` // words, or about the middle of a range; 0: no length is asked for

	Words    int      `json:"words"`
	Tokens   int      `json:"tokens,omitempty"`
	Length   *float64 `json:"s_l"`      // 0 to 100; nil: no length is asked for
	Ended    *bool    `json:"ended"`    // nil: nobody said
	Repeated float64  `json:"repeated"` // share of windows of eight units that came before in the text
	Loop     int      `json:"loop_at"`  // the unit where a loop begins; -1: none does
	Distinct float64  `json:"distinct_sentences"`
	Language string   `json:"language"`
	Kept     *bool    `json:"language_kept"` // it is the one that the prompt asks for; nil: that is not clear

	Quality *float64           `json:"s_q,omitempty"`   // of a judge, 0 to 100; nil: not rated
	Marks   map[string]float64 `json:"marks,omitempty"` // of it, 1 to 5
	Chunked bool               `json:"chunked,omitempty"`

	Measures map[string]float64 `json:"measures,omitempty"` // of the task's own
	Failed   string             `json:"failed,omitempty"`   // why there is no answer; all else is empty then
}

// ScoreOf measures an answer.
func ScoreOf(t tasks.Task, it tasks.Item, g Generation) Score {
	s := Score{
		ID: it.ID, Sample: g.Sample, Prompt: promptHash(it.Prompt), Type: it.Type, Asked: it.Asked.About(), Loop: -1, Failed: g.Failed,
	}
	if s.Failed != "" {
		return s
	}
	s.Words, s.Tokens = t.Words(g.Text), g.Tokens
	if it.Asked.Any() {
		length := it.Asked.Score(s.Words)
		s.Length = &length
	}
	if g.Stop != "" {
		ended := g.Stop == llm.StopEOS
		s.Ended = &ended
	}
	shape := prose.Scan(g.Text)
	s.Repeated, s.Loop, s.Distinct = shape.RepeatedShare(), prose.LoopStart(g.Text), prose.DistinctSentences(g.Text)
	s.Language = prose.Languages[shape.Letters.Language()]
	if want := prose.AskedLanguage(it.Prompt); want == prose.English || want == prose.Chinese {
		kept := shape.Letters.Language() == want
		s.Kept = &kept
	}
	if t.Score != nil {
		s.Measures = t.Score(it, g.Text)
	}
	return s
}
