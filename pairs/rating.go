package pairs

// Candidate is an answer to a prompt and how it is rated, a line of samples.jsonl.
type Candidate struct {
	Prompt   int    `json:"prompt"` // counted from 0
	Number   int    `json:"sample"` // of the answer to it, from 0
	Origin   string `json:"origin"` // of the prompt, file:line
	Required int    `json:"required_words,omitempty"`
	Words    int    `json:"words"`
	Tokens   int    `json:"tokens"`
	Stop     string `json:"stop"` // llm.StopEOS or llm.StopLength
	Rating
	Answer string `json:"answer"`
}

// Rating is what an answer is worth. A part that was not made is nil.
type Rating struct {
	Length  *float64           `json:"length_score,omitempty"`  // S_l, 0 to 100
	Quality *float64           `json:"judge_score,omitempty"`   // S_q, 0 to 100
	Marks   map[string]float64 `json:"judge_ratings,omitempty"` // of the judge, 1 to 5, which S_q is made of
	Command *float64           `json:"command_score,omitempty"` // of the user's command
	Total   *float64           `json:"score,omitempty"`         // nil: one that was wanted is missing
}

// total is the weighted mean of the parts that are wanted of an answer to a prompt:
// the length's only where a length is asked for. It is nil where one is missing, or
// none is wanted.
func (o Options) total(r Rating, required int) *float64 {
	sum, weights := 0.0, 0.0
	for _, part := range []struct {
		wanted bool
		value  *float64
		weight float64
	}{
		{o.LengthWeight > 0 && required > 0, r.Length, o.LengthWeight},
		{o.Judge.URL != "", r.Quality, o.JudgeWeight},
		{len(o.Command) > 0, r.Command, o.CommandWeight},
	} {
		if !part.wanted {
			continue
		}
		if part.value == nil {
			return nil
		}
		sum += part.weight * *part.value
		weights += part.weight
	}
	if weights == 0 {
		return nil
	}
	sum /= weights
	return &sum
}

// ratable reports whether an answer to a prompt that asks for that many words has any
// part of a rating.
func (o Options) ratable(required int) bool {
	return o.LengthWeight > 0 && required > 0 || o.Judge.URL != "" || len(o.Command) > 0
}
