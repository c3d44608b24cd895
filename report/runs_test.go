package report

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// someRuns are three runs, of which one is of pairs.
func someRuns(t *testing.T) []*Run {
	t.Helper()
	var runs []*Run
	for i, more := range []string{"", "", `,"rewards/margins":0.5,"rewards/accuracies":0.75`} {
		var metrics strings.Builder
		for step := 0; step <= 400*(i+1); step += 200 {
			fmt.Fprintf(&metrics, `{"step":%d,"eval_loss":%d.5,"elapsed_seconds":%d}`+"\n", step, 9-(step/200)%3, step)
		}
		for step := 1; step <= 400*(i+1); step++ {
			fmt.Fprintf(&metrics, `{"step":%d,"loss":%g,"tokens":10,"tokens_per_second":20,"elapsed_seconds":%d%s}`+"\n",
				step, 8-0.001*float64(step), step, more)
		}
		r, err := ReadRun(runFolder(t, map[string]string{
			"metrics.jsonl": metrics.String(),
			"run.json":      fmt.Sprintf(`{"model":"<script>%d","steps":800,"finished":{"a":"b"}}`, i),
			"config.yaml": fmt.Sprintf("train:\n  learning_rate: %d  # argument\n  max_steps: 800  # default\n"+
				"seed: \"<script>\"  # default\noutput:\n  dir: %d  # argument\n%s",
				i, i, strings.Repeat("lora:\n  rank: 8  # argument\n", i/2)),
		}))
		if err != nil {
			t.Fatal(err)
		}
		runs = append(runs, r)
	}
	return runs
}

func TestRunsSideBySide(t *testing.T) {
	runs := someRuns(t)
	c, err := CompareRuns(runs)
	if err != nil {
		t.Fatal(err)
	}
	var settings []string
	for _, s := range c.Settings {
		settings = append(settings, s.Key+" "+strings.Join(s.Values, "|"))
	}
	if want := []string{"lora.rank ||8", "train.learning_rate 0|1|2"}; !slices.Equal(settings, want) {
		t.Errorf("settings that differ: %q, want %q", settings, want)
	}
	want := []string{
		"steps 400 800 1,200", "loss, last step 7.6000 7.2000 6.8000", "held-out loss, last 7.5000 8.5000 9.5000",
		"held-out loss, best 7.5000 7.5000 7.5000", "at step 400 400 400", "tokens trained on 4k 8k 12k",
	}
	var got []string
	for _, row := range c.Table() {
		got = append(got, strings.Join(row, " "))
	}
	if len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
		t.Errorf("rows %q, want %q", got, want)
	}
	if len(c.Notes) != 1 || !strings.Contains(c.Notes[0], "different kinds") {
		t.Errorf("notes %q", c.Notes)
	}
	var page bytes.Buffer
	if err := WriteRuns(&page, c); err != nil {
		t.Fatal(err)
	}
	text := page.String()
	if strings.Contains(text, "<script") || strings.Count(text, "&lt;script&gt;") != 3 {
		t.Errorf("the page has a script, or not the %d names that look like one: %d", 3, strings.Count(text, "&lt;script&gt;"))
	}
	for _, title := range []string{
		"nats a token, loss a pair", "Loss</h3>", "Held-out loss</h3>", "Loss, by tokens trained on</h3>", "Settings that differ",
		"300 stretches",
	} {
		if !strings.Contains(text, title) {
			t.Errorf("the page has no %q", title)
		}
	}
	if n := strings.Count(text, `class="band`); n > 0 {
		t.Errorf("%d bands hide each other", n)
	}
}

func TestNamesOfRunsTellThemApart(t *testing.T) {
	for _, c := range []struct{ dirs, want []string }{
		{[]string{"runs/a", "runs/b/"}, []string{"a", "b"}},
		{[]string{"/x/one/sft", "/x/two/sft"}, []string{"one/sft", "two/sft"}},
		{[]string{"/x/a", "/x/a/"}, []string{"x/a", "x/a"}},
	} {
		var runs []*Run
		for _, dir := range c.dirs {
			runs = append(runs, &Run{Dir: dir})
		}
		if got := namesOf(runs); !slices.Equal(got, c.want) {
			t.Errorf("%q are %q, want %q", c.dirs, got, c.want)
		}
	}
	if _, err := CompareRuns(make([]*Run, 1)); err == nil || !strings.Contains(err.Error(), "1 run to compare, want 2 to 12") {
		t.Errorf("one run: %v", err)
	}
}
