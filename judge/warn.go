package judge

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// leastParameters is how large a judge should be, in billions: smaller ones agree with
// people hardly better than chance (on JudgeBench CompassJudger has 48 % at 7B, 56 % at 14B).
const leastParameters = 14

var (
	sizeInName = regexp.MustCompile(`(?i)(?:^|[^a-z0-9.])(?:(\d+)x)?(\d+(?:\.\d+)?)([bm])(?:[^a-z0-9]|$)`)
	families   = []string{
		"llama", "qwen", "glm", "mistral", "mixtral", "gemma", "phi", "smollm", "gpt", "claude", "gemini", "deepseek", "internlm",
	}
)

// Warnings are what speaks against a judge of that name, or against it for texts of that
// writer: sentences for people.
func Warnings(judge, writer string) []string {
	var all []string
	if billions := parameters(judge); billions > 0 && billions < leastParameters {
		all = append(all, fmt.Sprintf("the judge %s has %gB parameters by its name: below %dB judges tell texts apart "+
			"hardly better than chance, so calibrate it before its marks are believed", judge, billions, leastParameters))
	}
	for _, family := range families {
		if strings.Contains(strings.ToLower(judge), family) && strings.Contains(strings.ToLower(writer), family) {
			all = append(all, fmt.Sprintf("the judge %s and the writer %s are both of the family %s: judges prefer what is like their own",
				judge, writer, family))
			break
		}
	}
	return all
}

// parameters are the billions of parameters that a model's name says, the most of several (of
// a mixture of experts all of them); 0: it says none.
func parameters(name string) float64 {
	most := 0.0
	for at := 0; at < len(name); {
		m := sizeInName.FindStringSubmatchIndex(name[at:])
		if m == nil {
			break
		}
		part := func(i int) string {
			if m[2*i] < 0 {
				return ""
			}
			return name[at+m[2*i] : at+m[2*i+1]]
		}
		n, err := strconv.ParseFloat(part(2), 64)
		if err != nil {
			break
		}
		if experts, err := strconv.Atoi(part(1)); err == nil {
			n *= float64(experts)
		}
		if strings.EqualFold(part(3), "m") {
			n /= 1000
		}
		most = max(most, n)
		at += m[7] // the mark behind a size may stand before the next one
	}
	return most
}
