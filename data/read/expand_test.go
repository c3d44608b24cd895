package read

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lwtrain/internal/fault"
	"lwtrain/internal/testfile"
)

// tree writes files below a new folder: name=content, or a name alone for a file of a line.
func tree(t *testing.T, files string) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range strings.Fields(files) {
		name, content, _ := strings.Cut(f, "=")
		if content == "" {
			content = "{}"
		}
		testfile.Put(t, filepath.Join(dir, name), content)
	}
	return dir
}

func state(names ...string) string {
	var list []string
	for _, n := range names {
		list = append(list, fmt.Sprintf(`{"filename":%q}`, n))
	}
	return `{"_data_files":[` + strings.Join(list, ",") + `],"_fingerprint":"x"}`
}

func TestWhatAFolderOrAGlobStandsFor(t *testing.T) {
	one, two := "data-00000-of-00002.arrow", "data-00001-of-00002.arrow"
	saved := "state.json=" + state(one, two) + " dataset_info.json=x " + one + " " + two
	for _, c := range []struct{ name, files, path, want, note string }{
		{"a saved dataset is what its list names", saved + " cache-0123456789abcdef.arrow tmpab12cd34.arrow other.arrow README.md",
			"", one + " " + two, "left out not in the list of a saved dataset: other.arrow"},
		{"a saved dataset in a folder", "a.jsonl x/state.json=" + state("a.arrow") +
			" x/a.arrow x/cache-0123456789abcdef.arrow x/b.arrow",
			"x", "x/a.arrow", "left out not in the list of a saved dataset: b.arrow"},
		{"folders of saved datasets", "x/state.json=" + state("a.arrow") + " x/a.arrow x/b.arrow" +
			" y/b.arrow y/cache-0123456789abcdef.arrow", "", "x/a.arrow y/b.arrow",
			"left out not in the list of a saved dataset: x/b.arrow"},
		{"the training split of several", `dataset_dict.json={"splits":["test","train"]} train/state.json=` + state(one, two) +
			" train/" + one + " train/" + two +
			" test/state.json=" + state(one) + " test/" + one, "", "train/" + one + " train/" + two,
			"the split train is taken, of test, train"},
		{"the one split that is there", `dataset_dict.json={"splits":["sft"]} sft/state.json=` + state("a.arrow") + " sft/a.arrow", "",
			"sft/a.arrow", ""},
		{"one split that speaks of training", `dataset_dict.json={"splits":["test_sft","train_sft"]} train_sft/a.arrow` +
			" test_sft/" + one, "",
			"train_sft/a.arrow", "the split train_sft is taken, of test_sft, train_sft"},
		{"caches, locks and halves of downloads are no data",
			"a.arrow cache-0123456789abcdef.arrow cache-0123456789abcdef_00000_of_00002.arrow b.arrow.lock " +
				"c.arrow.incomplete .hidden.arrow .cache/huggingface/x.arrow dataset_infos.json indices.arrow", "", "a.arrow", ""},
		{"nor in a glob", "a.arrow cache-0123456789abcdef.arrow .hidden.arrow a.arrow.lock README.md dataset_info.json LICENSE",
			"*", "a.arrow",
			"left out no data by their names: .hidden.arrow, LICENSE, README.md, a.arrow.lock, cache-0123456789abcdef.arrow, " +
				"dataset_info.json"},
		{"what is in no format is said", "a.jsonl b.txt c.xlsx d.JSONL.bak README.md", "", "a.jsonl",
			"left out in no format of data: b.txt, c.xlsx, d.JSONL.bak"},
		{"many that are left out are counted", "a.jsonl 1.txt 2.txt 3.txt 4.txt 5.txt 6.txt 7.txt 8.txt", "", "a.jsonl",
			"left out in no format of data: 1.txt, 2.txt, 3.txt, 4.txt, 5.txt, 6.txt and 2 more"},
		{"a series from 0", "x-0-of-2.jsonl x-1-of-2.jsonl", "", "x-0-of-2.jsonl x-1-of-2.jsonl", ""},
		{"a series from 1", "x-1-of-2.jsonl x-2-of-2.jsonl", "", "x-1-of-2.jsonl x-2-of-2.jsonl", ""},
		{"a series with hashes", "x-0-of-2-0123456789abcdef.jsonl x-1-of-2-fedcba9876543210.jsonl", "",
			"x-0-of-2-0123456789abcdef.jsonl x-1-of-2-fedcba9876543210.jsonl", ""},
		{"a glob takes what it says of a series", "x-0-of-3.jsonl x-1-of-3.jsonl x-2-of-3.jsonl", "x-[01]*",
			"x-0-of-3.jsonl x-1-of-3.jsonl", ""},
		{"what a run writes is no data", "a.jsonl run.json metrics.jsonl answers.json best.json checkpoints/step-000002/tokenizer.json " +
			"checkpoints/step-000002/vocab.json cache/pace.json cache/a-1/manifest.json cache/a-1/facts.bin " +
			"cache/a-1/samples-00000.arrow", "", "a.jsonl", ""},
		{"nor in a glob", "a.jsonl run.json metrics.jsonl", "*.jsonl", "a.jsonl", ""},
		{"metrics without a run are as any other", "a.jsonl metrics.jsonl", "", "a.jsonl metrics.jsonl", ""},
		{"CSV in folders", "a.csv b.csv.gz notes.md", "", "a.csv b.csv.gz", ""},
		{"what is left out is said", "a.jsonl b.jsonl c.parquet test.jsonl", "", "a.jsonl b.jsonl",
			"left out by their names: c.parquet, test.jsonl"},
		{"** stands for folders in folders", "a.jsonl x/b.jsonl x/y/c.jsonl x/y/d.txt .git/e.jsonl", "**/*.jsonl",
			"a.jsonl x/b.jsonl x/y/c.jsonl", ""},
		{"** in the middle", "x/a.jsonl x/train/b.jsonl x/y/train/c.jsonl", "x/**/train/*.jsonl", "x/train/b.jsonl x/y/train/c.jsonl", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := tree(t, c.files)
			files, note, err := Expand(filepath.Join(dir, c.path))
			var got []string
			for _, f := range files {
				name, _ := filepath.Rel(dir, f.Path)
				got = append(got, name)
			}
			if err != nil || !slices.Equal(got, strings.Fields(c.want)) || note != c.note {
				t.Errorf("got %q, note %q, %v; want %s, note %q", got, note, err, c.want, c.note)
			}
		})
	}
}

func TestFoldersThatAreNotRightAreNamed(t *testing.T) {
	for _, c := range []struct{ name, files, path, want, hint string }{
		{"a part is missing", "state.json=" + state("data.arrow"), "", "state.json: it names data.arrow, which is not there",
			"get it again"},
		{"a part elsewhere", "state.json=" + state("../data.arrow"), "",
			`it names the file "../data.arrow", want a name without a folder`, ""},
		{"no list", "state.json=[", "", "no list of a saved dataset: state.json:1: broken JSON", "save the dataset again"},
		{"a selection of " +
			"rows", `state.json={"_data_files":[{"filename":"a.arrow"}],"_indices_data_files":[{"filename":"i.arrow"}]} ` +
			`a.arrow i.arrow`, "",
			"state.json: a selection of the rows of its files", "flatten_indices()"},
		{"a part of a series is missing", "train-00000-of-00003.parquet train-00002-of-00003.parquet", "",
			"parts are missing: train-00001-of-00003.parquet", "paths: [a, b]"},
		{"the last part is missing, in a folder", "a.jsonl x/b-00001-of-00002.jsonl.gz", "",
			"parts are missing: x/b-00000-of-00002.jsonl.gz", ""},
		{"of a series from 1 parts are missing", "x-2-of-3.jsonl x-3-of-3.jsonl", "*.jsonl", "/x-1-of-3.jsonl", "get them again"},
		{"most of a long series is missing", "x-00000-of-99999.jsonl", "x*", "x-00006-of-99999.jsonl and 99992 more", ""},
		{"two splits to train on", `dataset_dict.json={"splits":["en","zh"]} en/a.arrow zh/a.arrow`, "",
			"the splits en, zh, want one to train on", "/en"},
		{"a split that is not there", `dataset_dict.json={"splits":["train"]}`, "", "the split train is not there", "name the folder"},
		{"a split elsewhere", `dataset_dict.json={"splits":["../train"]}`, "", "want a name without a folder", ""},
		{"caches alone", "cache-0123456789abcdef.arrow", "*.arrow", "no file of data matches, only", "name the file itself"},
		{"nothing matches", "a.jsonl", "*.parquet", "no file matches", "is there, and nothing in it looks alike"},
		{"braces", "a.jsonl b.jsonl", "{a,b}.json*", "no file matches", "name a list of paths"},
		{"the list itself", "state.json=" + state("a.arrow") + " a.arrow", "state.json",
			"state.json: the list of a saved dataset, want its folder", "path: "},
		{"a link to a folder", "a.jsonl link", "", "link is a link to a folder, which is not followed", "name the folder that it leads to"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := tree(t, c.files)
			if link := filepath.Join(dir, "link"); strings.Contains(c.files, "link") {
				os.Remove(link)
				os.Symlink(t.TempDir(), link)
			}
			_, _, err := Expand(filepath.Join(dir, c.path))
			if err == nil || !fault.IsUsage(err) || !strings.HasPrefix(err.Error(), dir) || !strings.Contains(err.Error(), c.want) ||
				!strings.Contains(fault.HintOf(err), c.hint) {
				t.Errorf("got %v, hint %q; want %s, hint %s", err, fault.HintOf(err), c.want, c.hint)
			}
		})
	}
	dir := tree(t, "cache-0123456789abcdef.arrow")
	path := filepath.Join(dir, "cache-0123456789abcdef.arrow")
	if files, _, err := Expand(path); err != nil || len(files) != 1 || files[0].Path != path {
		t.Errorf("a cache that is named: %v, %v", files, err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}
