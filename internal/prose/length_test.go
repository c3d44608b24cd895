package prose

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

func TestAStatedLengthIsReadFromThePrompt(t *testing.T) {
	for prompt, want := range map[string]Length{
		"":                                              {},
		"Tell me a story":                               {},
		"In other words, say it again":                  {},
		"Use these 5 words in a text":                   {},
		"Write a 1000-word story":                       {1000, 1000},
		"A story of 1,000 words, please":                {1000, 1000},
		"It must be at least 800 words.":                {800, 0},
		"no less than 2000 Words":                       {2000, 0},
		"more than 5000 words":                          {5000, 0},
		"no more than 300 words":                        {0, 300},
		"in 200 words or less":                          {0, 200},
		"1500+ words":                                   {1500, 0},
		"2000 words or more":                            {2000, 0},
		"between 500 and 700 words":                     {500, 700},
		"an essay of 300-400 words":                     {300, 400},
		"about 1.5k words":                              {1500, 1500},
		"ten thousand words":                            {10000, 10000},
		"a two-thousand-word essay":                     {2000, 2000},
		"a thousand words":                              {1000, 1000},
		"two thousand five hundred words":               {2500, 2500},
		"Word count: 1,200":                             {1200, 1200},
		"The word limit is at most 250.":                {0, 250},
		"A 300 English words text":                      {300, 300},
		"Five parts of 200 words each":                  {},
		"each paragraph should have 100 words":          {},
		"100 words per part, 1000 words in all":         {1000, 1000},
		"In 2020 wordsmiths met":                        {},
		"写一篇2000字的文章":                                   {2000, 2000},
		"不少于800字":                                       {800, 0},
		"400字以上":                                        {400, 0},
		"200字以内":                                        {0, 200},
		"不超过500字":                                       {0, 500},
		"300到400字":                                      {300, 400},
		"字数要求100至200字。":                                 {100, 200},
		"字数要求：2000左右":                                   {2000, 2000},
		"讲稿字数1400左右":                                    {1400, 1400},
		"文章字数不低于1500字":                                  {1500, 0},
		"扩写到八百字":                                        {800, 800},
		"一万二千字的小说":                                      {12000, 12000},
		"十五万字":                                          {150000, 150000},
		"1.5万字":                                         {15000, 15000},
		"写2千字":                                          {2000, 2000},
		"300词的英语作文":                                     {300, 300},
		"每段300字":                                        {},
		"背3000词汇":                                       {},
		"占用1024字节":                                      {},
		"二十字":                                           {20, 20},
		"99999999999999999999999999 words":              {},
		"99999999999999999999999999999999999999999999字": {},
	} {
		if got := StatedLength(prompt); got != want {
			t.Errorf("%q: %v, want %v", prompt, got, want)
		}
	}
}

// The lengths of LongBench-Write and LongWrite-Ruler were set by people.
func TestStatedLengthsOfLongBenchWrite(t *testing.T) {
	dir := os.Getenv("LWTRAIN_TEST_DATA")
	if dir == "" {
		t.Skip("LWTRAIN_TEST_DATA names no folder with longbench_write.jsonl")
	}
	for name, want := range map[string][2]int{ // found at all, of those right
		"longbench_write.jsonl":    {114, 114}, // the other 6 of 120 name no length of the whole
		"longbench_write_en.jsonl": {58, 58},   // of 60
		"longwrite_ruler.jsonl":    {48, 48},
	} {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Skip(err)
		}
		defer f.Close()
		found, right, all := 0, 0, 0
		for lines := bufio.NewScanner(f); lines.Scan(); {
			var x struct {
				Prompt string
				Length int
			}
			if err := json.Unmarshal(lines.Bytes(), &x); err != nil {
				t.Fatal(err)
			}
			all++
			got := StatedLength(x.Prompt).Words()
			if got > 0 {
				found++
			}
			if got == x.Length {
				right++
			} else {
				t.Logf("%s: %d, want %d: %s", name, got, x.Length, tail(x.Prompt, 120))
			}
		}
		if found != want[0] || right != want[1] {
			t.Errorf("%s: of %d prompts %d with a length, %d of them right; want %d and %d", name, all, found, right, want[0], want[1])
		}
	}
}
