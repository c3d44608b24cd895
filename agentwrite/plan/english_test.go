package plan

// written is a plan as a model wrote it, and what is read of it: points and words in turn, or part
// of an error.
type written struct {
	name, reply string
	want        []any
	broken      string
}

var inEnglish = []written{
	{name: "the paper's form", reply: `Paragraph 1 - Main Point: Introduce the Roman Empire and its founding - Word Count: 400 words

Paragraph 2 - Main Point: Describe the reign of Augustus - Word Count: 600 words.

Paragraph 3 - Main Point: Explain the fall of the West, in detail - Word Count: 1000 words`,
		want: []any{"Introduce the Roman Empire and its founding", 400, "Describe the reign of Augustus", 600,
			"Explain the fall of the West, in detail", 1000}},
	{name: "a preamble and an epilogue are none of the plan", reply: `Sure! Here is a breakdown of the 5,000-word essay into subtasks:

Paragraph 1 - Main Point: The origins of jazz - Word Count: 500 words
Paragraph 2 - Main Point: The swing era - Word Count: 700 words

This plan keeps to your requirements. Each paragraph has between 200 and 1000 words. Let me know if you want changes!`,
		want: []any{"The origins of jazz", 500, "The swing era", 700}},
	{name: "names in bold", reply: `**Paragraph 1** - **Main Point:** The city before the flood - **Word Count:** 450 words

**Paragraph 2** - **Main Point:** The night of the flood - **Word Count:** 800 words`,
		want: []any{"The city before the flood", 450, "The night of the flood", 800}},
	{name: "whole lines in bold", reply: `**Paragraph 1 - Main Point: Opening scene - Word Count: 300 words**
**Paragraph 2 - Main Point: The quarrel - Word Count: 500 words**`,
		want: []any{"Opening scene", 300, "The quarrel", 500}},
	{name: "items under headings", reply: `### Paragraph 1: Introduction
- **Main Point**: Present the topic and why it matters
- **Word Count**: 400 words

### Paragraph 2: History
- **Main Point**: Go through the history
- **Word Count**: 600 words`,
		want: []any{"Introduction: Present the topic and why it matters", 400, "History: Go through the history", 600}},
	{name: "point and count on lines of their own", reply: `Paragraph 1
Main Point: Set the scene in the harbour
Word Count: 350 words

Paragraph 2
Main Point: The ship arrives
Word Count: 450 words`,
		want: []any{"Set the scene in the harbour", 350, "The ship arrives", 450}},
	{name: "a numbered list with counts in brackets", reply: `1. Introduction to quantum computing (300 words)
2. Qubits and superposition (500 words)
3. Conclusion (200 words)`,
		want: []any{"Introduction to quantum computing", 300, "Qubits and superposition", 500, "Conclusion", 200}},
	{name: "a numbered list in bold with text below", reply: `1. **Introduction (300 words)**
   Explain what the report is about.
2. **Findings (900 words)**
   Go through the numbers.
   Compare them with last year.
3. **Outlook (400 words)**
   Say what comes next.`,
		want: []any{"Introduction Explain what the report is about.", 300,
			"Findings Go through the numbers. Compare them with last year.", 900, "Outlook Say what comes next.", 400}},
	{name: "a numbered list of lines in the paper's form", reply: `1. Paragraph 1 - Main Point: A - Word Count: 400 words
2. Paragraph 2 - Main Point: B - Word Count: 500 words`,
		want: []any{"A", 400, "B", 500}},
	{name: "items in the paper's form", reply: `- Paragraph 1 - Main Point: Birth - Word Count: 400 words
- Paragraph 2 - Main Point: Youth - Word Count: 500 words`,
		want: []any{"Birth", 400, "Youth", 500}},
	{name: "items with a count at the end", reply: `* Why bees matter - 400 words
* How a hive works - 600 words
* What kills bees - 500 words`,
		want: []any{"Why bees matter", 400, "How a hive works", 600, "What kills bees", 500}},
	{name: "headings with counts and prose below", reply: `# Plan for the novel chapter

## The letter (450 words)
Anna finds a letter in the attic.

## The journey (700 words)
She takes the night train.

## The house (650 words)
Nobody opens.`,
		want: []any{"The letter Anna finds a letter in the attic.", 450, "The journey She takes the night train.", 700,
			"The house Nobody opens.", 650}},
	{name: "a table", reply: `| Paragraph | Main Point | Word Count |
|---|---|---|
| 1 | The causes of the war | 400 words |
| 2 | The course of the war | 800 words |
| 3 | The peace | 300 words |
| **Total** | | 1500 words |`,
		want: []any{"The causes of the war", 400, "The course of the war", 800, "The peace", 300}},
	{name: "a table with titles and bare numbers", reply: `Here's the plan:

| # | Section | Focus | Words |
|:-:|:--------|:------|------:|
| 1 | **Hook** | A storm at sea | 250 |
| 2 | **Body** | The rescue | 1,000 |`,
		want: []any{"Hook: A storm at sea", 250, "Body: The rescue", 1000}},
	{name: "JSON in a fence", reply: "Here is the plan:\n\n```json\n" + `[
  {"paragraph": 1, "main_point": "The dawn of flight", "word_count": 400},
  {"paragraph": 2, "main_point": "The Wright brothers", "word_count": "600 words"},
]` + "\n```\nLet me know!",
		want: []any{"The dawn of flight", 400, "The Wright brothers", 600}},
	{name: "an object of JSON with paragraphs", reply: `{"title": "Flight", "total_words": 1000, "paragraphs": [
{"Main Point": "Balloons", "Word Count": "400-500 words"}, {"Main Point": "Gliders", "Word Count": "approx. 500"}]}`,
		want: []any{"Balloons", 500, "Gliders", 500}},
	{name: "an object of JSON with a member for each paragraph",
		reply: `{"Paragraph 1": {"title": "Start", "content": ["a", "b"], "words": 300},
 "Paragraph 2": {"title": "End", "content": "c", "words": 400}}`,
		want: []any{"Start: a; b", 300, "End: c", 400}},
	{name: "objects of JSON on lines", reply: `{"point": "One", "words": 300}
{"point": "Two", "words": 400}`,
		want: []any{"One", 300, "Two", 400}},
	{name: "a list of texts in JSON",
		reply: `["Paragraph 1 - Main Point: One - Word Count: 300 words", "Paragraph 2 - Main Point: Two - Word Count: 400 words"]`,
		want:  []any{"One", 300, "Two", 400}},
	{name: "thoughts before the plan", reply: `<think>
The user wants 2000 words. Paragraph 1 - Main Point: no - Word Count: 100 words. Hmm.
</think>

Paragraph 1 - Main Point: Yes - Word Count: 900 words
Paragraph 2 - Main Point: And more - Word Count: 1000 words`,
		want: []any{"Yes", 900, "And more", 1000}},
	{name: "the end of thoughts without their start", reply: `so that's the plan.
</think>
Paragraph 1 - Main Point: Yes - Word Count: 900 words
Paragraph 2 - Main Point: And more - Word Count: 1000 words`,
		want: []any{"Yes", 900, "And more", 1000}},
	{name: "ranges, separators, k and no unit", reply: `Paragraph 1 - Main Point: A range - Word Count: 400-500 words
Paragraph 2 - Main Point: A separator - Word Count: approx. 1,000
Paragraph 3 - Main Point: A thousand - Word Count: 1k words
Paragraph 4 - Main Point: Bare - Word Count: 400
Paragraph 5 - Main Point: About - Word Count: ~600 words
Paragraph 6 - Main Point: Joined by to - Word Count: 400 to 500 words
Paragraph 7 - Main Point: In words - Word Count: five hundred words`,
		want: []any{"A range", 500, "A separator", 1000, "A thousand", 1000, "Bare", 400, "About", 600,
			"Joined by to", 500, "In words", 500}},
	{name: "brackets of the form are kept", reply: `Paragraph 1 - Main Point: [Introduce the theme] - Word Count: [400 words]
Paragraph 2 - Main Point: [Develop it] - Word Count: [500 words]`,
		want: []any{"Introduce the theme", 400, "Develop it", 500}},
	{name: "a total at the end", reply: `Paragraph 1 - Main Point: A - Word Count: 400 words
Paragraph 2 - Main Point: B - Word Count: 500 words

**Total Word Count: 900 words**`,
		want: []any{"A", 400, "B", 500}},
	{name: "the length so far in brackets", reply: `Paragraph 1 - Main Point: A - Word Count: 400 words (total so far: 400 words)
Paragraph 2 - Main Point: B - Word Count: 500 words (total so far: 900 words)`,
		want: []any{"A", 400, "B", 500}},
	{name: "colons and steps", reply: `Step 1: Introduce the hero. (about 300 words)
Step 2: The hero fails. (about 400 words)
Step 3: The hero returns. (about 500 words)`,
		want: []any{"Introduce the hero.", 300, "The hero fails.", 400, "The hero returns.", 500}},
	{name: "sections with paragraphs in them", reply: `**Section 1: Background**
Paragraph 1 - Main Point: The company - Word Count: 300 words
Paragraph 2 - Main Point: The market - Word Count: 400 words

**Section 2: Results**
Paragraph 3 - Main Point: Revenue - Word Count: 500 words`,
		want: []any{"The company", 300, "The market", 400, "Revenue", 500}},
	{name: "all on one line",
		reply: `Paragraph 1 - Main Point: A - Word Count: 400 words. Paragraph 2 - Main Point: B - Word Count: 500 words. ` +
			`Paragraph 3 - Main Point: C - Word Count: 600 words.`,
		want: []any{"A", 400, "B", 500, "C", 600}},
	{name: "items below a step that has its count", reply: `**Paragraph 1: The village (400 words)**
- The mill
- The church
**Paragraph 2: The road (500 words)**
- The milestone`,
		want: []any{"The village The mill The church", 400, "The road The milestone", 500}},
	{name: "a count before the point", reply: `1. (300 words) Open with the trial.
2. (400 words) Go back ten years.`,
		want: []any{"Open with the trial.", 300, "Go back ten years.", 400}},
	{name: "numbers in a point are no counts",
		reply: `Paragraph 1 - Main Point: The 1920s, when 500 words cost 3 dollars - Word Count: 400 words
Paragraph 2 - Main Point: 10 rules of style - Word Count: 500 words`,
		want: []any{"The 1920s, when 500 words cost 3 dollars", 400, "10 rules of style", 500}},
	{name: "titles and lengths without numbers", reply: `Introduction: the state of the art - 400 words
Method: how we measured - 600 words
Results - 800 words`,
		want: []any{"Introduction: the state of the art", 400, "Method: how we measured", 600, "Results", 800}},
	{name: "a bold name with the count on the next line", reply: `**1. Arrival**
Word Count: 300 words
The narrator arrives.

**2. Departure**
Word Count: 400 words
The narrator leaves.`,
		want: []any{"Arrival The narrator arrives.", 300, "Departure The narrator leaves.", 400}},
	{name: "parentheses with the name of the count", reply: `Paragraph 1: The crime (Word Count: 500 words)
Paragraph 2: The search (Word Count: 700 words)`,
		want: []any{"The crime", 500, "The search", 700}},
	{name: "a list that numbers every line 1", reply: `1. Hope (300 words)
1. Fear (400 words)`,
		want: []any{"Hope", 300, "Fear", 400}},
	{name: "windows line ends and blank lines of blanks",
		reply: "Paragraph 1 - Main Point: A - Word Count: 400 words\r\n \r\n\r\nParagraph 2 - Main Point: B - Word Count: 500 words\r\n",
		want:  []any{"A", 400, "B", 500}},
	{name: "a separate heading for the plan", reply: `# Writing Plan

**Target length:** 900 words

Paragraph 1 - Main Point: A - Word Count: 400 words
Paragraph 2 - Main Point: B - Word Count: 500 words`,
		want: []any{"A", 400, "B", 500}},
	{name: "Roman numbers", reply: `I. Introduction (300 words)
Say why.

II. Argument (700 words)
Say how.

III. Conclusion (200 words)
Say so what.`,
		want: []any{"Introduction Say why.", 300, "Argument Say how.", 700, "Conclusion Say so what.", 200}},
	{name: "parts with Roman numbers", reply: `Part I: The war - Word Count: 300 words
Part II: The peace - Word Count: 400 words`,
		want: []any{"The war", 300, "The peace", 400}},
	{name: "names in italics", reply: `**Paragraph 1**: *Main Point*: The war; *Word Count*: 300
**Paragraph 2**: *Main Point*: The peace; *Word Count*: 400`,
		want: []any{"The war", 300, "The peace", 400}},
	{name: "dashes in place of colons", reply: `Paragraph 1: Main Point - The war; Word Count - 300 words
Paragraph 2: Main Point - The peace; Word Count - 400 words`,
		want: []any{"The war", 300, "The peace", 400}},
	{name: "YAML", reply: `plan:
- paragraph: 1
  main_point: The war
  word_count: 300
- paragraph: 2
  main_point: The peace
  word_count: 400 words`,
		want: []any{"The war", 300, "The peace", 400}},
	{name: "JSON with sections of paragraphs",
		reply: `{"outline": [{"section": "A", "paragraphs": [{"point": "One", "words": 300},
{"point": "Two", "words": 400}]},
{"section": "B", "paragraphs": [{"paragraph": "Three", "words": 500}]}]}`,
		want: []any{"One", 300, "Two", 400, "Three", 500}},
	{name: "the count before the point", reply: `Paragraph 1 - Word Count: 300 words - Main Point: The war
Paragraph 2 - Word Count: 400 words - Main Point: The peace`,
		want: []any{"The war", 300, "The peace", 400}},
	{name: "a preamble on the line of the first paragraph",
		reply: `Here is the plan: Paragraph 1 - Main Point: The war - Word Count: 300 words
Paragraph 2 - Main Point: The peace - Word Count: 400 words`,
		want: []any{"The war", 300, "The peace", 400}},
	{name: "titles in brackets", reply: `Paragraph 1 (Introduction) - Main Point: The war - Word Count: 300 words
Paragraph 2 (Body) - Main Point: The peace - Word Count: 400 words`,
		want: []any{"(Introduction): The war", 300, "(Body): The peace", 400}},
	{name: "lengths in front of titles", reply: `Paragraph 1 - 300 words: The war
Paragraph 2 - 400 words: The peace`,
		want: []any{"The war", 300, "The peace", 400}},
	{name: "items with counts under headings without any", reply: `**The sea**
- Ships (300 words)
- Captains (400 words)

**The land**
- Roads (500 words)`,
		want: []any{"Ships", 300, "Captains", 400, "Roads", 500}},
	{name: "numbers that go on under headings", reply: `## Part of the sea
1. Ships (300 words)
2. Captains (400 words)
## Part of the land
3. Roads (500 words)`,
		want: []any{"Ships", 300, "Captains", 400, "Roads", 500}},
	{name: "counts in sentences that end their lines", reply: `1. Introduce tea in about 300 words.
2. Tell its history. The word count is 400 words.`,
		want: []any{"Introduce tea in about 300 words.", 300, "Tell its history. The word count is 400 words.", 400}},
}
