package jinja

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// render renders with the contents of messages marked by their index.
func render(t *testing.T, source string, opts Options, contents ...string) (Output, error) {
	t.Helper()
	tmpl, err := Parse("test", source)
	if err != nil {
		return Output{}, err
	}
	messages := []Map{}
	for i, c := range contents {
		messages = append(messages, Map{{"role", "user"}, {"content", From{Source: i, Value: c}}})
	}
	opts.Now = fixedNow
	return tmpl.Render(map[string]any{"messages": messages}, opts)
}

// pieces shows which text came from where: "0:Hi" for source 0.
func pieces(out Output) string {
	var parts []string
	for _, s := range out.Sources {
		parts = append(parts, fmt.Sprintf("%d:%s", s.Source, out.Text[s.Start:s.End]))
	}
	return strings.Join(parts, "|")
}

func TestBytesKeepTheirSource(t *testing.T) {
	cases := []struct{ name, template, want string }{
		{"plain output", "a{{ messages[0].content }}b", "0: Hi, Bob "},
		{"concatenation by +", "{{ '<' + messages[0].content + '>' + messages[1].content }}", "0: Hi, Bob |1:Yo"},
		{"concatenation by ~", "{{ 1 ~ messages[0].content ~ 2 }}", "0: Hi, Bob "},
		{"the same source twice in a row is one span", "{{ messages[1].content ~ messages[1].content }}", "1:YoYo"},
		{"trim", "{{ messages[0].content | trim }}", "0:Hi, Bob"},
		{"strip, lstrip, rstrip", "{{ messages[0].content.strip() }}-{{ messages[0].content.lstrip() }}-{{ messages[0].content.rstrip() }}",
			"0:Hi, Bob|0:Hi, Bob |0: Hi, Bob"},
		{"split", "{{ messages[0].content.split(',')[-1] }}", "0: Bob "},
		{"slicing", "{{ messages[0].content[1:3] }}{{ messages[0].content[::-2] }}", "0:Hi o i "},
		{"one character", "{{ messages[0].content[1] }}", "0:H"},
		{"replace keeps what is not replaced", "{{ messages[0].content | replace('Bob', 'Ann') }}", "0: Hi, |0: "},
		{"replace by another source", "{{ messages[0].content.replace('Bob', messages[1].content) }}", "0: Hi, |1:Yo|0: "},
		{"join", "{{ messages | map(attribute='content') | join('+') }}", "0: Hi, Bob |1:Yo"},
		{"upper", "{{ ('x' ~ messages[1].content) | upper }}", "1:YO"},
		{"format", "{{ '%s!' | format(messages[1].content) }}{{ '{}?'.format(messages[1].content) }}", "1:Yo|1:Yo"},
		{"a variable and a block", "{% set x = messages[1].content %}{% set y %}[{{ x }}]{% endset %}{{ y }}", "1:Yo"},
		{"a macro", "{% macro m(c) %}<{{ c }}>{% endmacro %}{{ m(messages[1].content) }}", "1:Yo"},
		{"a loop over characters", "{% for c in messages[1].content %}{{ c }}{% endfor %}", "1:Yo"},
		{"json is marked with its quotes", "{{ messages[1].content | tojson }}", `1:"Yo"`},
		{"json of one source is marked as a whole", "{{ {'a': [messages[1].content, 1]} | tojson }}", `1:{"a": ["Yo", 1]}`},
		{"json of two sources marks the strings", "{{ [messages[0].content, messages[1].content] | tojson }}", `0:" Hi, Bob "|1:"Yo"`},
		{"repr", "{{ [messages[1].content] }}", `1:'Yo'`},
		{"indent", "{{ messages[1].content | indent(2, true) }}", "1:Yo"},
		{"what is computed from it is the template's", "{{ messages[1].content | length }}{{ messages[1].content == 'Yo' }}", ""},
		{"equal text of the template is not it", "Yo{{ messages[1].content }}Yo", "1:Yo"},
		{"a generation block changes no source", "{% generation %}a{{ messages[1].content }}{% endgeneration %}", "1:Yo"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			out, err := render(t, c.template, Options{}, " Hi, Bob ", "Yo")
			if err != nil {
				t.Fatal(err)
			}
			if got := pieces(out); got != c.want {
				t.Errorf("got %q, want %q in %q", got, c.want, out.Text)
			}
		})
	}
}

func TestKeysGetASourceOfTheirOwn(t *testing.T) {
	tmpl, err := Parse("test", "{{ m.name }} {{ m.args.name }} {{ m.text }} {{ m | tojson }}")
	if err != nil {
		t.Fatal(err)
	}
	m := Map{{"name", "f"}, {"args", map[string]any{"name": "x"}}, {"text", "y"}}
	out, err := tmpl.Render(map[string]any{"m": From{Source: 4, Value: m, Keys: map[string]int{"name": 5, "args": 4}}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := `5:f|4:x|4:y|4:"name"|5:"f"|4:"args"|4:"name"|4:"x"|4:"text"|4:"y"`
	if got := pieces(out); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestGenerationBlocksAreCounted(t *testing.T) {
	cases := []struct {
		name, template string
		want           []Span
	}{
		{"from the first byte on", "{% generation %}ab{% endgeneration %}c", []Span{{0, 2}}},
		{"two that touch", "{% generation %}ab{% endgeneration %}{% generation %}c{% endgeneration %}", []Span{{0, 2}, {2, 3}}},
		{"one around a message", "<{% generation %}a{{ messages[0].content }}b{% endgeneration %}>", []Span{{1, 5}}},
		{"in a macro", "{% macro m() %}x{% generation %}y{% endgeneration %}{% endmacro %}ab{{ m() }}", []Span{{3, 4}}},
		{"in a set block", "{% set s %}x{% generation %}y{% endgeneration %}{% endset %}ab{{ s }}", []Span{{3, 4}}},
		{"empty", "a{% generation %}{% endgeneration %}b", nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			out, err := render(t, c.template, Options{}, "zz")
			if err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(out.Generation) != fmt.Sprint(c.want) {
				t.Errorf("got %v, want %v in %q", out.Generation, c.want, out.Text)
			}
		})
	}
}

// TestStrippedContentIsFoundAsItStands: whatever a message holds, a span of its
// source is what the template made of it.
func TestStrippedContentIsFoundAsItStands(t *testing.T) {
	tmpl, err := Parse("test", "{% for m in messages %}<{{ loop.index0 }}>{{ m.content | trim }}{{ '</' ~ loop.index0 ~ '>' }}{% endfor %}")
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		contents := rapid.SliceOfN(rapid.StringMatching(`[ \n\tab<>/01é🙂]{0,12}`), 1, 5).Draw(t, "contents")
		var messages []any
		want := ""
		for i, c := range contents {
			messages = append(messages, Map{{"content", From{Source: i, Value: c}}})
			if s := strings.TrimSpace(c); s != "" {
				want += fmt.Sprintf("%d:%s|", i, s)
			}
		}
		out, err := tmpl.Render(map[string]any{"messages": messages}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := pieces(out); got != strings.TrimSuffix(want, "|") {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}

func TestHostileTemplatesAreStopped(t *testing.T) {
	loop := "{% for a in range(99999) %}{% for b in range(99999) %}"
	cases := []struct{ name, template, want string }{
		{"nested loops", "{% for a in range(9999) %}{% for b in range(999) %}{% endfor %}{% endfor %}", "steps"},
		{"endless output", loop + "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa{% endfor %}{% endfor %}",
			"more than"},
		{"a string that doubles", "{% set ns = namespace(s='aaaaaaaa') %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
			"bytes"},
		{"a list that doubles", "{% set ns = namespace(l=[1]) %}{% for i in range(99) %}{% set ns.l = ns.l + ns.l %}{% endfor %}", "bytes"},
		{"replace that doubles", "{% set ns = namespace(s='aa') %}{% for i in range(99) %}{% set ns.s = ns.s | replace('a', 'aa') %}" +
			"{% endfor %}", "bytes"},
		{"repetition", "{{ 'a' * 999999999999 }}", "repetitions"},
		{"repetition of a list", "{{ [1] * 999999999999 }}", "repetitions"},
		{"range", "{{ range(100001) }}", "range"},
		{"a macro that calls itself", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "deep"},
		{"a loop that calls itself", "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}", "deep"},
		{"a value inside itself, printed", "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}", "nested"},
		{"a deep value, printed", "{% set ns = namespace(l=[]) %}{% for i in range(9999) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}",
			"nested"},
		{"a deep value, compared", "{% set ns = namespace(l=[], m=[]) %}{% for i in range(9999) %}{% set ns.l = [ns.l] %}" +
			"{% set ns.m = [ns.m] %}{% endfor %}{{ ns.l == ns.m }}", "nested"},
		{"a deep value, as json", "{% set ns = namespace(l=[]) %}{% for i in range(9999) %}{% set ns.l = [ns.l] %}{% endfor %}" +
			"{{ ns.l | tojson }}", "nested"},
		{"a deep tuple as a key", "{% set ns = namespace(l=()) %}{% for i in range(99999) %}{% set ns.l = (ns.l,) %}{% endfor %}" +
			"{{ {ns.l: 1} }}", "key"},
		{"padding", "{{ 'a'.center(9999999999) }}", "width"},
		{"a format's width", "{{ '%999999d' % 1 }}", "width"},
		{"a format's width from a value", "{{ '%*d' % (99999999999, 1) }}{{ '{:999999}'.format(1) }}", "width"},
		{"an indentation", "{{ 'a\\nb' | indent(99999999) }}", "indent"},
		{"json's indentation", "{{ [[[[[[1]]]]]] | tojson(indent=99999999) }}", "indent"},
		{"a power", "{{ 10 ** 10 ** 10 }}", "64 bits"},
		{"parentheses", strings.Repeat("{{ ", 1) + strings.Repeat("(", 5000) + strings.Repeat(")", 5000) + " }}", "nested"},
		{"signs", "{{ " + strings.Repeat("-", 5000) + "1 }}", "nested"},
		{"nots", "{{ " + strings.Repeat("not ", 5000) + "1 }}", "nested"},
		{"blocks", strings.Repeat("{% if 1 %}", 5000), "nested"},
		{"a long sum", "{{ 1" + strings.Repeat(" + 1", 5000) + " }}", "nested"},
		{"a long or", "{{ 0" + strings.Repeat(" or 0", 5000) + " }}", "nested"},
		{"many filters", "{{ 'a'" + strings.Repeat("|upper", 5000) + " }}", "nested"},
		{"a template of many bytes", strings.Repeat("a", 1<<20+1), "bytes"},
		{"another file", "{% include 'x' %}", "not supported"},
		{"a change of its input", "{{ messages.append(1) }}", "not safe"},
		{"python's inside", "{{ ''.__class__.__mro__ }}", "unsafe"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			start := time.Now()
			_, err := render(t, c.template, Options{Limits: Limits{Steps: 2_000_000, Bytes: 32 << 20}}, "Hi")
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want one about %q", err, c.want)
			}
			if strings.Contains(err.Error(), "internal") {
				t.Fatal(err)
			}
			if d := time.Since(start); d > time.Minute {
				t.Errorf("took %v", d)
			}
		})
	}
}

func TestErrorsNameTheLine(t *testing.T) {
	cases := []struct{ template, want string }{
		{"a\n\n{{ nope.x }}", "test:3: 'nope' is undefined"},
		{"a\n{% if t %}\n", "test:2: a block that is not closed, want {% endif %}"},
		{"a\n{{ 'x", "test:2: a string that is not closed, want \"'\""},
		{"{% macro m() %}\n{{ 1 / 0 }}{% endmacro %}\n\n{{ m() }}", "test:2: division by zero"},
		{"\n{{ raise_exception('no tools here') }}", "test:2: no tools here"},
		{"{{ messages[0].content | nope }}", "test:1: there is no filter \"nope\""},
		{"{{ messages[0].content + 1 }}", "test:1: + of a str and a int"},
	}
	for _, c := range cases {
		if _, err := render(t, c.template, Options{}, "Hi"); err == nil || err.Error() != c.want {
			t.Errorf("%q: error %v, want %s", c.template, err, c.want)
		}
	}
	_, err := render(t, "{{ raise_exception('x') }}", Options{})
	var e *Error
	if !errors.As(err, &e) || !e.Raised {
		t.Errorf("raise_exception is not told from other errors: %v", err)
	}
}

func FuzzRender(f *testing.F) {
	for _, seed := range []string{
		"{% for m in messages %}{{ m.role + m.content | trim }}{% endfor %}",
		"{%- set ns = namespace(a=1) -%}{% set ns.a = ns.a + 1 %}{{ ns.a ~ messages | tojson(indent=2) }}",
		"{% macro m(a, b=1) %}{{ a[::-1] }}{% endmacro %}{{ m(messages[0].content) }}{# c #}{% raw %}{{{% endraw %}",
		"{% generation %}{{ messages[-1]['content'].split(' ') | join('-') | upper }}{% endgeneration %}",
		"{{ '%5s|%-5d' % (messages[0].content, 3) }}{{ '{:>9}'.format('x') }}{{ l | sort | map('string') | list }}",
		"{% for a, b in {'x': 1} | dictsort %}{{ loop.cycle(a, b) }}{% break %}{% else %}{% endfor %}",
		"{% filter replace('a', 'b') %}a{% endfilter %}{% with a = 1 %}{{ a is number and not a is none }}{% endwith %}",
	} {
		f.Add(seed, " Hi 🙂 ")
	}
	f.Fuzz(func(t *testing.T, source, content string) {
		tmpl, err := Parse("fuzz", source)
		if err == nil {
			var out Output
			out, err = tmpl.Render(map[string]any{
				"messages": []Map{{{"role", "user"}, {"content", From{Source: 0, Value: content}}},
					{{"role", "x"}, {"content", From{Source: 1, Value: "b c"}}}},
				"l": []any{3, "a", nil},
			}, Options{Limits: Limits{Steps: 100_000, Bytes: 1 << 20}, Now: fixedNow})
			checkOutput(t, out)
		}
		var e *Error
		if err != nil && (!errors.As(err, &e) || strings.Contains(e.Msg, "internal error")) {
			t.Fatal(err)
		}
	})
}

// checkOutput holds what every Output must: spans ascend, stay apart, and lie
// within the text.
func checkOutput(t *testing.T, out Output) {
	t.Helper()
	end, source := 0, -1
	for _, s := range out.Sources {
		if s.Start < end || s.End <= s.Start || s.End > len(out.Text) || s.Start == end && s.Source == source {
			t.Fatalf("sources %v in %d bytes", out.Sources, len(out.Text))
		}
		end, source = s.End, s.Source
	}
	end = 0
	for _, s := range out.Generation {
		if s.Start < end || s.End <= s.Start || s.End > len(out.Text) {
			t.Fatalf("generation %v in %d bytes", out.Generation, len(out.Text))
		}
		end = s.End
	}
	if utf8.ValidString(out.Text) {
		for _, s := range out.Sources {
			if !utf8.ValidString(out.Text[s.Start:s.End]) {
				t.Fatalf("source span %v cuts a character", s)
			}
		}
	}
}

func BenchmarkRender(b *testing.B) {
	tmpl, err := Parse("chatml", "{% for message in messages %}"+
		"{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}{% endfor %}")
	if err != nil {
		b.Fatal(err)
	}
	text := strings.Repeat("a long story, ", 4000)
	messages := []Map{{{"role", "user"}, {"content", From{Source: 0, Value: "Write."}}},
		{{"role", "assistant"}, {"content", From{Source: 1, Value: text}}}}
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := tmpl.Render(map[string]any{"messages": messages}, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
