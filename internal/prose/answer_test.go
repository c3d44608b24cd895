package prose

import (
	"strings"
	"testing"
)

func TestEveryRefusalPhraseIsFound(t *testing.T) {
	for _, p := range refusalPhrases {
		if !Refuses("  “"+strings.ToUpper(p)+" x") || p != strings.ToLower(p) {
			t.Errorf("%q is not found", p)
		}
	}
}
