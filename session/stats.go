package session

import (
	"encoding/json"
	"io"
	"path/filepath"

	"lwtrain/configs"
	"lwtrain/data"
	"lwtrain/internal/atomicfile"
	"lwtrain/packing"
	"lwtrain/report"
	"lwtrain/train"
)

// ReportFile is the page of a run in its folder.
const ReportFile = "report.html"

// Stats counts what is in a set, and who carries how much of the loss under each
// weighting.
func Stats(c *configs.Config, set *data.Set) (*data.Stats, error) {
	return stats(c, set, func() (*train.Epochs, error) { return train.NewEpochs(set, c.Packing, c.Train.PacksPerStep(), c.Seed) })
}

func stats(c *configs.Config, set *data.Set, packed func() (*train.Epochs, error)) (*data.Stats, error) {
	s, err := set.Stats(c.Data)
	if err != nil || len(set.Train()) == 0 {
		return s, err
	}
	e, err := packed()
	if err != nil {
		return nil, err
	}
	s.Weighting = c.Packing.Weighting
	first := c.Train // shares are those of the first epoch, whatever the learning rate is in it
	first.NumTrainEpochs, first.MaxSteps, first.WarmupSteps, first.WarmupRatio = 1, 0, 0, 0
	b, err := train.NewBatches(e, first)
	if err != nil {
		return nil, err
	}
	weightings := packing.Told(s.Weighting)
	shares, err := b.Shares(weightings...)
	if err != nil {
		return nil, err
	}
	for i, weighting := range weightings {
		for _, share := range shares[i] {
			s.AddLossShare(share.Kind, share.Name, weighting, share.Loss)
		}
	}
	return s, nil
}

// WriteReport writes the statistics of the run's data, and the page about the run, into
// its folder.
func (r *Run) WriteReport() error {
	c := r.session.Config
	s, err := stats(c, r.Data, r.packed)
	if err != nil {
		return err
	}
	for i := range s.Sources { // where it was kept is of no run's concern
		s.Sources[i].Cache, s.Sources[i].Tokenised = "", ""
	}
	raw, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := atomicfile.WriteBytes(filepath.Join(c.Output.Dir, report.DataFile), append(raw, '\n')); err != nil {
		return err
	}
	return Report(c.Output.Dir, filepath.Join(c.Output.Dir, ReportFile), r.session.events)
}

// Report writes a page about the run in dir to the file path. Files of a finished run that
// were altered are told of, and shown as they are.
func Report(dir, path string, e Events) error {
	run, err := report.ReadRun(dir)
	if err != nil {
		return err
	}
	altered, err := train.FindAltered(dir)
	if err != nil {
		e.warn("%v", err)
	}
	for _, a := range altered {
		e.warn("%s: %s", a.Path, a.What)
	}
	return atomicfile.Write(path, func(w io.Writer) error { return report.WriteRun(w, run) })
}
