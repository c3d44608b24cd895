package fault

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAPathThatLeadsNowhereIsToldWhatLooksAlike(t *testing.T) {
	dir := t.TempDir()
	for _, p := range []string{"models/SmolLM2-135M-Instruct/config.json", "data/long.jsonl", "here/x", "data/pairs.jsonl"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(p)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, p), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	for path, want := range map[string]string{
		"models/smollm2_135m_instruct":             "there is models/SmolLM2-135M-Instruct",
		"models/smollm2-135m-instruct/config.json": "there is models/SmolLM2-135M-Instruct/config.json",
		"long.jsonl":         "there is data/long.jsonl",
		"data/lomg.jsonl":    "there is data/long.jsonl",
		"model":              "there is models",
		"qwen":               "",
		"data/other":         "",
		"data/prompts.jsonl": "", // the rest of the name is every file's
		"data/long.json":     "there is data/long.jsonl",
		"data/pairs":         "there is data/pairs.jsonl",
	} {
		got := Nearby(path)
		rest, ok := strings.CutPrefix(got, "relative paths start at the folder that lwtrain runs in ("+dir+")")
		if rest = strings.TrimPrefix(rest, "; "); !ok || rest != want {
			t.Errorf("%s: %q, want %q behind the folder", path, got, want)
		}
	}
	t.Chdir(filepath.Join(dir, "here"))
	if got := Nearby("data/long.jsonl"); !strings.HasSuffix(got, "; there is ../data/long.jsonl") {
		t.Errorf("%q, want what lies above", got)
	}
	if got := Nearby(filepath.Join(dir, "dat/long.jsonl")); got != "there is "+filepath.Join(dir, "data/long.jsonl") {
		t.Errorf("an absolute path: %q", got)
	}
}

func TestANameThatBeginsAsGivenIsMeantBeforeOthers(t *testing.T) {
	names := []string{"longbench-write", "longbench-write-en", "longgenbench"}
	for name, want := range map[string]string{
		"longbench": "longbench-write", "LongBench_Write_EN": "longbench-write-en", "longgenbnch": "longgenbench", "xyz": "",
	} {
		if got := Likest(name, names); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
