package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"lwtrain/data"
)

// hostile is text that would run, load or close something if it got out.
const hostile = `</style></svg></title></table><script>alert(1)</script>` +
	`<img src=//x.example onerror=alert(2)>"' onload=alert(3) {{.}} javascript:alert(4)`

// hostileStats is statistics with that text wherever data may put text.
func hostileStats(t *testing.T) *data.Stats {
	t.Helper()
	c := data.TextStats{
		SourceStats: data.SourceStats{Name: hostile, Path: hostile, Samples: 3, Tokens: 9, Dropped: map[string]int{hostile: 2},
			Unread: map[string]int{hostile: 4}},
		LossShare:  map[string]float64{hostile: 0.5, "token": 1},
		Lengths:    data.AllLengths{OutputWords: data.Lengths{Histogram: []int64{1, 0, 2}}},
		Buckets:    []data.Bucket{{Name: hostile, Samples: 3}},
		Languages:  map[string]int{hostile: 1, "en": 2},
		Suspicious: map[string]data.Suspects{hostile: {Samples: 1, Examples: []string{hostile}}},
		Required:   data.Required{Samples: 1, Points: []data.Point{{Required: 100, Real: 90}}},
		Longest:    []data.Longest{{Origin: hostile, Source: hostile, Words: 5}},
	}
	other := data.TextStats{SourceStats: data.SourceStats{Name: hostile + "2"}}
	return &data.Stats{Format: 1, TooLong: hostile, Weighting: hostile, Sources: []data.TextStats{c, other}, Mix: c}
}

// mustBeInert fails where a page does or loads something.
func mustBeInert(t *testing.T, page string) {
	t.Helper()
	for _, bad := range []string{"<script", "<img", "<link", "<iframe", "<object", "url(", "@import", "http-equiv=\"refresh\""} {
		if strings.Contains(strings.ToLower(page), bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	bare := regexp.MustCompile(`"[^"]*"`).ReplaceAllString(page, `""`) // what stands in quotes is escaped
	if m := regexp.MustCompile(`<[a-zA-Z][^>]*\s(on[a-z]+|src|href|xlink:href)=`).FindString(bare); m != "" {
		t.Errorf("the page has %q", m)
	}
	if !strings.Contains(page, `content="default-src 'none'; style-src 'unsafe-inline'"`) {
		t.Error("the page has no policy against scripts and requests")
	}
	for _, svg := range regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(page, -1) {
		for d := xml.NewDecoder(strings.NewReader(svg)); ; {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("a plot is no well-formed XML: %v\n%.300s", err, svg)
			}
		}
		if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Errorf("a plot has coordinates that are no numbers: %.300s", svg)
		}
	}
	if n := strings.Count(page, "</svg>"); n == 0 || n != strings.Count(page, "<svg") {
		t.Errorf("%d ends of plots and %d beginnings", n, strings.Count(page, "<svg"))
	}
}

func TestTheDataPageShowsHostileTextAsText(t *testing.T) {
	var b bytes.Buffer
	s := hostileStats(t)
	if err := WriteStats(&b, StatsPage{Name: hostile, Stats: s, Other: hostileStats(t), OtherName: hostile}); err != nil {
		t.Fatal(err)
	}
	mustBeInert(t, b.String())
	if !strings.Contains(b.String(), "&lt;script&gt;alert(1)") {
		t.Error("the text itself is not there")
	}
}

func TestTheDataPageNeedsNoSamples(t *testing.T) {
	var b bytes.Buffer
	empty := &data.Stats{Format: 1, Mix: data.TextStats{SourceStats: data.SourceStats{Name: "mix"}}}
	if err := WriteStats(&b, StatsPage{Name: "empty", Stats: empty, Other: empty}); err != nil {
		t.Fatal(err)
	}
	mustBeInert(t, b.String())
}

func runFolder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestTheRunPageShowsHostileTextAsText(t *testing.T) {
	quoted, err := json.Marshal(hostile)
	if err != nil {
		t.Fatal(err)
	}
	stats, err := json.Marshal(hostileStats(t))
	if err != nil {
		t.Fatal(err)
	}
	stats = bytes.Replace(stats, append([]byte(`"mix":{"name":`), quoted...), []byte(`"mix":{"name":"mix"`), 1)
	q := string(quoted)
	dir := runFolder(t, map[string]string{
		"metrics.jsonl": `{"step":0,"eval_loss":3,"eval_loss/` + q[1:] + `:3,"eval_loss/b":1}` + "\n" +
			`{"step":1,"loss":2.5,"token_loss":2.4,"tokens":10,"tokens_per_second":5,` + q + `:1}` + "\n",
		"config.yaml": "model:\n  path: " + hostile + "  # " + hostile + "\n",
		"answers.json": `[{"origin":` + q + `,"prompt":` + q + `,"reference":{"text":` + q + `,"words":1,"stop":` + q + `},` +
			`"before":{"text":` + q + `},"after":{"text":` + q + `,"stop":"length"}}]`,
		"data.json": string(stats),
	})
	r, err := ReadRun(dir)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := WriteRun(&b, r); err != nil {
		t.Fatal(err)
	}
	mustBeInert(t, b.String())
	if n := strings.Count(b.String(), "&lt;script&gt;alert(1)"); n < 8 {
		t.Errorf("the text is there %d times", n)
	}
}

func TestARunIsReadWhileItGoesOn(t *testing.T) {
	dir := runFolder(t, map[string]string{"metrics.jsonl": `{"step":0,"eval_loss":3}
{"step":1,"loss":null,"grad_norm":2}
{"step":2,"loss":1.5}
{"step":3,"lo`})
	r, err := ReadRun(dir)
	if err != nil {
		t.Fatal(err)
	}
	if c := r.Series["loss"]; len(c.Step) != 1 || c.Step[0] != 2 || c.Value[0] != 1.5 || r.Data != nil || r.Answers != nil {
		t.Errorf("%+v", r)
	}
	var b bytes.Buffer
	if err := WriteRun(&b, r); err != nil {
		t.Fatal(err)
	}
	mustBeInert(t, b.String())
}

func TestARunFolderThatIsNoneIsNamed(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		says  string
	}{
		{"no metrics", nil, "metrics.jsonl: no such file"},
		{"a broken line", map[string]string{"metrics.jsonl": "{\"step\":1}\n{]\n"}, "metrics.jsonl:2: "},
		{"a line without a step", map[string]string{"metrics.jsonl": "{\"loss\":1}\n"}, "metrics.jsonl:1: no number as step"},
		{
			"a line that is too long", map[string]string{"metrics.jsonl": strings.Repeat("x", 2<<20) + "\n"},
			"metrics.jsonl:1: a line of more than",
		},
		{"broken answers", map[string]string{"metrics.jsonl": "{\"step\":1}\n", "answers.json": "["}, "answers.json:1: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := ReadRun(runFolder(t, c.files)); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %s", err, c.says)
			}
		})
	}
}

func TestLongCurvesAreDrawnAsMeansInABand(t *testing.T) {
	c := &Curve{}
	for i := range 10 * mostPoints {
		c.Step, c.Value = append(c.Step, float64(i)), append(c.Value, float64(i%10))
	}
	s := c.series("x")
	for i := range s.X {
		if s.Y[i] != 4.5 || s.Lo[i] != 0 || s.Hi[i] != 9 || s.X[i] != float64(10*i+9) {
			t.Fatalf("point %d: %v at %v, band %v to %v", i, s.Y[i], s.X[i], s.Lo[i], s.Hi[i])
		}
	}
	if len(s.X) != mostPoints {
		t.Errorf("%d points, want %d", len(s.X), mostPoints)
	}
}

func TestAxesHaveRoundEndsAroundTheData(t *testing.T) {
	for _, c := range []struct {
		name     string
		axis     axis
		fromZero bool
		values   []float64
		min, max float64
	}{
		{"from the data", axis{}, false, []float64{2.45, 3.55}, 2, 4},
		{"from zero", axis{}, true, []float64{3, 97}, 0, 100},
		{"one value", axis{}, false, []float64{4}, 3.6, 4.4},
		{"only zero", axis{}, false, []float64{0}, 0, 1},
		{"no value", axis{}, false, nil, 0, 1},
		{"values that are none", axis{}, false, []float64{math.NaN(), math.Inf(1), 1, 2}, 1, 2},
		{"decades", axis{Log: true}, false, []float64{20, 4000}, 10, 10000},
		{"one decade", axis{Log: true}, false, []float64{100}, 100, 1000},
		{"set by hand", axis{Min: 3, Max: 5}, true, []float64{100}, 3, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := c.axis
			a.fit(c.fromZero, c.values)
			if math.Abs(a.Min-c.min) > 1e-6 || math.Abs(a.Max-c.max) > 1e-6 || a.Min >= a.Max {
				t.Errorf("from %v to %v, want %v to %v", a.Min, a.Max, c.min, c.max)
			}
			if n := len(a.ticks()); n < 2 || n > 12 {
				t.Errorf("%d ticks: %v", n, a.ticks())
			}
		})
	}
}

func TestNumbersAreShortOnAxes(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 1: "1", 0.5: "0.5", 1e-5: "1e-5", 2.5e-4: "2.5e-4",
		1000: "1k", 1500: "1.5k", 20000: "20k", -2000: "-2k", 999999: "1M", 2.5e9: "2.5G",
	} {
		if got := short(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
}

func TestTwoVersionsAreComparedSourceBySource(t *testing.T) {
	one := func(name string, samples int) data.TextStats {
		return data.TextStats{SourceStats: data.SourceStats{Name: name, Samples: samples, Dropped: map[string]int{}}}
	}
	now := &data.Stats{Sources: []data.TextStats{one("a", 110), one("new", 5)}, Mix: one("mix", 115)}
	before := &data.Stats{Sources: []data.TextStats{one("a", 100), one("old", 15)}, Mix: one("mix", 115)}
	got := map[string]string{}
	for _, d := range Compare(now, before) {
		if d.Measure == "samples" {
			got[d.Source] = d.Now + " " + d.Before + " " + d.Change
		}
	}
	for source, want := range map[string]string{"mix": "115 115 =", "a": "110 100 +10.0 %", "new": "5 - new", "old": "- 15 gone"} {
		if got[source] != want {
			t.Errorf("%s: %q, want %q", source, got[source], want)
		}
	}
}

func TestTwoVersionsOfPairsAreComparedByPairs(t *testing.T) {
	pairs := func(n int, median int64) *data.Stats {
		side := data.Side{Answers: n, OutputWords: &data.Lengths{P50: median}}
		c := data.TextStats{SourceStats: data.SourceStats{Name: "mix", Samples: 2 * n, Pairs: n, Chosen: side, Rejected: side}}
		return &data.Stats{Mix: c}
	}
	got := map[string]string{}
	for _, d := range Compare(pairs(9, 20), pairs(6, 10)) {
		got[d.Measure] = d.Now + " " + d.Before + " " + d.Change
	}
	if got["pairs"] != "9 6 +50.0 %" || got["samples"] != "" || got["rejected words, median"] != "20 10 +100.0 %" {
		t.Errorf("%q", got)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestAPageThatCanNotBeWrittenIsAnError(t *testing.T) {
	if err := WriteStats(broken{}, StatsPage{Stats: hostileStats(t)}); err == nil {
		t.Error("no error")
	}
}
