package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// foreignWords are those of Go's libraries.
var foreignWords = regexp.MustCompile(`invalid character|cannot unmarshal|Go (?:struct|value|type)|unexpected end of JSON|unexpected EOF|` +
	`\bjson: (?:unknown|invalid|cannot|unsupported)|strconv\.|yaml: |panic|goroutine|parsing time|` +
	`map\[string\]|interface \{|illegal base64`)

// sweep is a folder, what makes it, which files of it are damaged, and what reads them then.
type sweep struct {
	name  string
	files map[string]string
	make  []string
	spoil []string // patterns of files
	read  []string
}

const (
	sweptConfig = tinyModel + "recipe: tiny\ndata: {cache_dir: cache}\n"
	sweptRun    = "sft -c run.yaml train.max_steps=2 train.save_steps=1 train.eval_steps=1 data.held_out=2 sample.prompts=1 " +
		"sample.max_new_tokens=4"
)

var sweeps = []sweep{
	{"a run", map[string]string{"run.yaml": sweptConfig}, []string{sweptRun},
		[]string{"run/*.json", "run/*.jsonl", "run/checkpoints/step-000002/*.json", "cache/*/*.json"},
		[]string{sweptRun, "report run", "watch run --json", "inspect run"}},
	{"a model", map[string]string{"run.yaml": sweptConfig},
		[]string{"sft -c run.yaml train.max_steps=1 sample.prompts=0 output.dir=m0", "export m0 m"}, []string{"m/*.json"},
		[]string{"inspect m", "tokenize -m m", "generate -m m --prompt hello --max-new-tokens 1"}},
	{"an adapter", map[string]string{"run.yaml": sweptConfig + "lora: {rank: 2}\n"},
		[]string{"sft -c run.yaml train.max_steps=1 sample.prompts=0 output.dir=a0"},
		[]string{"a0/checkpoints/step-000001/adapter_config.json"},
		[]string{"inspect a0/checkpoints/step-000001", "export a0 merged"}},
	{"an evaluation", map[string]string{
		"run.yaml":     sweptConfig,
		"asks.jsonl":   `{"id": "a", "prompt": "Write 20 words on rain.", "length": 20, "type": "x"}` + "\n",
		"theirs.jsonl": `{"id": "a", "response": "rain falls", "tokens": 3, "stop": "eos"}` + "\n",
		"eval.yaml":    "model: {path: m0}\neval: {tasks: [asks.jsonl], max_new_tokens: 4}\noutput: {dir: run}\n",
	}, []string{"sft -c run.yaml train.max_steps=1 sample.prompts=0 output.dir=m0", "eval -c eval.yaml"},
		[]string{"asks.jsonl", "theirs.jsonl", "run/*.json", "run/*/*.json", "run/*/*.jsonl"},
		[]string{"eval -c eval.yaml", "eval compare run run", "eval score --task asks.jsonl --from theirs.jsonl --json", "report run"}},
	{"pairs", pairsWork.files, []string{"pairs -c run.yaml pairs.max_new_tokens=4"}, []string{"run/*.json", "run/*.jsonl"},
		[]string{"pairs -c run.yaml pairs.max_new_tokens=4"}},
	{"answers", map[string]string{"run.yaml": sweptConfig,
		"asks.jsonl": `{"prompt": "Write on rain."}` + "\n"},
		[]string{"sft -c run.yaml train.max_steps=1 sample.prompts=0 output.dir=m0",
			"generate -m m0 --prompts asks.jsonl --out out.jsonl --max-new-tokens 4"}, []string{"asks.jsonl", "out.jsonl"},
		[]string{"generate -m m0 --prompts asks.jsonl --out out.jsonl --max-new-tokens 4"}},
	{"data", map[string]string{
		"run.yaml":                        tinyModel + "data: {cache_dir: cache, sources: [{name: x, path: x.jsonl}]}\n",
		"saved.yaml":                      tinyModel + "data: {cache_dir: cache, sources: [{name: x, path: saved}]}\n",
		"x.jsonl":                         `{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}` + "\n",
		"saved/state.json":                `{"_data_files": [{"filename": "data-00000-of-00001.arrow"}], "_split": "train"}`,
		"saved/dataset_info.json":         `{"features": {"messages": [{"role": {"dtype": "string", "_type": "Value"}}]}}`,
		"saved/data-00000-of-00001.arrow": "ARROW1",
	}, nil, []string{"x.jsonl", "saved/*.json"}, []string{"stats -c run.yaml", "stats -c saved.yaml"}},
	{"a config of another trainer", map[string]string{
		"lf.yaml": "model_name_or_path: m\nstage: sft\ndataset: mine\ndataset_dir: .\nmax_steps: 10\noutput_dir: out\n",
		"dataset_info.json": `{"mine": {"file_name": "x.jsonl", "formatting": "sharegpt", "columns": {"messages": "conversations"},
 "tags": {"role_tag": "from", "content_tag": "value"}, "ranking": false, "num_samples": 5}}`,
		"x.jsonl": "{}\n",
	}, nil, []string{"dataset_info.json"}, []string{"init --from lf.yaml my.yaml"}},
}

// TestNoMessageIsInTheWordsOfGosLibraries cuts and changes files of JSON of each kind that the program reads, and looks at what
// is said of them.
func TestNoMessageIsInTheWordsOfGosLibraries(t *testing.T) {
	for _, s := range sweeps {
		t.Run(s.name, func(t *testing.T) {
			pristine, scratch := t.TempDir(), t.TempDir()
			for name, text := range s.files {
				path := filepath.Join(pristine, filepath.FromSlash(name))
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			t.Chdir(pristine)
			for _, args := range s.make {
				if said, exit := inProcess(t, args); exit != 0 && exit != exitIncomplete {
					t.Fatalf("%s: status %d: %s", args, exit, said)
				}
			}
			random := rand.New(rand.NewPCG(15, 0))
			refused, told := 0, 0
			for _, name := range matching(t, pristine, s.spoil) {
				raw, err := os.ReadFile(filepath.Join(pristine, name))
				if err != nil {
					t.Fatal(err)
				}
				if len(raw) == 0 {
					continue
				}
				for _, d := range damages(random, raw) {
					args := s.read[told%len(s.read)]
					dir := filepath.Join(scratch, "damaged")
					if err := os.CopyFS(dir, os.DirFS(pristine)); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(filepath.Join(dir, name), d.text, 0o644); err != nil {
						t.Fatal(err)
					}
					if err := os.Chdir(dir); err != nil {
						t.Fatal(err)
					}
					said, exit := inProcess(t, args)
					told++
					if exit != 0 {
						refused++
					}
					if m := foreignWords.FindString(said); m != "" || exit > exitIncomplete {
						t.Errorf("%s, %s; %s: status %d, %q: %.400s", name, d.what, args, exit, m, said)
					}
					if err := errors.Join(os.Chdir(pristine), os.RemoveAll(dir)); err != nil {
						t.Fatal(err)
					}
				}
			}
			t.Logf("%d of %d commands refuse", refused, told)
		})
	}
}

// inProcess runs lwtrain and returns what it says on standard error.
func inProcess(t *testing.T, args string) (said string, exit int) {
	t.Helper()
	var b bytes.Buffer
	exit = run(context.Background(), strings.Fields(args), strings.NewReader("hello\n"), io.Discard, &b)
	return b.String(), exit
}

// matching are the files of a folder that patterns name.
func matching(t *testing.T, dir string, patterns []string) (names []string) {
	t.Helper()
	for _, p := range patterns {
		found, err := fs.Glob(os.DirFS(dir), p)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v, no files", p, err)
		}
		names = append(names, found...)
	}
	return names
}

// damage is a text that was JSON, and what was done to it.
type damage struct {
	what string
	text []byte
}

// damages cuts a text of JSON, changes bytes of it, and puts values of other kinds into it.
func damages(random *rand.Rand, raw []byte) []damage {
	out := []damage{{"empty", nil}, {"a list", []byte("[]\n")}, {"a text", []byte("\"x\"\n")}, {"null", []byte("null\n")}}
	for range 2 {
		n := random.IntN(len(raw))
		out = append(out, damage{fmt.Sprintf("cut after %d bytes", n), raw[:n]})
	}
	const bytesOfNone = "x}\"'/,\x00\xff\n"
	for range 4 {
		at, c := random.IntN(len(raw)), bytesOfNone[random.IntN(len(bytesOfNone))]
		changed := bytes.Clone(raw)
		changed[at] = c
		out = append(out, damage{fmt.Sprintf("%q at byte %d", c, at+1), changed})
	}
	spans := values(raw)
	kinds := []string{`"x"`, "1.5", "-1", "1e400", "99999999999999999999", "[]", "{}", "true", "NaN"}
	for range min(5, len(spans)) {
		s, other := spans[random.IntN(len(spans))], kinds[random.IntN(len(kinds))]
		out = append(out, damage{fmt.Sprintf("%s for %.40q at byte %d", other, raw[s[0]:s[1]], s[0]+1),
			slices.Concat(raw[:s[0]], []byte(other), raw[s[1]:])})
	}
	return out
}

// values are where the values of a text of JSON lie that are neither lists nor objects.
func values(raw []byte) (spans [][2]int) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	for {
		before := int(dec.InputOffset())
		token, err := dec.Token()
		if err != nil {
			return spans
		}
		if _, ok := token.(json.Delim); ok {
			continue
		}
		end := int(dec.InputOffset())
		for before < end && strings.IndexByte(" \t\r\n,:", raw[before]) >= 0 {
			before++
		}
		if rest := bytes.TrimLeft(raw[end:], " \t\r\n"); !bytes.HasPrefix(rest, []byte(":")) {
			spans = append(spans, [2]int{before, end})
		}
	}
}
