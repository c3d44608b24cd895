package model

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"
)

// prompt is a text of so many tokens.
func prompt(tokens, seed int) (out []int32) {
	for i := range tokens {
		out = append(out, int32((seed*i*i+i+seed)%259))
	}
	return out
}

func TestAGuestIsTheSameWhateverIsBesideItAndWheneverItComes(t *testing.T) {
	m := smallModel(t)
	m.UseHalf()
	var requests []Request
	for i := range 40 {
		requests = append(requests, Request{
			Prompt: prompt(1+i*i%301, i/3), MaxNewTokens: 5 + i%23, Stop: []int32{7}, Sampling: Sampling{Temperature: 1, TopP: 0.9,
				Seed: uint64(i)},
		})
	}
	alone, err := NewGenerator(m).Generate(t.Context(), requests, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, batch := range []int{1, 4, 16} {
		got := make([]Generated, len(requests))
		asked, came := 0, 0
		err := NewGenerator(m).Serve(t.Context(), batch, func(idle bool) *Guest {
			asked++
			if came == len(requests) || !idle && asked%3 == 0 { // they come one by one, some when nothing is under way
				return nil
			}
			i := came
			came++
			return &Guest{
				Request: requests[i],
				Again:   came < len(requests) && slices.Equal(requests[came].Prompt, requests[i].Prompt),
				Ended: func(g Generated, err error) {
					if err != nil {
						t.Errorf("%d: %v", i, err)
					}
					got[i] = g
				},
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			if !slices.Equal(got[i].IDs, alone[i].IDs) || got[i].Stop != alone[i].Stop {
				t.Errorf("%d at a time: text %d is %v, alone %v", batch, i, got[i], alone[i])
			}
		}
	}
}

func TestGuestsEndForThemselves(t *testing.T) {
	m := smallModel(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var ended []string
	guest := func(name string, r Request) *Guest {
		return &Guest{Request: r, Ended: func(g Generated, err error) {
			ended = append(ended, fmt.Sprintf("%s: %d tokens %s %v", name, len(g.IDs), g.Stop, err))
		}}
	}
	count := 0
	waiting := []*Guest{
		guest("no token of the model", Request{Prompt: []int32{259}, MaxNewTokens: 3}),
		guest("nothing", Request{MaxNewTokens: 3}),
		guest("no room", Request{Prompt: []int32{1}}),
		guest("three", Request{Prompt: []int32{1}, MaxNewTokens: 30, Emit: func(int32) { count++ },
			Enough: func() bool { return count == 3 }}),
		guest("ten", Request{Prompt: []int32{2}, MaxNewTokens: 10}),
		guest("stopped", Request{Prompt: []int32{3}, MaxNewTokens: 300, Enough: func() bool {
			if len(ended) == 5 {
				cancel()
			}
			return false
		}}),
	}
	err := NewGenerator(m).Serve(ctx, 4, func(bool) *Guest {
		if len(waiting) == 0 {
			return nil
		}
		g := waiting[0]
		waiting = waiting[1:]
		return g
	})
	want := []string{
		"no token of the model: 0 tokens  prompt 0: token id 259, want 0 to 258", "nothing: 0 tokens  prompt 0 is empty",
		"no room: 0 tokens length <nil>", "three: 3 tokens enough <nil>", "ten: 10 tokens length <nil>",
		"stopped: 10 tokens  context canceled",
	}
	if err != context.Canceled || !slices.Equal(ended, want) {
		t.Errorf("%v, ended\n%q, want\n%q", err, ended, want)
	}
}

func TestAThreadIsTheSameTextWhateverWasKept(t *testing.T) {
	for _, precision := range []string{"float32", "bf16"} {
		m := smallModel(t)
		if precision == "bf16" {
			m.UseHalf()
		}
		thread := NewGenerator(m).Thread(400)
		defer thread.Free()
		text, before := prompt(150, 3), 0
		for turn := range 4 {
			r := Request{Prompt: text, MaxNewTokens: 20, Sampling: Sampling{Temperature: 1, Seed: uint64(turn)}}
			got, kept, err := thread.Continue(t.Context(), r)
			if err != nil || kept != before {
				t.Fatalf("%s, turn %d: %v, %d tokens kept, want %d", precision, turn, err, kept, before)
			}
			fresh := NewGenerator(m).Thread(400)
			want, _, err := fresh.Continue(t.Context(), r)
			fresh.Free()
			if err != nil || !slices.Equal(got.IDs, want.IDs) {
				t.Errorf("%s, turn %d: %v, without what was kept %v (%v)", precision, turn, got.IDs, want.IDs, err)
			}
			before = len(text) + len(got.IDs) - 1 // of the last one nobody knows the keys
			text = slices.Concat(text, got.IDs, prompt(7, turn))
		}
		_, kept, err := thread.Continue(t.Context(), Request{Prompt: slices.Concat(text[:9], []int32{5}, text[10:]), MaxNewTokens: 1})
		if err != nil || kept > 10 || kept < 9 {
			t.Errorf("%d tokens kept of a text with another tenth one, %v", kept, err)
		}
		if _, _, err := thread.Continue(t.Context(), Request{Prompt: prompt(390, 1), MaxNewTokens: 11}); err == nil {
			t.Error("a text of 401 tokens in a thread of 400")
		}
	}
}

// TestAThreadReadsWhatAPromptIs holds reading token by token against reading at once.
func TestAThreadReadsWhatAPromptIs(t *testing.T) {
	m := smallModel(t)
	g := NewGenerator(m)
	ids := prompt(200, 5)
	s := g.newSlot(&text{}, 200)
	want := slices.Clone(g.prefill(s, ids))
	s.free()
	thread := NewGenerator(m).Thread(201)
	defer thread.Free()
	var got []float32
	_, _, err := thread.Continue(t.Context(), Request{Prompt: ids, MaxNewTokens: 1, Look: func(_ int32,
		l []float32) {
		got = slices.Clone(l)
	}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if math.Abs(float64(got[i]-want[i])) > 1e-3 {
			t.Fatalf("logit %d is %g, at once %g", i, got[i], want[i])
		}
	}
}

func TestAThreadThatWasStoppedGoesOn(t *testing.T) {
	m := smallModel(t)
	thread := NewGenerator(m).Thread(300)
	defer thread.Free()
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	out, _, err := thread.Continue(ctx, Request{Prompt: prompt(9, 1), MaxNewTokens: 200, Emit: func(int32) {
		if n++; n == 5 {
			cancel()
		}
	}})
	if err != context.Canceled || len(out.IDs) != 5 {
		t.Fatalf("%v, %d tokens", err, len(out.IDs))
	}
	again, kept, err := thread.Continue(t.Context(), Request{Prompt: slices.Concat(prompt(9, 1), out.IDs), MaxNewTokens: 5})
	if err != nil || kept != 13 || len(again.IDs) != 5 {
		t.Errorf("%v, %d kept, want 13", err, kept)
	}
}

func TestWhatReadingTakesIsKnown(t *testing.T) {
	m := smallModel(t)
	m.UseHalf()
	g := NewGenerator(m)
	for _, tokens := range []int{300, 900, 1500, 40, 2000} {
		s := g.newSlot(&text{}, tokens)
		g.prefill(s, prompt(tokens, 1))
		g.step([]*slot{s, s, s})
		s.free()
	}
	got := int64(2*len(g.rounded) + 4*len(g.scores))
	for _, b := range g.memory {
		for _, c := range b.chunks {
			got += int64(4 * len(c))
		}
	}
	g.free()
	if want := m.ReadingBytes(2000, 3); got > want*5/4 || got < want/2 {
		t.Errorf("reading 2,000 tokens takes %d bytes, want about %d", got, want)
	}
	if got, want := m.KeysBytes(10), int64(10*2*2*2*2*32); got != want {
		t.Errorf("keys and values of 10 tokens take %d bytes, want %d", got, want)
	}
}

func TestAPromptIsNotReadForNobody(t *testing.T) {
	m := smallModel(t)
	gone, asked := true, 0
	request := Request{Prompt: prompt(100, 1), MaxNewTokens: 3, Enough: func() bool { return gone }}
	var got [3]Generated
	waiting := 0
	err := NewGenerator(m).Serve(t.Context(), 1, func(bool) *Guest {
		i := waiting
		if waiting++; i == len(got) {
			return nil
		}
		if i == 2 {
			gone = false
		}
		return &Guest{Request: request, Again: i == 0, Ended: func(g Generated, _ error) { got[i], asked = g, asked+1 }}
	})
	want, err2 := NewGenerator(m).Generate(t.Context(), []Request{{Prompt: request.Prompt, MaxNewTokens: 3}}, 1)
	if err != nil || err2 != nil || asked != 3 {
		t.Fatal(err, err2, asked)
	}
	if len(got[0].IDs) > 1 || got[0].Stop == StopLength || !slices.Equal(got[2].IDs, want[0].IDs) {
		t.Errorf("%v of texts that nobody wants, and then %v, want %v", got[:2], got[2], want[0])
	}
}
