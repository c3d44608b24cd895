package prose

// textCases are prompts that name lengths of texts that there are, each rule with its
// siblings that ask for a length, and other words around a number.
var textCases = []lengthCase{
	{"a fraction is part of the number", map[string]Length{
		"Write 2½ thousand words":                          {2500, 2500},
		"Write 2 ½ thousand words":                         {2500, 2500},
		"Write 1½ thousand words":                          {1500, 1500},
		"a 2½k words story":                                {2500, 2500},
		"½ thousand words":                                 {500, 500},
		"½k words":                                         {500, 500},
		"1¼ thousand words":                                {1250, 1250},
		"Write ½ a page, 200 words":                        {200, 200},
		"2½ words":                                         {},
		"2⅓ thousand words":                                {},
		"⅓ million words":                                  {},
		"2½万字":                                             {25000, 25000},
		"½万字":                                              {5000, 5000},
		"a quarter million words":                          {250000, 250000},
		"a quarter of a million words":                     {250000, 250000},
		"quarter of a million words":                       {250000, 250000},
		"three quarters of a million words":                {750000, 750000},
		"one and a quarter million words":                  {1250000, 1250000},
		"half of a million words":                          {500000, 500000},
		"half a thousand to one and a half thousand words": {500, 1500},
		"In the first quarter 500 words":                   {500, 500},
	}},
}
