package report

import (
	"bytes"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"lwtrain/data"
)

// color3 is a colour as linear red, green and blue.
type color3 [3]float64

// schemes are the colours of page.css by their names, for light and for dark.
func schemes(t *testing.T) map[string]map[string]color3 {
	t.Helper()
	css, err := files.ReadFile("page.css")
	if err != nil {
		t.Fatal(err)
	}
	light, rest, _ := strings.Cut(string(css), "@media(prefers-color-scheme:dark)")
	dark, _, _ := strings.Cut(rest, "}}")
	out := map[string]map[string]color3{}
	for name, texts := range map[string][]string{"light": {light}, "dark": {light, dark}} {
		out[name] = map[string]color3{}
		for _, text := range texts {
			for _, m := range regexp.MustCompile(`--(\w+):#(\w{6}|\w{3})\b`).FindAllStringSubmatch(text, -1) {
				hex := m[2]
				if len(hex) == 3 {
					hex = strings.Join([]string{hex[:1], hex[:1], hex[1:2], hex[1:2], hex[2:], hex[2:]}, "")
				}
				var c color3
				for i := range c {
					n, err := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
					if err != nil {
						t.Fatalf("%s: %v", m[0], err)
					}
					if v := float64(n) / 255; v <= 0.04045 {
						c[i] = v / 12.92
					} else {
						c[i] = math.Pow((v+0.055)/1.055, 2.4)
					}
				}
				out[name][m[1]] = c
			}
		}
	}
	return out
}

// contrast is that of WCAG 2.
func contrast(a, b color3) float64 {
	luminance := func(c color3) float64 { return 0.2126*c[0] + 0.7152*c[1] + 0.0722*c[2] + 0.05 }
	return max(luminance(a)/luminance(b), luminance(b)/luminance(a))
}

func TestTextHasContrastInBothSchemes(t *testing.T) {
	for scheme, colors := range schemes(t) {
		pairs := [][2]string{{"ink", "bg"}, {"ink", "card"}, {"dim", "bg"}, {"dim", "card"}, {"bad", "card"}}
		for i := range 6 {
			pairs = append(pairs, [2]string{"on", fmt.Sprint("c", i)})
		}
		for i := range 5 {
			pairs = append(pairs, [2]string{fmt.Sprint("tr", i), fmt.Sprint("r", i)})
		}
		for _, p := range pairs {
			if got := contrast(colors[p[0]], colors[p[1]]); got < 4.5 {
				t.Errorf("%s: %s on %s has a contrast of %.2f, want 4.5", scheme, p[0], p[1], got)
			}
		}
	}
}

// TestColoursAreToldApartByTheColourBlind holds the distance of any two colours of lines in
// CIELAB, as people with each kind of colour blindness see them: by the matrices of Machado
// et al. 2009 (10.1109/TVCG.2009.113) for the full loss of a cone.
func TestColoursAreToldApartByTheColourBlind(t *testing.T) {
	apply := func(m [3][3]float64, c color3) (out color3) {
		for i, row := range m {
			out[i] = min(max(row[0]*c[0]+row[1]*c[1]+row[2]*c[2], 0), 1)
		}
		return out
	}
	lab := func(c color3) color3 {
		xyz := apply([3][3]float64{{.4339, .3762, .1899}, {.2126, .7152, .0722}, {.0177, .1094, .8729}}, c)
		for i, v := range xyz {
			xyz[i] = math.Cbrt(v)
		}
		return color3{116*xyz[1] - 16, 500 * (xyz[0] - xyz[1]), 200 * (xyz[1] - xyz[2])}
	}
	for kind, m := range map[string][3][3]float64{
		"all cones":    {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
		"protanopia":   {{.152286, 1.052583, -.204868}, {.114503, .786281, .099216}, {-.003882, -.048116, 1.051998}},
		"deuteranopia": {{.367322, .860646, -.227968}, {.280085, .672501, .047413}, {-.011820, .042940, .968881}},
		"tritanopia":   {{1.255528, -.076749, -.178779}, {-.078411, .930809, .147602}, {.004733, .691367, .303900}},
	} {
		for scheme, colors := range schemes(t) {
			for i := range 6 {
				for j := range i {
					a, b := lab(apply(m, colors[fmt.Sprint("c", i)])), lab(apply(m, colors[fmt.Sprint("c", j)]))
					if d := math.Hypot(math.Hypot(a[0]-b[0], a[1]-b[1]), a[2]-b[2]); d < 15 {
						t.Errorf("%s, %s: colours %d and %d are %.1f apart, want 15", kind, scheme, j, i, d)
					}
				}
			}
		}
	}
}

// page is the page of a run with these files.
func page(t *testing.T, files map[string]string) string {
	t.Helper()
	r, err := ReadRun(runFolder(t, files))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := WriteRun(&b, r); err != nil {
		t.Fatal(err)
	}
	mustBeInert(t, b.String())
	return b.String()
}

// cardOf is a figure of a page by its title.
func cardOf(t *testing.T, page, title string) string {
	t.Helper()
	_, from, ok := strings.Cut(page, "<h3>"+title+"</h3>")
	if !ok {
		t.Fatalf("no card has the title %q", title)
	}
	card, _, _ := strings.Cut(from, "</figure>")
	return card
}

// texts are those of a class in a card, in their order.
func texts(card, class string) string {
	var out []string
	for _, m := range regexp.MustCompile(`class="`+class+`">([^<]*)<`).FindAllStringSubmatch(card, -1) {
		out = append(out, m[1])
	}
	return strings.Join(out, " ")
}

const pairMetrics = `{"step":0,"eval_loss":0.6931,"eval_rewards/accuracies":0,"eval_rewards/ties":1,"eval_rewards/margins":0,` +
	`"eval_rewards/chosen":0,"eval_rewards/rejected":0,"eval_lengths/chosen":80,"eval_lengths/rejected":60,"eval_kl":0,"elapsed_seconds":2}
{"step":1,"loss":0.6931,"token_loss":3,"rewards/accuracies":0.5,"rewards/ties":0,"rewards/margins":1e-9,"rewards/chosen":1e-9,` +
	`"rewards/rejected":0,"lengths/chosen":70,"lengths/rejected":50,"kl":0,"learning_rate":0,"tokens":1200,"tokens_per_second":600,` +
	`"time":"2026-02-03T04:05:06Z","elapsed_seconds":65}
`

func TestPreferencesHaveFourCardsOfWhatIsTrainedOnAndHeldOut(t *testing.T) {
	p := page(t, map[string]string{"metrics.jsonl": pairMetrics})
	for title, c := range map[string]struct {
		legend string
		lines  int
	}{
		"Loss":               {"training held out", 2},
		"Accuracy, and ties": {"accurate, training accurate, held out ties, training ties, held out", 4},
		"Rewards and margin": {"chosen, training chosen, held out rejected, training rejected, held out " +
			"margin, training margin, held out", 6},
		"Lengths of the answers": {"chosen, training chosen, held out rejected, training rejected, held out", 4},
	} {
		card := cardOf(t, p, title)
		_, legend, _ := strings.Cut(card, `<ul class="legend">`)
		names := regexp.MustCompile(`</svg>([^<]+)</li>`).FindAllStringSubmatch(legend, -1)
		dashes := map[string]bool{}
		var got []string
		for i, m := range regexp.MustCompile(`class="line (s\d d\d)" d="M0 6`).FindAllStringSubmatch(legend, -1) {
			dashes[m[1][3:]] = true
			got = append(got, names[i][1])
		}
		if strings.Join(got, " ") != c.legend || len(dashes) != c.lines {
			t.Errorf("%s: the legend has %q and %d kinds of dashes, want %q and %d", title, got, len(dashes), c.legend, c.lines)
		}
	}
	for _, tile := range []string{
		"<b>0.000</b><span>held-out accuracy</span>", "<b>0.000</b><span>held-out margin</span>",
		"<b>1m05s</b><span>until the last step</span>",
		"<b>3 Feb</b><span>2026, begun at 04:05 UTC</span>", "<b>0.6931</b><span>held-out loss, step 0</span>",
	} {
		if !strings.Contains(p, tile) {
			t.Errorf("there is no tile %s", tile)
		}
	}
}

func TestAxesOfAFewStepsHaveWholeStepsAndNumbersOfOneKind(t *testing.T) {
	p := page(t, map[string]string{"metrics.jsonl": pairMetrics})
	for title, want := range map[string][2]string{ // the last number under a plot ends where it does, as those beside it
		"Rewards and margin": {"0 5e-4 1e-3 1", "0"},
		"Learning rate":      {"0 0.5 1 1", "0"},
		"Accuracy, and ties": {"0 0.5 1 1", "0"},
	} {
		card := cardOf(t, p, title)
		if got := [2]string{texts(card, "tick end"), texts(card, "tick mid")}; got != want {
			t.Errorf("%s: %q, want %q", title, got, want)
		}
	}
}

func TestTheBestHeldOutLossIsTheLastOnlyWhereItIs(t *testing.T) {
	for name, c := range map[string]struct {
		losses []float64
		want   string
	}{
		"one evaluation":       {[]float64{3}, "3.0000 held-out loss, step 0"},
		"the last is the best": {[]float64{3, 2}, "3.0000 held-out loss, before; 2.0000 best held-out loss, step 1, the last"},
		"one between them is the best": {[]float64{3, 1, 2},
			"3.0000 held-out loss, before; 1.0000 best held-out loss, step 1; 2.0000 held-out loss, last"},
		"nothing changed: it was first": {[]float64{3, 3},
			"3.0000 held-out loss, before; 3.0000 best held-out loss, step 0; 3.0000 held-out loss, last"},
	} {
		eval := &Curve{}
		for i, v := range c.losses {
			eval.Step, eval.Value = append(eval.Step, float64(i)), append(eval.Value, v)
		}
		var tiles []string
		for _, tile := range (&Run{}).heldOutTiles(eval) {
			tiles = append(tiles, tile.Value+" "+tile.Label)
		}
		if got := strings.Join(tiles, "; "); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestTheLossHasTokensAndTimeUnderItsSteps(t *testing.T) {
	card := cardOf(t, page(t, map[string]string{"metrics.jsonl": pairMetrics}), "Loss")
	if got := texts(card, "tick mid") + " | " + texts(card, "tick end"); !strings.HasPrefix(got, "0 0 2s ") ||
		!strings.Contains(got, " 1 1.2k 1m05s") {
		t.Errorf("under the axis stand %q, want step, tokens and time of steps 0 and 1", got)
	}
}

func TestABarThatIsTooLowAndTheLongestOfAllAreSeen(t *testing.T) {
	counts := make([]int64, 20)
	counts[8], counts[19] = 100_000, 1
	plot := string(histogram(plot{}, counts, 1234, nil, ""))
	for _, m := range regexp.MustCompile(`<rect [^>]*height="([\d.]+)"`).FindAllStringSubmatch(plot, -1) {
		if high, _ := strconv.ParseFloat(m[1], 64); high < 3 {
			t.Errorf("a bar is %v high, want at least 3", high)
		}
	}
	if strings.Count(plot, "<rect") != 2 || !strings.Contains(plot, ">longest 1,234<") {
		t.Errorf("two bars and the longest are to be there: %s", plot)
	}
}

func TestAnswersSayWhereTheyAreCutAndFoldWhatIsLong(t *testing.T) {
	long := strings.Repeat("word ", 400)
	p := page(t, map[string]string{
		"metrics.jsonl": "{\"step\":1,\"loss\":2}\n",
		"answers.json": `[{"prompt":"q","before":{"text":"short","words":1,"stop":"length","repeated":0.25},` +
			`"after":{"text":"` + long + `","words":400,"stop":"eos"},"reference":{"text":"\n\n","words":0,"stop":"data"}}]`,
	})
	for what, want := range map[string]string{
		"how much repeats itself, and that it is cut": "1 word, 25 % of them in phrases that came before, cut off at sample.max_new_tokens",
		"where it is cut":       `<div class="text">short</div><p class="note end">Cut off here`,
		"how much is folded":    "<details><summary>It goes on: 160 more words</summary>",
		"that there is no text": "0 words, nothing but blanks",
	} {
		if !strings.Contains(p, want) {
			t.Errorf("the page does not say %s: %s", what, want)
		}
	}
	for text, shownBytes := range map[string]int{long: 1199, strings.Repeat("字", 800): 1200, strings.Repeat("\n", 100) + "x": 39, "x": 1} {
		a := Answered{Text: text}
		if got := len(a.Start()); got != shownBytes || strings.TrimSpace(a.Start()+a.Rest()) == "" {
			t.Errorf("%.10q...: %d bytes are shown, want %d", text, got, shownBytes)
		}
	}
}

func TestSettingsThatWereChosenComeFirstAndThoseOfOtherCommandsNotAtAll(t *testing.T) {
	config := `# The resolved configuration
model:
  path: m  # my.yaml:2
data:
  sources:  # my.yaml:4
    - {name: a, path: "x  # y"}  # my.yaml:5
    - {name: b}
packing:
  strategy: best_fit  # recipe tiny:3
train:
  max_steps: 16  # argument
  seed: 1  # default
dpo:
  beta: 0.1  # recipe tiny:9
pairs:
  judge:
    url: ""  # my.yaml:9
`
	own := []string{"model.path", "data.sources[0]", "data.sources[1]", "train.max_steps"}
	for name, c := range map[string]struct {
		metrics string
		want    []string
	}{
		"conversations": {"{\"step\":1,\"loss\":2}\n", append(own[:4:4], "packing.strategy")},
		"preferences":   {pairMetrics, append(own[:4:4], "dpo.beta")},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := ReadRun(runFolder(t, map[string]string{"metrics.jsonl": c.metrics, "config.yaml": config}))
			if err != nil {
				t.Fatal(err)
			}
			v := r.settingsView()
			var got []string
			for _, row := range v.Chosen.Rows {
				got = append(got, row.Cells[0])
			}
			if strings.Join(got, " ") != strings.Join(c.want, " ") {
				t.Errorf("%q, want %q", got, c.want)
			}
			if rows := v.Defaults.Rows; len(rows) != 1 || rows[0].Cells[0] != "train.seed" {
				t.Errorf("by default: %v", rows)
			}
			if at := v.Chosen.Rows[1].Cells; at[1] != `{name: a, path: "x  # y"}` || v.Chosen.Rows[2].Cells[2] != "my.yaml:4" {
				t.Errorf("a source is %q", at)
			}
		})
	}
}

func TestThePageOfPairsHasBothSidesAndNoWeightings(t *testing.T) {
	side := data.Side{Answers: 3, Words: 30, TargetTokens: 45, OutputWords: &data.Lengths{P50: 9, Max: 14, Histogram: []int64{0, 3}},
		Required: &data.Required{Samples: 1, Score: 77.7}}
	c := data.TextStats{SourceStats: data.SourceStats{
		Name: "a", Samples: 6, Pairs: 3, HeldOut: 2, Pieces: 6, Tokens: 90, TargetTokens: 90, Chosen: side, Rejected: side,
		Dropped: map[string]int{"too_long": 2, "no_counterpart": 5},
	}, LossShare: map[string]float64{"token": 1}}
	var b bytes.Buffer
	if err := WriteStats(&b, StatsPage{Name: "p", Stats: &data.Stats{Format: 1, Sources: []data.TextStats{c}, Mix: c}}); err != nil {
		t.Fatal(err)
	}
	mustBeInert(t, b.String())
	for _, want := range []string{
		"<b>3</b><span>pairs</span>", "<b>2</b><span>pairs dropped</span>", "<th>pairs</th>", "<td>a</td><td>3</td><td>1</td>",
		"<td>chosen</td><td>3</td><td>30</td><td>9</td><td>14</td><td>45</td>", "<td>77.7</td>", "<h3>a: chosen answers, words</h3>",
		"<h3>a: rejected answers, tokens</h3>",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the page does not have %s", want)
		}
	}
	if strings.Contains(b.String(), "eighting") {
		t.Error("the page speaks of weightings")
	}
	c.Chosen, c.Rejected = data.Side{}, data.Side{} // as older statistics have it
	if u := UnitOf(&data.Stats{Mix: c}); u.Name != "pair" || u.Sides() != nil {
		t.Errorf("without sides the unit is %+v", u)
	}
}
