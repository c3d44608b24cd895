package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lwtrain/chat"
	"lwtrain/checkpoints"
	"lwtrain/configs"
	"lwtrain/hub"
	"lwtrain/internal/fault"
	"lwtrain/model"
	"lwtrain/tokenizer"
)

// base is the model that a config names, before its weights are read.
type base struct {
	name   string
	dir    string // in Hugging Face layout; "": a fresh model
	config model.Config
	tok    *tokenizer.Tokenizer
	chat   *chat.Template
	seed   uint64 // of fresh weights
	onHub  string // its name there, with the commit; its weights may not be here yet
	close  func() // removes what was made on the way
}

// openBase finds the model of a config: a folder, a .gguf file, which is
// imported once into the cache (or, if nothing may be written, into a
// temporary folder), a name on the hub, of which it fetches all but the weights, or
// a fresh one.
func openBase(cmd *cobra.Command, c *configs.Config, dryRun bool) (b *base, err error) {
	b = &base{close: func() {}}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	if init := c.Model.Init; init != nil {
		b.name, b.seed, b.tok = "a fresh model", init.Seed, tokenizer.Bytes()
		if b.config, err = init.Architecture(); err != nil {
			return b, fault.Usage(err)
		}
		if n := b.tok.VocabSize(); b.config.Vocab < n {
			return b, fault.Usage(fmt.Errorf("model.init.config: vocab_size is %d, want at least %d, the tokens of the built-in tokenizer", b.config.Vocab, n))
		}
	} else {
		b.name, b.dir = filepath.Base(c.Model.Path), c.Model.Path
		if onHub(c.Model.Path) {
			if err := b.fetch(cmd, c, dryRun); err != nil {
				return b, err
			}
		}
		if strings.HasSuffix(b.dir, ".gguf") {
			if b.dir, err = b.importOnce(cmd, c, b.dir, dryRun); err != nil {
				return b, err
			}
		} else if _, err := os.Stat(filepath.Join(b.dir, "config.json")); errors.Is(err, fs.ErrNotExist) {
			return b, fault.Usage(fault.Hint(fmt.Errorf("%s: no config.json there, want a model folder in Hugging Face layout (model.path, %s)", b.dir, c.Origin("model.path")),
				"`lwtrain import MODEL.gguf DIR` makes one from a GGUF file; `make quickstart` fetches a small model"))
		}
		if b.config, err = model.ReadConfig(b.dir); err != nil {
			return b, fault.Usage(err)
		}
		if b.onHub == "" {
			if err := b.checkWeights(cmd, dryRun); err != nil {
				return b, fault.Usage(err)
			}
		}
		if most := b.config.MaxTokens; most > 0 && c.Data.MaxLength > most && c.Packing.Capacity > most {
			warn(cmd.ErrOrStderr(), "samples may have %d tokens (data.max_length), and the model has seen positions up to %d: the rest is new to it", min(c.Data.MaxLength, c.Packing.Capacity), most)
		}
		for _, w := range b.config.Warnings {
			warn(cmd.ErrOrStderr(), "%s: %s", filepath.Join(b.dir, "config.json"), w)
		}
		if b.tok, err = tokenizer.Load(b.dir); err != nil {
			return b, fault.Usage(err)
		}
		if n := b.tok.VocabSize(); n > b.config.Vocab {
			return b, fault.Usage(fmt.Errorf("%s: the tokenizer has ids up to %d, and vocab_size of config.json is %d", b.dir, n-1, b.config.Vocab))
		}
	}
	if b.chat, err = trainingChat(b.tok, c.Model.Template); err != nil {
		return b, err
	}
	if w := b.chat.Warning(); w != "" {
		warn(cmd.ErrOrStderr(), "%s", w)
	}
	return b, nil
}

// checkWeights looks at the headers of the weights. A dry run may do without
// any: it plans a run on a machine that does not hold the model.
func (b *base) checkWeights(cmd *cobra.Command, dryRun bool) error {
	if dryRun && !checkpoints.HasWeights(b.dir) {
		warn(cmd.ErrOrStderr(), "%s holds no weights: a run needs them", b.dir)
		return nil
	}
	return model.Check(b.dir)
}

// load reads or makes the weights.
func (b *base) load() (*model.Model, error) {
	if b.dir == "" {
		return model.New(b.config, b.seed), nil
	}
	return loadModel(b.dir, model.Load)
}

// checkModelFolder refuses what is no model's folder, with the way to the one that
// may be meant, and a checkpoint whose files are not those that were saved.
func checkModelFolder(dir string) error {
	if _, err := os.Stat(dir); err != nil {
		err = fmt.Errorf("%s: no such folder, want a model folder in Hugging Face layout", dir)
		if strings.Count(dir, "/") == 1 && !strings.HasPrefix(dir, ".") && !strings.HasPrefix(dir, "/") {
			err = fault.Hint(err, "if it is a name on the hub, write hf://"+dir)
		}
		return fault.Usage(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "config.json")); errors.Is(err, fs.ErrNotExist) {
		err := fmt.Errorf("%s: no config.json there, want a model folder in Hugging Face layout", dir)
		if found, _ := checkpoints.List(filepath.Join(dir, "checkpoints")); len(found) > 0 {
			err = fault.Hint(err, "this is a run's folder; its newest model is "+found[len(found)-1].Path)
		}
		return fault.Usage(err)
	}
	return fault.Usage(checkpoints.VerifyModel(dir))
}

// loadModel reads a model's folder, which must be whole.
func loadModel(dir string, load func(dir string) (*model.Model, error)) (*model.Model, error) {
	m, err := load(dir)
	if err != nil && fault.HintOf(err) == "" {
		err = fault.Hint(err, "fetch or copy the model's folder again")
	}
	return m, fault.Usage(err)
}

// templateDate is what templates are told is today, so that the same data is
// the same on every day: the date that Llama 3.1's template falls back on.
var templateDate = time.Date(2024, time.July, 26, 0, 0, 0, 0, time.UTC)

// trainingChat is a chat template as training renders it.
func trainingChat(tok *tokenizer.Tokenizer, template string) (*chat.Template, error) {
	c, err := chat.Open(tok, template)
	if err != nil {
		return nil, err
	}
	return c.At(templateDate), nil
}

// importOnce imports the .gguf file of a config, unless the cache has it.
func (b *base) importOnce(cmd *cobra.Command, c *configs.Config, path string, dryRun bool) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fault.Usage(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fault.Usage(err)
	}
	dir := filepath.Join(c.Data.CacheDir, "model-"+hex.EncodeToString(h.Sum(nil))[:16])
	if _, err := os.Stat(dir); err == nil {
		return dir, nil // it appears when it is complete
	}
	if dryRun {
		temp, err := os.MkdirTemp("", "lwtrain-")
		if err != nil {
			return "", err
		}
		before := b.close
		b.close = func() { os.RemoveAll(temp); before() }
		dir = filepath.Join(temp, "model")
	}
	return dir, importGGUF(cmd, path, dir)
}

// importGGUF imports with a progress bar.
func importGGUF(cmd *cobra.Command, path, dir string) error {
	bar := newProgress(cmd.ErrOrStderr(), "importing", 0)
	defer bar.Done()
	const mib = 1 << 20
	return checkpoints.ImportGGUF(path, dir, func(done, total int64) {
		bar.SetTotal(total / mib)
		bar.Set(done/mib, "MiB")
	})
}

func newImportCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "import MODEL.gguf DIR",
		Short: "Turn a GGUF file into a model folder in Hugging Face layout",
		Long: `Dequantises the weights of a GGUF file to float32 and writes them to DIR with
config.json, tokenizer.json and the chat template, in the layout that lwtrain
and transformers load. DIR appears when it is complete.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := os.Stat(args[1]); err == nil {
				return fault.Usage(fault.Hint(fmt.Errorf("%s exists, want a folder that is not there yet", args[1]), "remove it, or import to another name"))
			}
			return importGGUF(cmd, args[0], args[1])
		},
	}
}

func newExportCmd() *cobra.Command {
	var dtype string
	cmd := &cobra.Command{
		Use:   "export MODEL DIR",
		Short: "Write a checkpoint or a model to a folder of its own, in bf16",
		Long: `Writes the model of a folder (a checkpoint of a run, say) to DIR: weights,
config.json, tokenizer and chat template, without what a resume needs. In bf16
it takes an eighth of a checkpoint's space. DIR appears when it is complete.`,
		Example: `  lwtrain export runs/mine/checkpoints/step-000400 my-model
  lwtrain export runs/mine/checkpoints/step-000400 my-model --dtype float32`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if dtype != "bfloat16" && dtype != "float32" {
				return fault.Usage(fmt.Errorf("--dtype is %q, want bfloat16 or float32", dtype))
			}
			from, err := modelFolder(cmd, args[0], hub.WholeModel)
			if err != nil {
				return err
			}
			if err := checkModelFolder(from); err != nil {
				return err
			}
			tok, err := tokenizer.Load(from)
			if err != nil {
				return err
			}
			m, err := loadModel(from, model.Load)
			if err != nil {
				return err
			}
			defer m.Free()
			return checkpoints.WriteFolder(args[1], func(dir string) error {
				if err := m.Save(dir, dtype); err != nil {
					return err
				}
				return tok.Save(dir)
			})
		},
	}
	cmd.Flags().StringVar(&dtype, "dtype", "bfloat16", "format of the weights: bfloat16 or float32")
	return cmd
}
