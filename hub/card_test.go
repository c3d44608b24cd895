package hub

import (
	"slices"
	"strings"
	"testing"

	"lwtrain/hub/hubtest"
	"lwtrain/internal/fault"
)

func TestTheCardOfADatasetSaysWhichFilesAreMeant(t *testing.T) {
	files := []string{"README.md", "data/train_sft-0.parquet", "data/train_gen-0.parquet", "data/test_sft-0.parquet",
		"en/a.jsonl", "en/deep/b.jsonl", "zh/a.jsonl", "raw.jsonl"}
	const one = "configs:\n- config_name: default\n  "
	for name, c := range map[string]struct {
		card string // its configs
		path string
		want string // or the error
	}{
		"no card":                {"", "", "picked"},
		"a card without configs": {"license: mit\n", "", "picked"},
		"a card that is no YAML": {"a: [\n", "", "picked"},
		"a pattern":              {one + "data_files: \"en/*.jsonl\"\n", "", "en/a.jsonl"},
		"a pattern of folders":   {one + "data_files: \"en/**\"\n", "", "en/a.jsonl en/deep/b.jsonl"},
		"folders in the middle":  {one + "data_files: [\"**/b.jsonl\", \"raw.jsonl\"]\n", "", "en/deep/b.jsonl raw.jsonl"},
		"splits": {
			one + "data_files:\n  - split: train\n    path: data/train_sft-*\n  - split: test\n    path: data/test_*\n", "",
			"data/train_sft-0.parquet",
		},
		"splits as a map": {one + "data_files: {train: [\"zh/*\"], test: \"en/*\"}\n", "", "zh/a.jsonl"},
		"two configs, one the default": {
			"configs:\n- config_name: en\n  data_files: \"en/*\"\n- config_name: zh\n  default: true\n  data_files: \"zh/*\"\n", "",
			"zh/a.jsonl",
		},
		"two configs, none the default": {
			"configs:\n- config_name: en\n  data_files: \"en/*\"\n- config_name: zh\n  data_files: \"zh/*\"\n", "",
			"error: it has the configs en, zh, and none of them is the default (name its files, such as hf://o/n/en/* for en)",
		},
		"no split for training": {
			one + "data_files:\n  - split: train_sft\n    path: data/train_sft-*\n  - split: test_sft\n    path: data/test_*\n", "",
			"error: its card names the splits train_sft, test_sft, and none is called train",
		},
		"files that are not there":    {one + "data_files: \"fr/*\"\n", "", "error: its card names fr/*, and no file is called so"},
		"a folder":                    {one + "data_dir: zh\n", "", "picked of zh/a.jsonl"},
		"a folder and files in it":    {one + "data_dir: en\n  data_files: \"*.jsonl\"\n", "", "en/a.jsonl"},
		"what a reference names wins": {one + "data_files: \"en/*\"\n", "zh/a.jsonl", "zh/a.jsonl"},
		"a pattern that leads out":    {one + "data_files: \"../../*\"\n", "", "error: its card names ../../*, and no file is called so"},
	} {
		t.Run(name, func(t *testing.T) {
			h, cl := newHub(t)
			repo := hubtest.Repo{}
			for _, f := range files {
				repo[f] = strings.Repeat(f, 200)
			}
			delete(repo, "README.md")
			if c.card != "" {
				repo["README.md"] = "---\n" + c.card + "---\n# A dataset\n" + strings.Repeat("text ", 500)
			}
			h.Datasets["o/n"] = repo
			picked := ""
			want := Files(func(names []string) ([]string, error) {
				if picked = "picked"; len(names) < 3 {
					picked += " of " + strings.Join(names, " ")
				}
				return names[len(names)-1:], nil
			})
			r := Ref{Kind: Dataset, Repo: "o/n", Revision: "main", Path: c.path}
			s, err := cl.Get(t.Context(), r, want, nil)
			got := ""
			switch {
			case err != nil && fault.IsUsage(err):
				got = "error: " + strings.TrimPrefix(err.Error(), r.String()+": ")
				if strings.Contains(c.want, "(") {
					got += " (" + fault.HintOf(err) + ")"
				}
			case err != nil:
				t.Fatal(err)
			case picked != "":
				got = picked
			default:
				got = strings.TrimPrefix(strings.Join(paths(s), " "), "README.md ")
			}
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if err != nil {
				return
			}
			h.Forget()
			again, err := cl.Get(t.Context(), r, want, nil)
			if err != nil || !slices.Equal(paths(again), paths(s)) || len(h.Asked()) > 0 {
				t.Errorf("the second time: %v, %v", err, h.Asked())
			}
		})
	}
}
