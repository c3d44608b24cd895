package torch

import (
	"fmt"
	"testing"

	"lwtrain/packing"
)

func TestGradientsAreThoseOfTheNativeEngineOnAnyNumberOfRanks(t *testing.T) {
	for _, form := range forms {
		t.Run(form, func(t *testing.T) {
			one, two, own := open(t, form, options(1)), open(t, form, options(2)), openNative(t, form)
			for _, weighting := range packing.Weightings() {
				all := packs(t, weighting)
				want := learn(t, own, all, nil)
				for name, e := range map[string]*Engine{"1 process": one, "2 ranks": two} {
					got := learn(t, e, all, nil)
					sameLosses(t, weighting+" on "+name, got.packs, want.packs)
					if d, where := apart(t, got.gradients, want.gradients); !(d <= 1e-5) {
						t.Errorf("%s on %s: gradients are %.2g apart (%s)", weighting, name, d, where)
					}
				}
				if testing.Verbose() {
					fmt.Println(form, weighting)
				}
			}
		})
	}
}
