// Package push sends models to the Hugging Face hub: which files of a checkpoint, an adapter or a run leave, and the card that says
// what they are.
package push

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"lwtrain/export"
	"lwtrain/hub"
	"lwtrain/internal/fault"
	"lwtrain/internal/rundir"
	"lwtrain/model"
	"lwtrain/report"
	"lwtrain/session"
	"lwtrain/tokenizer"
)

// Options are what a push is to be.
type Options struct {
	To      string // owner/name, with a branch behind @ or without
	Private bool   // if the repository is made by it
	Message string // of the commit; "": one that says what it is
	Merge   bool   // an adapter is sent as a whole model
	Base    string // the model that an adapter is for; "": the one that its files name
	Card    bool   // README.md is made anew where the repository has one
	DryRun  bool   // nothing is sent
}

// Sending is what a push sends, or would send.
type Sending struct {
	Ref    hub.Ref
	Files  []hub.Upload
	Card   []byte      // README.md; nil: that of the repository stays
	Pushed *hub.Pushed // nil: nothing was sent
}

const cardFile = "README.md"

// Push sends a model to a repository of the hub: the newest whole checkpoint of a run, a checkpoint, any model's folder, or a GGUF
// file. Weights
// are sent in bf16, an adapter as it is; a model card is made of the run. What the repository's README.md says, which its owner
// may have filled
// in, is kept.
func Push(ctx context.Context, name string, o Options, e session.Events) (*Sending, error) {
	ref, err := hub.Parse(hub.Model, o.To)
	if err != nil {
		return nil, err
	}
	if ref.Path != "" {
		return nil, fault.Usage(fmt.Errorf("%s: a file of a repository, want owner/name", o.To))
	}
	client, err := hub.FromEnv(os.LookupEnv)
	if err != nil {
		return nil, err
	}
	client.Pausing = e.Pausing
	makeCard := true
	if !o.DryRun {
		if err := client.MayPush(ref); err != nil {
			return nil, err
		}
		there, err := client.Holds(ctx, ref, cardFile)
		if err != nil {
			return nil, err
		}
		makeCard = o.Card || !there
	}
	temp, err := os.MkdirTemp("", "lwtrain-push-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temp)
	up := &Sending{Ref: ref}
	run, from, adapter, err := up.gather(ctx, name, temp, o, e)
	if err != nil {
		return nil, err
	}
	if makeCard {
		if err := up.makeCard(run, from, adapter); err != nil {
			return nil, err
		}
	}
	if o.DryRun {
		for i, f := range up.Files { // temporary ones are gone when this returns
			if info, err := os.Stat(f.File); err == nil && f.File != "" {
				up.Files[i] = hub.Upload{Path: f.Path, Size: info.Size()}
			}
		}
		return up, nil
	}
	message := o.Message
	if message == "" {
		message = "lwtrain: " + strings.TrimSuffix(filepath.Base(filepath.Clean(name)), export.Extension)
	}
	up.Pushed, err = client.Push(ctx, ref, up.Files, message, o.Private, func(done, total int64) {
		if e.Sending != nil {
			e.Sending(ref.String(), done, total)
		}
	})
	if e.Ended != nil {
		e.Ended(err)
	}
	return up, err
}

// gather finds the files that are sent, and the folder of the run that made them; "": there is none.
func (up *Sending) gather(ctx context.Context, name, temp string, o Options, e session.Events) (run, from string, adapter bool,
	err error) {
	if strings.HasSuffix(name, export.Extension) {
		if _, err := os.Stat(name); err != nil {
			return "", "", false, fault.Usage(fault.Hint(err, fault.Nearby(name)))
		}
		up.Files = []hub.Upload{{Path: filepath.Base(name), File: name}}
		return "", "", false, nil
	}
	from, err = session.ModelFolder(ctx, name, e)
	if err != nil {
		return "", "", false, err
	}
	if o.Merge && !model.HasAdapter(from) {
		return "", "", false, fault.Usage(fmt.Errorf("%s is a whole model, and there is --merge, want an adapter or none", from))
	}
	run = runOf(from)
	adapter = model.HasAdapter(from) && !o.Merge
	dir := filepath.Join(temp, "model")
	if adapter {
		if o.Base != "" {
			return "", "", false, fault.Usage(errors.New("--base is for --merge: an adapter is sent as it is"))
		}
		warnBase(from, e)
		err = copyAdapter(from, dir)
	} else {
		_, err = session.Export(ctx, from, dir, session.Exporting{Format: "hf", Precision: "bf16", Base: o.Base}, e)
	}
	if err != nil {
		return "", "", false, err
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		in, err := filepath.Rel(dir, path)
		up.Files = append(up.Files, hub.Upload{Path: filepath.ToSlash(in), File: path})
		return err
	})
	return run, from, adapter, err
}

// copyAdapter makes a folder of an adapter's files, with the tokenizer that it was trained with and without what a resume needs.
func copyAdapter(from, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"adapter_config.json", "adapter_model.safetensors"} {
		raw, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), raw, 0o644); err != nil {
			return err
		}
	}
	if !exists(filepath.Join(from, "tokenizer.json")) {
		return nil
	}
	tok, err := tokenizer.Load(from)
	if err != nil {
		return err
	}
	return tok.Save(dir)
}

// warnBase says where an adapter names a model that nobody else has.
func warnBase(dir string, e session.Events) {
	if _, base, err := model.ReadLoRA(dir); err == nil && hubName(base.Name) == "" && e.Warning != nil {
		e.Warning(fmt.Sprintf("the adapter's base is %q, which is no name on the hub: who loads it must name the base, "+
			"or push it as a whole model with --merge", base.Name))
	}
}

// runOf is the folder of the run that a checkpoint lies in, or "".
func runOf(checkpoint string) string {
	above := filepath.Dir(filepath.Clean(checkpoint))
	if filepath.Base(above) != rundir.Checkpoints || !exists(filepath.Join(filepath.Dir(above), rundir.File)) {
		return ""
	}
	return filepath.Dir(above)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

var stepOf = regexp.MustCompile(`step-0*(\d+)$`)

// makeCard adds the model card.
func (up *Sending) makeCard(run, from string, adapter bool) error {
	c := Card{Repo: up.Ref.Repo, Adapter: adapter}
	var r *report.Run
	if run != "" {
		var err error
		if r, err = report.ReadRun(run); err != nil {
			return err
		}
		if m := stepOf.FindStringSubmatch(filepath.Clean(from)); m != nil {
			c.Step, _ = strconv.Atoi(m[1])
		}
	}
	up.Card = modelCard(r, c)
	up.Files = slices.DeleteFunc(up.Files, func(f hub.Upload) bool { return f.Path == cardFile })
	up.Files = append(up.Files, hub.Upload{Path: cardFile, Content: up.Card})
	return nil
}
