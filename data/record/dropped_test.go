package record

import (
	"strings"
	"testing"
)

func TestASourceOfNearlyNothingButBadRecordsIsNotGoneThrough(t *testing.T) {
	for name, c := range map[string]struct {
		records, bad int
		hopeless     bool
	}{
		"all of few":                {1000, 1000, false},
		"all of very many":          {mostBad + 1, mostBad + 1, true},
		"as many as may be":         {mostBad, mostBad, false},
		"nine of ten":               {20_000_000, 18_000_000, false},
		"more than nine of ten":     {20_000_000, 18_100_000, true},
		"very many, beside as many": {40_000_000, 20_000_000, false},
	} {
		t.Run(name, func(t *testing.T) {
			var d Drops
			d.Add(7, bad("no_messages", "it has none"))
			d.Dropped[0].Count = c.bad - 1
			d.Add(9, bad("invalid_json", "it is none"))
			err := d.Hopeless(c.records)
			if (err != nil) != c.hopeless || c.hopeless && !strings.Contains(err.Error(), "the first in line 7 (it has none)") {
				t.Errorf("%v, want an error: %v", err, c.hopeless)
			}
		})
	}
}
