// Package judge has language models rate texts. [Rate] asks for marks, [Compare] which of two
// texts is the better one, and [Calibrate] what a judge can tell apart. Whom they ask is any
// [llm.Answerer], and every reply comes back whole, with what was read of it: what can not
// be read, or was not replied, is no number.
package judge

import (
	"lwtrain/internal/llm"
)

// What became of an attempt.
const (
	Scored         = "scored"
	ParseError     = "parse_error"     // the reply is none that was asked for
	Refused        = "refused"         // by the server
	TransportError = "transport_error" // there is no whole reply
)

// Attempt is a call to a judge, and what was read of its reply.
type Attempt struct {
	ID            string             `json:"id"` // of the case
	Judge         string             `json:"judge"`
	Mode          Mode               `json:"mode"`
	Dimension     string             `json:"dimension,omitempty"` // "": all of them, or a comparison
	Order         string             `json:"order,omitempty"`     // of a comparison: AB or BA
	Part          int                `json:"part,omitempty"`      // of a text that is rated in parts, from 1
	Try           int                `json:"try"`                 // from 0
	Status        string             `json:"status"`
	Reason        string             `json:"reason,omitempty"`        // why it is not scored
	Value         *float64           `json:"value"`                   // the mark, or S_q of all; what A is worth: 1, 0.5, 0
	Marks         map[string]float64 `json:"marks,omitempty"`         // of all dimensions
	Probabilities map[string]float64 `json:"probabilities,omitempty"` // of the marks, of which Value is the mean
	Raw           string             `json:"raw"`                     // the whole reply
	Reasoning     string             `json:"reasoning,omitempty"`
}

// settle says what a reply came to, read where there is one.
func (a *Attempt) settle(r llm.Reply, read func() error) {
	a.Raw, a.Reasoning = r.Text, r.Reasoning
	switch {
	case isRefusal(r):
		a.Status, a.Reason = Refused, r.Failed
	case r.Failed != "":
		a.Status, a.Reason = TransportError, r.Failed
	default:
		a.Status = Scored
		if err := read(); err != nil {
			a.Status, a.Reason, a.Value, a.Marks, a.Probabilities = ParseError, err.Error(), nil, nil, nil
		}
	}
}

// isRefusal reports whether a server does not answer what it was asked, which asking again does not change.
func isRefusal(r llm.Reply) bool {
	kind := llm.FailureKind(r.Failed)
	return kind == "refused" || kind == "content filter" || kind == "context"
}
