package plan

var inChinese = []written{
	{name: "the paper's form in Chinese", reply: `段落1 - 要点：介绍人工智能的发展历程 - 字数：400字
段落2 - 要点：分析当前的应用领域 - 字数：600字`,
		want: []any{"介绍人工智能的发展历程", 400, "分析当前的应用领域", 600}},
	{name: "full-width digits and colons", reply: `段落１－要点：春天的到来－字数：４００字

段落２－要点：夏天的炎热－字数：５００字`,
		want: []any{"春天的到来", 400, "夏天的炎热", 500}},
	{name: "counts in Chinese numerals", reply: `第一段 - 主要内容：故事的开端 - 字数：四百字
第二段 - 主要内容：矛盾的激化 - 字数：一千字
第三段 - 主要内容：结局 - 字数：两百五十字`,
		want: []any{"故事的开端", 400, "矛盾的激化", 1000, "结局", 250}},
	{name: "ranges and about", reply: `1. 引言：说明研究背景（约400-500字）
2. 文献综述：梳理国内外研究（约800字左右）
3. 结论（300字）`,
		want: []any{"引言：说明研究背景", 500, "文献综述：梳理国内外研究", 800, "结论", 300}},
	{name: "bold headings with items", reply: `**段落1：引子**
- 要点：老人坐在河边
- 字数：300字

**段落2：回忆**
- 要点：战争年代的爱情
- 字数：800字`,
		want: []any{"引子: 老人坐在河边", 300, "回忆: 战争年代的爱情", 800}},
	{name: "numbers with a pause mark", reply: `一、项目背景（400字）
二、市场分析（600字）
三、财务预测（500字）`,
		want: []any{"项目背景", 400, "市场分析", 600, "财务预测", 500}},
	{name: "the English form with Chinese points", reply: `Paragraph 1 - Main Point: 描述主人公的童年 - Word Count: 400字
Paragraph 2 - Main Point: 描述主人公的求学 - Word Count: 500 words`,
		want: []any{"描述主人公的童年", 400, "描述主人公的求学", 500}},
	{name: "a preamble and a total", reply: `好的，以下是这篇5000字文章的写作计划：

段落1 - 要点：开篇点题 - 字数：300字
段落2 - 要点：展开论述 - 字数：700字

总计：1000字。希望对您有帮助！`,
		want: []any{"开篇点题", 300, "展开论述", 700}},
	{name: "a table", reply: `| 段落 | 要点 | 字数 |
| --- | --- | --- |
| 1 | 环境描写 | 300字 |
| 2 | 人物登场 | 400 |
| 合计 | | 700字 |`,
		want: []any{"环境描写", 300, "人物登场", 400}},
	{name: "JSON with Chinese keys", reply: "```json\n" + `{"段落": [{"要点": "开头", "字数": 300}, {"要点": "结尾", "字数": "四百字"}]}` + "\n```",
		want: []any{"开头", 300, "结尾", 400}},
	{name: "point and count on lines of their own", reply: `段落一
要点：介绍城市的历史
字数：400字

段落二
要点：介绍城市的美食
字数：500字`,
		want: []any{"介绍城市的历史", 400, "介绍城市的美食", 500}},
	{name: "headings with parts", reply: `### 第一部分：概述（500字）
说明目的。

### 第二部分：细则（900字）
逐条说明。`,
		want: []any{"概述 说明目的。", 500, "细则 逐条说明。", 900}},
	{name: "a thousand and its half", reply: `段落1 - 要点：甲 - 字数：1千字
段落2 - 要点：乙 - 字数：800字以内
段落3 - 要点：丙 - 字数：不少于600字`,
		want: []any{"甲", 1000, "乙", 800, "丙", 600}},
	{name: "names of the count with a requirement", reply: `段落1：主旨：家乡的变化，字数要求：400字
段落2：主旨：家乡的人，字数要求：500字`,
		want: []any{"家乡的变化", 400, "家乡的人", 500}},
	{name: "no blank between number and count", reply: `第1段：开头，写雪夜，400字
第2段：中间，写来客，600字`,
		want: []any{"开头，写雪夜", 400, "中间，写来客", 600}},
	{name: "a sum behind the plan without a blank line", reply: `段落1 - 要点：甲 - 字数：400字
段落2 - 要点：乙 - 字数：500字
字数总计：900字`,
		want: []any{"甲", 400, "乙", 500}},
}

var notOne = []written{
	{name: "sentences about plans", reply: `I will write 3 paragraphs, each with a point and a word count requirement of 400 words.

Every paragraph should have a word count requirement of 100 words.

The paragraph should have a word count of 300 words.`, broken: "there is no plan"},
	{name: "a list of sentences about paragraphs", reply: `1. The main point of this paragraph is that tea is good.
2. The key concepts are leaves and water.
3. The word count requirement for this paragraph is 100 words.`, broken: "paragraphs 1 and 2 have no word count"},
	{name: "the form without counts", reply: `Title: The Autumn

Paragraph 1:

In the autumn, the people of the town are outdoors.

Paragraph 2:

They do it for their health.`, broken: "paragraphs 1 and 2 have no word count"},
	{name: "a missing count before a heading that has one", reply: `Paragraph 1 - Main Point: A - Word Count: 400 words
Paragraph 2 - Main Point: B

### Section 2: Results (800 words)
Paragraph 3 - Main Point: C - Word Count: 400 words`, broken: "paragraph 2 has no word count"},
	{name: "a heading with a count between numbers", reply: `1. A (300 words)
2. B (400 words)

## C (500 words)
Of the sea.`, broken: "no number"},
	{name: "a heading without anything below it", reply: `**The sea**
- Ships (300 words)
- Captains (400 words)

**The land**`, broken: "paragraph 1 has two word counts"},
	{name: "a length of each of several things", reply: `1. Two case studies (400 words each)
2. A summary (300 words)`, broken: "paragraph 1 has no word count"},
	{name: "a paragraph without a count", reply: `Paragraph 1 - Main Point: A - Word Count: 400 words
Paragraph 2 - Main Point: B - Word Count: 500 words
Paragraph 3 - Main Point: C
Paragraph 4 - Main Point: D - Word Count: 500 words`, broken: "paragraph 3 has no word count"},
	{name: "several without one", reply: `段落1 - 要点：甲
段落2 - 要点：乙 - 字数：500字
段落3 - 要点：丙`, broken: "paragraphs 1 and 3 have no word count"},
	{name: "a count that is no number", reply: `Paragraph 1 - Main Point: A - Word Count: TBD
Paragraph 2 - Main Point: B - Word Count: 400 words`, broken: "paragraph 1 has no word count"},
	{name: "a plan that is cut off", reply: `Paragraph 1 - Main Point: A - Word Count: 400 words
Paragraph 2 - Main Point: B - Word Count: 400 words
Paragraph 3 - Main Point: The longest and most`, broken: "paragraph 3 has no word count"},
	{name: "a number that is left out", reply: `Paragraph 1 - Main Point: A - Word Count: 400 words
Paragraph 3 - Main Point: C - Word Count: 400 words`, broken: "paragraph 3 follows paragraph 1, want paragraph 2"},
	{name: "two plans", reply: `Paragraph 1 - Main Point: A - Word Count: 400 words
Paragraph 2 - Main Point: B - Word Count: 400 words

Alternatively:

Paragraph 1 - Main Point: C - Word Count: 400 words
Paragraph 2 - Main Point: D - Word Count: 400 words`, broken: "start again at 1"},
	{name: "paragraphs that are left out by dots", reply: `Paragraph 1 - Main Point: A - Word Count: 400 words
Paragraph 2 - Main Point: B - Word Count: 400 words
...
Paragraph 3 - Main Point: C - Word Count: 400 words`, broken: "leaves paragraphs out"},
	{name: "the example of the form",
		reply: `Paragraph 1 - Main Point: [Describe the main point of the paragraph, in detail] - Word Count: ` +
			`[Word count requirement, e.g., 400 words]

Paragraph 2 - Main Point: [Describe the main point of the paragraph, in detail] - Word Count: [word count requirement, e.g. 1000 words].`,
		broken: "repeats the example"},
	{name: "a refusal", reply: "I'm sorry, but I can't help with writing 5000 words about that.", broken: "there is no plan"},
	{name: "the text itself",
		reply: "It was a dark night. The rain fell.\n\nNobody had seen the captain for 3 days.", broken: "there is no plan"},
	{name: "nothing", reply: " \n", broken: "there is no plan"},
	{name: "thoughts without an end",
		reply:  "<think>\nParagraph 1 - Main Point: A - Word Count: 400 words\nParagraph 2 - Main Point: B - Word Count: 400 words",
		broken: "before its thinking does"},
	{name: "JSON that is cut off",
		reply: `[{"main_point": "A", "word_count": 400}, {"main_point": "B", "word_co`, broken: "broken JSON: it ends in the middle"},
	{name: "JSON without a count",
		reply: `[{"main_point": "A", "word_count": 400}, {"main_point": "B"}]`, broken: "paragraph 2 has no word count"},
	{name: "JSON of something else", reply: `{"error": "rate limit", "code": 429}`, broken: "has no paragraphs"},
	{name: "several paragraphs on a line", reply: `Paragraph 1 - Main Point: A - Word Count: 400 words
Paragraphs 2-5: The middle (1600 words)`, broken: "several paragraphs on one line"},
	{name: "a paragraph without a number behind the others", reply: `Paragraph 1 - Main Point: A - Word Count: 400 words
Paragraph 2 - Main Point: B - Word Count: 400 words
Conclusion - Word Count: 300 words`, broken: "no number"},
	{name: "a paragraph without a number before the others", reply: `Introduction - Word Count: 300 words
Paragraph 1 - Main Point: A - Word Count: 400 words
Paragraph 2 - Main Point: B - Word Count: 400 words`, broken: "before paragraph 1"},
	{name: "two counts for one paragraph", reply: `Paragraph 1 - Main Point: A - Word Count: 400 words, Word Count: 600 words
Paragraph 2 - Main Point: B - Word Count: 400 words`, broken: "two word counts (400 and 600)"},
	{name: "a count without a point", reply: `Paragraph 1 - Word Count: 400 words
Paragraph 2 - Main Point: B - Word Count: 400 words`, broken: "paragraph 1 has no main point"},
	{name: "characters are no words", reply: `Paragraph 1 - Main Point: A - Word Count: 400 characters
Paragraph 2 - Main Point: B - Word Count: 400 words`, broken: "paragraph 1 has no word count"},
	{name: "a row of a table that lacks its count", reply: `| Paragraph | Point | Words |
|---|---|---|
| 1 | A | 400 |
| 2 | B | |`, broken: "paragraph 2 has no word count"},
	{name: "a line without a count in the middle", reply: `Introduction - 400 words
Method
Results - 800 words
Outlook - 300 words`, broken: `"Method" has no word count`},
}
