package read

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lwtrain/internal/fault"
	"lwtrain/internal/plainjson"
)

// Hugging Face's datasets write a folder (save_to_disk) with a list of its files of data,
// state.json, and for a dataset of several splits a folder each, which dataset_dict.json
// names. map and filter leave their caches beside the data: Arrow files, too.

const savedState, savedSplits = "state.json", "dataset_dict.json"

// savedList is what is read of the lists.
type savedList struct {
	Files    []struct{ Filename string } `json:"_data_files"`
	Selected []struct{ Filename string } `json:"_indices_data_files"` // until 2.0
	Splits   []string                    `json:"splits"`
}

// mostList bounds what is read of a list.
const (
	mostList   = 16 << 20 // bytes
	mostListed = 1 << 20  // values
)

func readList(path string) (list savedList, there bool, err error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return list, false, nil
	}
	if err == nil && !info.Mode().IsRegular() { // opening a pipe would wait for ever
		err = fmt.Errorf("%s: not a regular file", filepath.Base(path))
	}
	if err != nil {
		return list, false, err
	}
	f, err := os.Open(path)
	if err != nil {
		return list, false, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, mostList))
	if err == nil {
		err = plainjson.Decode(raw, mostListed, &list)
	}
	if err != nil {
		return list, false, fault.Hint(fmt.Errorf("no list of a saved dataset: %w", plainjson.In(filepath.Base(path), err)),
			"name the files of data, or save the dataset again")
	}
	return list, true, nil
}

// savedFiles lists the files of data of a saved dataset; there is false for other folders.
func savedFiles(dir string) (names []string, there bool, err error) {
	const name = savedState
	list, there, err := readList(filepath.Join(dir, name))
	if err != nil || !there || list.Files == nil {
		return nil, false, err
	}
	if len(list.Selected) > 0 {
		return nil, false, fault.Hint(fmt.Errorf("%s: a selection of the rows of its files, want a dataset of its own", name),
			"dataset.flatten_indices().save_to_disk(...) writes one")
	}
	for _, f := range list.Files {
		if filepath.Base(f.Filename) != f.Filename {
			return nil, false, fmt.Errorf("%s: it names the file %q, want a name without a folder", name, f.Filename)
		}
		if _, err := os.Stat(filepath.Join(dir, f.Filename)); err != nil {
			return nil, false, fault.Hint(fmt.Errorf("%s: it names %s, which is not there", name, f.Filename),
				"a part of the dataset is missing; get it again")
		}
		names = append(names, f.Filename)
	}
	return names, true, nil
}

// savedSplit chooses the split of a saved dataset that is trained on, by the folder that it
// has; "" for folders of other kinds.
func savedSplit(dir string) (split, note string, err error) {
	list, there, err := readList(filepath.Join(dir, savedSplits))
	if err != nil || !there || len(list.Splits) == 0 {
		return "", "", err
	}
	of := func(fits func(name string) bool) []string {
		return slices.DeleteFunc(slices.Clone(list.Splits), func(name string) bool { return !fits(name) })
	}
	found := of(func(name string) bool { return name == "train" })
	if len(found) == 0 {
		found = of(func(name string) bool { return speaksOf(name, "train", "training") })
	}
	if len(found) == 0 {
		found = of(func(name string) bool {
			return !speaksOf(name, "validation", "valid", "val", "dev", "test", "testing", "eval", "evaluation")
		})
	}
	if len(found) != 1 {
		return "", "", fault.Hint(fmt.Errorf("a dataset with the splits %s, want one to train on", strings.Join(list.Splits, ", ")),
			"name the folder of one: "+filepath.Join(dir, list.Splits[0]))
	}
	if !filepath.IsLocal(found[0]) || filepath.Base(found[0]) != found[0] {
		return "", "", fmt.Errorf("dataset_dict.json: the split %q, want a name without a folder", found[0])
	}
	if _, err := os.Stat(filepath.Join(dir, found[0])); err != nil {
		return "", "", fault.Hint(fmt.Errorf("dataset_dict.json: the split %s is not there", found[0]),
			"name the folder of one that is, or get the dataset again")
	}
	if len(list.Splits) > 1 {
		note = fmt.Sprintf("the split %s is taken, of %s", found[0], strings.Join(list.Splits, ", "))
	}
	return found[0], note, nil
}
