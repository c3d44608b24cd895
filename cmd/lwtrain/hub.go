package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lwtrain/configs"
	"lwtrain/data"
	"lwtrain/hub"
	"lwtrain/internal/fault"
)

// wantData wants the files of a dataset that are trained on.
var wantData = hub.Files(data.Pick)

// onHub reports whether a model's path is a name on the hub: hf://owner/name, or
// owner/name where neither that folder nor the folder owner is there.
func onHub(path string) bool {
	if strings.HasPrefix(path, hub.Scheme) {
		return true
	}
	owner, _, _ := strings.Cut(path, "/")
	return hub.IsName(path) && !isThere(path) && !isThere(owner)
}

func isThere(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// getter takes what is in the cache of the hub, and fetches what is not, with a
// progress bar. A dry run fetches into a folder that close removes.
type getter struct {
	client *hub.Client
	cmd    *cobra.Command
	dryRun bool
	temp   string
}

func newGetter(cmd *cobra.Command, dryRun bool) (*getter, error) {
	c, err := hub.FromEnv(os.LookupEnv)
	return &getter{client: c, cmd: cmd, dryRun: dryRun}, err
}

func (g *getter) close() {
	if g.temp != "" {
		os.RemoveAll(g.temp)
	}
}

// get returns what is wanted of a repository.
func (g *getter) get(ref hub.Ref, want hub.Want) (*hub.Snapshot, error) {
	if !g.dryRun {
		return g.shown(ref, func(p hub.Progress) (*hub.Snapshot, error) { return g.client.Get(g.cmd.Context(), ref, want, p) })
	}
	if s, _, err := g.client.Find(ref, want); err == nil {
		return s, nil
	}
	if g.temp == "" {
		var err error
		if g.temp, err = os.MkdirTemp("", "lwtrain-"); err != nil {
			return nil, err
		}
	}
	c := *g.client
	c.Cache = g.temp
	s, err := g.shown(ref, func(p hub.Progress) (*hub.Snapshot, error) { return c.Get(g.cmd.Context(), ref, want, p) })
	if err == nil && s.Size() > 16<<20 {
		fmt.Fprintf(g.cmd.ErrOrStderr(), "lwtrain: note: a dry run keeps nothing: the run fetches %s again (%s); `lwtrain pull` keeps it\n", ref, bytesText(s.Size()))
	}
	return s, err
}

// shown shows how far a fetch is, once something has to be fetched.
func (g *getter) shown(ref hub.Ref, fetch func(hub.Progress) (*hub.Snapshot, error)) (*hub.Snapshot, error) {
	const mb = 1_000_000
	bar := newProgress(g.cmd.ErrOrStderr(), "fetching", 0)
	defer bar.abandon()
	began, first := time.Now(), int64(-1)
	g.client.Waiting = func(name string) { bar.Println("waiting for another program that fetches " + name) }
	s, err := fetch(func(done, total int64) {
		if first < 0 {
			first = done
		}
		bar.SetTotal((total + mb - 1) / mb)
		rate := float64(done-first) / max(time.Since(began).Seconds(), 0.001) / mb
		bar.Set((done+mb-1)/mb, fmt.Sprintf("MB  %.1f MB/s  %s", rate, ref.Repo))
	})
	switch {
	case err == nil:
		bar.Done()
	case errors.Is(err, context.Canceled):
		err = fault.Hint(err, "the same command goes on with what is there")
	}
	return s, err
}

// model returns the folder or the .gguf file that a model's name on the hub stands
// for, and the name with its commit.
func (g *getter) model(name string, want hub.Want) (path, pinned string, err error) {
	ref, err := hub.Parse(hub.Model, name)
	if err != nil {
		return "", "", err
	}
	if ref.Path != "" && !strings.HasSuffix(ref.Path, ".gguf") {
		return "", "", fault.Usage(fault.Hint(fmt.Errorf("%s: a file of a model, want the model, or a .gguf file of it", ref), "leave out what is behind the model's name"))
	}
	if ref.Path != "" && g.dryRun {
		if _, _, err := g.client.Find(ref, want); err != nil {
			return "", "", fault.Usage(fault.Hint(fmt.Errorf("%s is not in the cache, and a dry run fetches no weights", ref), "`lwtrain pull "+ref.String()+"` fetches it"))
		}
	}
	s, err := g.get(ref, want)
	if err != nil {
		return "", "", err
	}
	ref.Revision = s.Commit
	if ref.Path != "" {
		return s.Path(s.Files[0]), ref.String(), nil
	}
	return s.Dir, ref.String(), nil
}

// modelFolder is the folder of a model that a command is given, fetched if it is a
// name on the hub.
func modelFolder(cmd *cobra.Command, name string, want hub.Want) (string, error) {
	if !onHub(name) {
		return name, nil
	}
	g, err := newGetter(cmd, false)
	if err != nil {
		return "", err
	}
	dir, _, err := g.model(name, want)
	return dir, err
}

// fetchData finds the files of the sources that lie on the hub, and writes the
// commits that they are of into the config. close removes what a dry run fetched.
func fetchData(cmd *cobra.Command, c *configs.Config, dryRun bool) (close func(), err error) {
	g, err := newGetter(cmd, dryRun)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			g.close()
		}
	}()
	err = eachSource(c, func(_ string, s *data.Source) error { // what is missing here is known before anything is fetched
		for _, path := range s.AllPaths() {
			if strings.HasPrefix(path, hub.Scheme) {
				continue
			}
			if _, err := data.Expand(path); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = eachSource(c, func(key string, s *data.Source) error {
		var all []data.File
		fetched := false
		for i, path := range s.AllPaths() {
			if !strings.HasPrefix(path, hub.Scheme) {
				files, err := data.Expand(path)
				if err != nil {
					return err
				}
				all = append(all, files...)
				continue
			}
			ref, err := hub.Parse(hub.Dataset, path)
			if err != nil {
				return err
			}
			got, err := g.get(ref, wantData)
			if err != nil {
				return fmt.Errorf("%s (%s): %w", key, c.Origin(key), err)
			}
			for _, f := range got.Files {
				if f.Path == hub.Card && ref.Path == "" {
					continue
				}
				all = append(all, data.File{Name: hub.Scheme + ref.Repo + "/" + f.Path, Path: got.Path(f)})
			}
			ref.Revision = got.Commit
			s.SetPath(i, ref.String())
			fetched = true
		}
		if fetched {
			s.Files = all
		}
		return nil
	})
	return g.close, err
}

// eachSource goes through all sources of a config.
func eachSource(c *configs.Config, do func(key string, s *data.Source) error) error {
	for _, list := range []struct {
		key     string
		sources []data.Source
	}{{"data.sources", c.Data.Sources}, {"data.held_out", c.Data.HeldOut.Sources}} {
		for i := range list.sources {
			key := fmt.Sprintf("%s[%d].path", list.key, i)
			if list.sources[i].Path == "" {
				key += "s" // it is a list
			}
			if err := do(key, &list.sources[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// hubRefs lists what a config names on the hub, by key.
func hubRefs(c *configs.Config, see func(key string, ref hub.Ref) error) error {
	parse := func(key string, kind hub.Kind, path string) error {
		ref, err := hub.Parse(kind, path)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", c.Origin(key), key, err)
		}
		return see(key, ref)
	}
	if c.Model.Path != "" && onHub(c.Model.Path) {
		if err := parse("model.path", hub.Model, c.Model.Path); err != nil {
			return err
		}
	}
	return eachSource(c, func(key string, s *data.Source) error {
		for _, path := range s.AllPaths() {
			if strings.HasPrefix(path, hub.Scheme) {
				if err := parse(key, hub.Dataset, path); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func newPullCmd() *cobra.Command {
	var dataset, noWeights, look bool
	cmd := &cobra.Command{
		Use:   "pull [-c CONFIG [key=value ...]] [NAME ...]",
		Short: "Fetch models and datasets from the Hugging Face hub",
		Long: `Fetches what is named, or with -c all that a config names, into Hugging Face's
cache, which transformers and datasets read as well, and prints the folder of
each. What is there is not fetched again; what was begun is gone on with; what
came is checked by its hash. Of a model the weights in safetensors, the config
and the tokenizer are fetched, of a dataset the files to train on.

Training fetches by itself what is not there. It stays with the commit that was
fetched last: pull looks whether the hub has a newer one. A revision is named
as owner/name@revision, files as hf://owner/name/folder/*.jsonl.

HF_HOME or HF_HUB_CACHE move the cache, HF_ENDPOINT names another hub, HF_TOKEN
is sent for gated and private repositories, HF_HUB_OFFLINE=1 asks nobody.`,
		Example: `  lwtrain pull THUDM/glm-4-9b
  lwtrain pull --dataset THUDM/LongWriter-6k
  lwtrain pull -c glm4 --no-weights`,
	}
	addConfigFlags(cmd)
	cmd.Args = nil
	cmd.ValidArgsFunction = nil
	cmd.Flags().BoolVar(&dataset, "dataset", false, "the names are those of datasets")
	cmd.Flags().BoolVar(&noWeights, "no-weights", false, "of models the config and the tokenizer alone")
	cmd.Flags().BoolVar(&look, "dry-run", false, "say what would be fetched, and how much of it is missing")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		refs, err := pulled(cmd, args, dataset)
		if err != nil {
			return err
		}
		g, err := newGetter(cmd, false)
		if err != nil {
			return err
		}
		for _, ref := range refs {
			want := wantData
			if ref.Kind == hub.Model {
				if want = hub.WholeModel; noWeights {
					want = hub.ModelConfig
				}
			}
			if err := g.pull(ref, want, look); err != nil {
				return err
			}
		}
		return nil
	}
	return cmd
}

// pulled lists what the arguments name.
func pulled(cmd *cobra.Command, args []string, dataset bool) (refs []hub.Ref, err error) {
	var overrides []string
	kind := hub.Model
	if dataset {
		kind = hub.Dataset
	}
	for _, arg := range args {
		if strings.Contains(arg, "=") && cmd.Flags().Changed("config") {
			overrides = append(overrides, arg)
			continue
		}
		k := kind
		if strings.HasPrefix(strings.TrimPrefix(arg, hub.Scheme), "datasets/") {
			k = hub.Dataset
		}
		ref, err := hub.Parse(k, arg)
		if err != nil {
			return nil, err
		}
		refs = append(refs, ref)
	}
	switch {
	case cmd.Flags().Changed("config"):
		c, err := loadConfig(cmd, overrides)
		if err != nil {
			return nil, err
		}
		err = hubRefs(c, func(_ string, ref hub.Ref) error {
			refs = append(refs, ref)
			return nil
		})
		if err == nil && len(refs) == 0 {
			fmt.Fprintln(cmd.ErrOrStderr(), "nothing in it lies on the hub")
		}
		return refs, err
	case len(refs) == 0:
		return nil, fault.Usage(fault.Hint(errors.New("nothing is named, want owner/name, or -c with a config"), "`lwtrain pull --help` shows what there is"))
	}
	return refs, nil
}

// pull fetches one repository and prints where it lies.
func (g *getter) pull(ref hub.Ref, want hub.Want, look bool) error {
	ctx := g.cmd.Context()
	say := func(s *hub.Snapshot, missing string) {
		fmt.Fprintf(g.cmd.ErrOrStderr(), "%s: commit %s, %s, %s%s\n", printable(ref.String()), s.Commit[:12], count(len(s.Files), "file"), bytesText(s.Size()), missing)
	}
	if look {
		s, missing, err := g.client.Look(ctx, ref, want)
		if err != nil {
			return err
		}
		say(s, fmt.Sprintf(", %s of it missing", bytesText(missing)))
		for _, f := range s.Files {
			fmt.Fprintf(g.cmd.OutOrStdout(), "%12d  %s\n", f.Size, printable(f.Path))
		}
		return nil
	}
	fetch := g.client.Fetch
	if g.client.Offline {
		fetch = g.client.Get
	}
	s, err := g.shown(ref, func(p hub.Progress) (*hub.Snapshot, error) { return fetch(ctx, ref, want, p) })
	if err != nil {
		return hintKind(ctx, g.client, ref, want, err)
	}
	say(s, "")
	fmt.Fprintln(g.cmd.OutOrStdout(), s.Dir)
	return nil
}

// hintKind says so where a name is that of a dataset.
func hintKind(ctx context.Context, c *hub.Client, ref hub.Ref, want hub.Want, err error) error {
	if !fault.IsUsage(err) || ref.Kind != hub.Model || errors.Is(err, fs.ErrNotExist) || c.Offline {
		return err
	}
	other := ref
	other.Kind = hub.Dataset
	if _, _, e := c.Look(ctx, other, func(hub.Ref, []hub.File, hub.Reader) ([]hub.File, error) { return nil, nil }); e == nil {
		return fault.Usage(fault.Hint(err, "there is a dataset of that name: --dataset"))
	}
	return err
}

// fetch gets the files of a model on the hub but for its weights, and writes the
// commit that they are of into the config.
func (b *base) fetch(cmd *cobra.Command, c *configs.Config, dryRun bool) error {
	g, err := newGetter(cmd, dryRun)
	if err != nil {
		return err
	}
	path, pinned, err := g.model(c.Model.Path, hub.ModelConfig)
	if err != nil {
		g.close()
		return fmt.Errorf("model.path (%s): %w", c.Origin("model.path"), err)
	}
	c.Model.Path, b.dir, b.close = pinned, path, g.close
	name, commit, _ := strings.Cut(strings.TrimPrefix(pinned, hub.Scheme), "@")
	b.name = name + " at " + commit[:12]
	if !strings.HasSuffix(path, ".gguf") {
		b.onHub = pinned
	}
	return nil
}

// fetchWeights fetches the weights of a model on the hub, once all else is known to
// be right, and looks at their headers.
func (b *base) fetchWeights(cmd *cobra.Command) error {
	if b.onHub == "" {
		return nil
	}
	dir, err := modelFolder(cmd, b.onHub, hub.WholeModel)
	if err != nil {
		return err
	}
	if filepath.Clean(dir) != filepath.Clean(b.dir) {
		return fmt.Errorf("%s: the weights lie in %s, and the config in %s", b.onHub, dir, b.dir)
	}
	return fault.Usage(b.checkWeights(cmd, false))
}
