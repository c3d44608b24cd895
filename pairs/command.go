package pairs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"lwtrain/internal/fault"
	"lwtrain/internal/llm"
)

// runCommand lets the user's command rate an answer.
func (o Options) runCommand(ctx context.Context, messages []llm.Message, c Candidate) (float64, error) {
	raw, err := json.Marshal(struct {
		Messages []llm.Message `json:"messages"`
		Answer   string        `json:"answer"`
		Words    int           `json:"words"`
		Required int           `json:"required"`
		Least    int           `json:"min_words,omitempty"`
		Most     int           `json:"max_words,omitempty"`
	}{messages, c.Answer, c.Words, c.Required, c.Least, c.Most})
	if err != nil {
		return 0, err
	}
	limited, cancel := context.WithTimeout(ctx, time.Duration(o.CommandTimeout)*time.Second)
	defer cancel()
	cmd := exec.CommandContext(limited, o.Command[0], o.Command[1:]...)
	var said, out bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = bytes.NewReader(append(raw, '\n')), &out, &said, time.Second
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if limited.Err() != nil {
			err = fmt.Errorf("no answer in %d second%s", o.CommandTimeout, map[bool]string{true: "s"}[o.CommandTimeout != 1])
		}
		return 0, fmt.Errorf("pairs.command, %s: %w: %s", o.Command[0], err, o.excerpt(said.Bytes()))
	}
	value, err := strconv.ParseFloat(strings.TrimSpace(out.String()), 64)
	if err != nil || math.IsNaN(value) || math.IsInf(value, 0) {
		return 0, fmt.Errorf("pairs.command, %s: it printed %q, want a number", o.Command[0], o.excerpt(out.Bytes()))
	}
	return value, nil
}

// excerpt is the beginning of what a command printed, which has our keys in its
// environment, without them.
func (o Options) excerpt(raw []byte) string {
	const enough = 4096 // bytes, of which a few are shown
	return fault.Excerpt([]byte(o.Judge.Mask(o.Server.Mask(string(raw[:min(len(raw), enough)])))))
}
