"""Makes golden.json: small templates as transformers' own Jinja environment renders them.

    python golden.py

Made with transformers 4.57.3, Jinja2 3.1.6.
"""

import datetime
import json
import pathlib

import transformers.utils.chat_template_utils as utils


class Fixed(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2025, 3, 7, 9, 5, 1)


utils.datetime = Fixed

VARS = {
    "s": "Hello, Wörld", "ws": " \t\n x y \u3000\u00a0", "e": "", "n": 7, "f": 2.5, "one": 1.0, "big": 1e16, "small": 1e-5,
    "neg": -7, "t": True, "none": None, "l": [3, 1, 2], "words": ["b", "A", "c", "a"], "d": {"b": 1, "a": {"x": [1, 2.0, None, True]}},
    "people": [{"name": "Ann", "age": 30, "tags": ["x"]}, {"name": "bob", "age": 25}, {"name": "Cid", "age": 30, "ok": True}],
    "html": "<a href='x'>&\"</a>", "multi": "one\n\ntwo\r\nthree\u2028four\n", "emoji": "a🙂é日", "q": "it's \"q\" \\ \n\x07é\u200b",
    "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": " Yo "}],
    "items_dict": {"items": 1, "get": 2, "keys": [1]}, "nested": [[1, [2, 3]], [4]], "sz": "ÀSSΣ ΟΔΟΣ straße ǆ",
}

EXPRESSIONS = r"""
1 + 2 * 3 - 4
7 // 2
-7 // 2
7 % 3
-7 % 3
7 % -3
7.5 % 2
-7.5 // 2
7 / 2
8 / 2
2 ** 10
2 ** -1
-2 ** 2
2 ** 3 ** 2
1 - -1
+n
not n
not none
true and 'x'
none or 'y'
0 or ''
1 and 0
1 < 2 < 3
1 < 3 < 2
3 > 2 >= 2
1 == 1.0
true == 1
'1' == 1
[1, 2] == [1, 2]
[1, 2] == (1, 2)
(1, 2) < (1, 3)
{'a': 1} == {'a': 1.0}
'a' < 'b'
'x' in 'xyz'
'x' not in 'xyz'
3 in l
4 not in l
'a' in d
d in [d]
not 1 in l
'a' ~ 1 ~ 2.0 ~ none ~ true
'a' + 'b' ~ 'c' + 'd'
'ab' * 3
[1] * 2
3 * 'x'
'-' * -1
[1] + [2]
(1,) + (2,)
()
(1,)
(1, 2)
1, 2
[]
[1, 'a', none, true, 1.5]
{}
{'a': 1, 'b': [1, {'c': none}]}
{1: 2, 'x': (1,), 2.0: 3, none: 4, true: 5}
1.0
1e3
1.5e-7
1e22
1E+2
123456789.125
0.1 + 0.2
big
small
100000000000000000.0
1_000
0x1F
0b101
0o17
-0.0
3.0 * 2
n / 7
none
true
false
True
None
undefined_name
l
d
s
words
q
[q]
[emoji]
[ws]
d.a
d['a'].x[1]
d.a.x[-1]
d.a.x[9]
d.nope
d['nope']
d.nope is defined
items_dict.items is callable
items_dict['items']
items_dict.get('get')
items_dict.keys is defined
l[0]
l[-1]
l[1:]
l[:1]
l[::-1]
l[::2]
l[-2:]
l[5:]
l[3:1]
l[none:2]
s[0]
s[-1]
s[7:]
s[::-1]
s[1:-1:2]
emoji[1]
emoji[1:3]
emoji[::-1]
emoji[-1]
(1, 2, 3)[1:]
nested[0][1][0]
l.0
'x' if n else 'y'
'x' if not n
'a' if e else 'b' if n else 'c'
('a' if n) is defined
n is defined
nope is defined
nope is not defined
nope is undefined
n is number
t is number
t is integer
n is integer
one is float
n is string
s is string
none is none
e is none
d is mapping
l is mapping
l is iterable
n is iterable
s is iterable
nope is iterable
l is sequence
s is sequence
d is sequence
n is sequence
d.items() is sequence
(l | map('string')) is sequence
(l | map('string')) is iterable
t is true
t is false
1 is true
t is boolean
n is boolean
n is odd
n is even
n is divisibleby 7
n is divisibleby(2)
n is eq 7
n is ne(7)
n is gt 6
n is lt 6
n is ge 7
n is le 7
n is greaterthan 3
n is sameas 7
none is sameas none
l is sameas l
n is in [1, 7]
'A' is upper
'a' is lower
'1' is upper
html is escaped
(html | safe) is escaped
'trim' is filter
'nope' is filter
'odd' is test
range is callable
s is callable
not n is odd
n + 1 is even
n is odd and n > 5
s | length
l | count
d | length
emoji | length
s | upper
s | lower
s | title
'hello wORLD-foo (bar) [baz] it\'s' | title
'hello wORLD-foo (bar) it\'s' .title()
s | capitalize
'éCOLE' | capitalize
sz | upper
sz | lower
sz | title
sz.title()
sz.swapcase()
sz.capitalize()
ws | trim
ws.strip() | length
ws.lstrip() | length
ws.rstrip() | length
'xxaxx' | trim('x')
'xyaxy'.strip('yx')
'xxa'.lstrip('x')
'axx'.rstrip('x')
s | replace('l', 'L')
s | replace('l', 'L', 1)
s.replace('l', '')
'abc'.replace('', '-')
'abc'.replace('', '-', 2)
'aaa'.replace('aa', 'b')
5 | replace('5', 'x')
s | first
s | last
l | first
l | last
[] | first
[] | first is defined
d | first
d | last
d | list
s | list
n | string
1.0 | string
none | string
nope | string
'42' | int
'4.9' | int
'x' | int
'x' | int(5)
'0x1f' | int(0, 16)
'ff' | int(base=16)
3.9 | int
-3.9 | int
true | int
none | int
' 12 ' | int
'1_000' | int
'1e3' | int
'inf' | int
'1.5' | float
'x' | float
'x' | float(1.25)
3 | float
none | float
'nan' | float
'1e400' | float
-5 | abs
-5.5 | abs
2.5 | round
3.5 | round
2.567 | round(2)
2.567 | round(1, 'floor')
2.512 | round(1, 'ceil')
2.4 | round(method='ceil')
5 | round
12345 | round(-2)
l | join
l | join(', ')
words | join('-') | upper
people | join(', ', attribute='name')
[1, none, true, 2.0] | join('|')
''.join(['a', 'b'])
', '.join(words)
nope | default
nope | default('x')
nope | d('x')
e | default('x')
e | default('x', true)
none | default('x')
none | default('x', boolean=true)
d.nope | default({})
d | tojson
d | tojson(indent=2)
d | tojson(indent=none)
d | tojson(sort_keys=true)
d | tojson(separators=(',', ':'))
d | tojson(indent=1, separators=(', ', '='))
{'a': [], 'b': {}, 'c': [[]]} | tojson(indent=4)
{1: 1, none: 2, true: 3, 2.5: 4} | tojson
[1.0, 1e16, 1e-7, 0.1, none, true, (1, 2)] | tojson
q | tojson
emoji | tojson
emoji | tojson(ensure_ascii=true)
q | tojson(ensure_ascii=true)
html | tojson
'\x7f\u2028' | tojson
l | tojson | length
d | tojson('\t')
d | items | list
d.items() | list
d.keys() | list
d.values() | list
d | dictsort
{'b': 1, 'A': 3, 'a': 2} | dictsort
{'b': 1, 'A': 3, 'a': 2} | dictsort(true)
{'b': 1, 'A': 3} | dictsort(by='value')
{'b': 1, 'A': 3} | dictsort(false, 'value', true)
l | sort
l | sort(reverse=true)
words | sort
words | sort(case_sensitive=true)
people | sort(attribute='name') | map(attribute='name') | list
people | sort(attribute='age,name') | map(attribute='name') | list
words | unique | list
['a', 'A', 'b', 'a'] | unique | list
['a', 'A'] | unique(case_sensitive=true) | list
people | unique(attribute='age') | map(attribute='name') | join
l | reverse | list
s | reverse
l | reverse | first
people | map(attribute='name') | list
people | map(attribute='ok', default='no') | list
people | map(attribute='ok') | list
people | map(attribute='tags.0', default='-') | list
words | map('upper') | list
words | map('replace', 'b', 'B') | join(',')
l | map('string') | join
nested | map('first') | list
l | select('odd') | list
l | reject('odd') | list
[0, 1, '', 'x'] | select | list
[0, 1, '', 'x'] | reject | list
l | select('gt', 1) | list
l | select('in', [1, 2]) | list
people | selectattr('ok') | map(attribute='name') | list
people | selectattr('ok', 'defined') | list | length
people | rejectattr('ok', 'defined') | list | length
people | selectattr('age', 'equalto', 30) | map(attribute='name') | join('+')
people | selectattr('age', '==', 25) | first
messages | selectattr('role', 'equalto', 'system') | list
'yes' if messages | selectattr('role', 'equalto', 'system') else 'no'
l | sum
people | sum(attribute='age')
l | sum(start=10)
[] | sum
[[1], [2]] | sum(start=[])
l | min
l | max
words | min
words | max
words | max(case_sensitive=true)
people | min(attribute='age')
[] | max is defined
multi | indent
multi | indent(2, true)
multi | indent(2, blank=true)
multi | indent('> ')
'' | indent(2, true)
html | escape
html | e | length
(html | safe) + '<b>'
(html | safe) ~ '<b>'
'<b>' + (html | escape)
html | escape | escape
html | forceescape
s | wordcount
"it's 3 naïve words_x" | wordcount
'%s is %d' | format(s, n)
'%(a)s-%(b)s' | format(a=1, b=2)
[1, 2, 3, 4, 5] | batch(2) | list
[1, 2, 3] | batch(2, 'x') | list
'x' | center(5)
'ab' | center(5)
'ab'.center(7, '*')
'abc'.center(6, '*')
'ab'.ljust(4, '.')
'ab'.rjust(4)
'-5'.zfill(4)
'%s' % s
'%s %s' % (1, 'b')
'%5d|%-5d|%05d|%+d' % (42, 42, 42, 42)
'%.2f|%8.3f|%e|%g' % (3.14159, 2.5, 12345.678, 0.00001)
'%x|%X|%o|%#x' % (255, 255, 8, 255)
'%r|%c|%%' % ('a', 65)
'%(x)s' % {'x': 5}
'%s' % none
'%s' % [1]
'%10s|%-10s|%.2s' % ('ab', 'ab', 'abcdef')
'{} {}'.format(1, 'b')
'{0} {1} {0}'.format('a', 'b')
'{x} {y[0]}'.format(x=1, y=[5])
'{:>5}|{:<5}|{:^5}|{:*^7}'.format('a', 'b', 'c', 'd')
'{:.2f} {:05d} {:,} {:x} {:+}'.format(3.14159, 42, 1234567, 255, 5)
'{:,.2f} {:.0%} {:e} {:g}'.format(1234567.891, 0.256, 12345.678, 1e20)
'{!r} {{}}'.format('q')
'{0.x}'.format({'x': 1})
'{:.3}'.format('abcdef')
s.upper()
s.split(', ')
'a  b c '.split()
'  a  b c '.split(none, 1)
'  a  b c '.rsplit(none, 1)
'a,b,,c'.split(',')
'a,b,c'.split(',', 1)
'a,b,c'.rsplit(',', 1)
'a</think>b</think>c'.split('</think>')[-1]
''.split()
''.split(',')
'a\u00a0b'.split()
multi.splitlines()
multi.splitlines(true)
'a=b=c'.partition('=')
'a=b=c'.rpartition('=')
'abc'.partition('x')
'abc'.rpartition('x')
s.startswith('Hello')
s.startswith('llo', 2)
s.startswith(('x', 'H'))
s.endswith('ld')
s.endswith('')
s.find('W')
emoji.find('é')
s.find('zz')
s.rfind('l')
s.index('l')
s.count('l')
'aaa'.count('aa')
s.find('l', 4)
s.isalpha()
'abc'.isalpha()
'12'.isdigit()
'a1'.isalnum()
' \t'.isspace()
''.isspace()
'ab'.islower()
'AB1'.isupper()
'abc'.removeprefix('a')
'abc'.removesuffix('c')
'aB'.swapcase()
'HeLLo'.casefold()
d.get('a')
d.get('zz')
d.get('zz', 'dflt')
l.index(1)
l.count(3)
l.copy()
s.__class__
''.__class__ is defined
d.__init__
range(3) | list
range(1, 7, 2) | list
range(5, 0, -2) | list
range(0) | list
dict(a=1, b=2)
dict({'a': 1}, b=2)
dict([('x', 1)])
namespace(a=1).a
strftime_now('%d %b %Y')
strftime_now('%Y-%m-%d %H:%M:%S %j %A %B %-d %y %p %I %a %%')
'a' 'b' "c"
'\n\t\\\'\"\x41\u00e9\U0001F642\101\q'
"multi
line"
[1, 2,]
{'a': 1,}
(1)
((1, 2), 3)
s|upper|lower|title
-1|abs
-n|abs
(n|string)[0]
d['a']['x']|length
l|length > 2 and 'a' in d
s.split(',')|map('trim')|list|tojson
n.nope
d|attr('get') is callable
1 if 0 else 2 if 0 else 3
[n, s][0 if t else 1]
'a' in ['a'] == true
people[0].name ~ people[1]['name']
(people|first).name
people|map(attribute='age')|sum / people|length
l + l|map('string')|list
''|default('x', true) ~ 'y'
"a" if nope is defined and nope else "b"
ws|string|length
""" .strip("\n").replace("multi\nline", "multi\\nline").split("\n")

ERRORS = r"""
nope.x
nope['x']
nope()
nope + 1
1 + 'a'
'a' + 1
none + 'a'
l + (1,)
1 < 'a'
none < 1
d < d
nope < 1
1 / 0
1 // 0
1 % 0
1.0 / 0
2 in 1
1 in 'a'
s.nope()
d.nope.x
l.append(1)
d.update({})
d.pop('a')
l.sort()
s.__class__.__mro__
d.__init__()
range(1000000)
raise_exception('boom')
nope | tojson
l | map('nope') | list
n | length
n | list
none | length
s | nope
s is nope
l | first(1)
'%d' % 'a'
'%s %s' % 1
'%s' % (1, 2)
'{}'.format()
'{x}'.format(y=1)
[] | join(1, 2, 3)
{[1]: 2}
d | dictsort(by='nope')
1 ~ 2 + 3
s.split('')
'abc'.index('x')
(l | map('string')) | length
(l | map('string')) | last
namespace(1)
dict(1)
1()
'a'()
['b', 1] | sort
{'a': l} | unique | nope
-s
-none
l['a':]
l[::0]
none | items | list
s | round
""".strip("\n").split("\n")

TEMPLATES = [
    "", "plain text\n", "a\n\n", "x\r\ny\rz", "{{ s }}\n", "{{s}}{{n}}", "a {{ s }} b", "{{ '{{' }} {% raw %}{{ x }}{% endraw %}",
    "{%- raw -%}  {{ x }} {% if %}  {%- endraw -%}  y", "{% raw %}\n a\n{% endraw %}\nb", "  {% raw %}a{% endraw %}  ",
    "{# comment #}x", "a\n  {# c #}\nb", "a {#- c -#} b", "a{# multi\nline #}\n\nb", "{#-#}x", "a {#+ c +#} \n b",
    "a\n  {% if t %}\n  b\n  {% endif %}\nc", "a\n  {%- if t -%}\n  b\n  {%- endif -%}\nc", "a\n  {%+ if t +%}\n  b\n  {%+ endif +%}\nc",
    "  {% if t %}x{% endif %}  ", "a {% if t %}x{% endif %} b", "{% if t %}\n\nx{% endif %}\n\n", "{{ n -}}  \n x", "x \n {{- n }}", "{{- n -}}",
    "a: {{ n }}{%- if t %} b{% endif %}", "a {{ n }} {%- if t %} b{% endif %}", "\u00a0{%- if t %}x{% endif %}", "x\n\t {% if t %}y{% endif %}",
    "x\n\u3000{% if t %}y{% endif %}", "{% if t %}  {% endif %}|", "{{ 1 }}\n  {% if t %}\n z{% endif %}",
    "{% if n > 5 %}big{% elif n > 3 %}mid{% else %}small{% endif %}", "{% if e %}a{% elif none %}b{% else %}c{% endif %}", "{% if nope %}a{% endif %}",
    "{% for x in l %}{{ x }},{% endfor %}", "{% for x in [] %}a{% else %}none{% endfor %}", "{% for x in l if x > 1 %}{{ loop.index }}/{{ loop.length }}:{{ x }} {% endfor %}",
    "{% for x in l if x > 9 %}a{% else %}b{% endfor %}",
    "{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }} {% endfor %}",
    "{% for x in l %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }};{% endfor %}", "{% for x in l %}{{ loop.cycle('a', 'b') }}{% endfor %}",
    "{% for x in [1,1,2] %}{% if loop.changed(x) %}{{ x }}{% endif %}{% endfor %}", "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}",
    "{% for k, v in d | items %}{{ k }}{% endfor %}", "{% for k in d %}{{ k }}{% endfor %}", "{% for c in emoji %}{{ c }}.{% endfor %}",
    "{% for (a, b) in [(1, 2), (3, 4)] %}{{ a }}{{ b }}{% endfor %}", "{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "{% for x in nested recursive %}[{{ x if x is number else loop(x) }}]{% endfor %}",
    "{% for x in l %}{% for y in l %}{{ loop.index }}{% if loop.last %}{{ loop.depth }}{% endif %}{% endfor %}|{% endfor %}",
    "{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}", "{% for x in l %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}",
    "{% for x in l %}{% for y in l %}{% if y == 1 %}{% break %}{% endif %}{{ y }}{% endfor %}{{ x }}{% endfor %}",
    "{% for x in l %}{% endfor %}{{ x is defined }}{{ loop is defined }}", "{% for x in nope %}a{% else %}b{% endfor %}", "{% for x in l %}{{ l }}{% set l = [] %}{% endfor %}{{ l }}",
    "{% set x = 1 %}{{ x }}", "{% set x, y = 1, 2 %}{{ y }}{{ x }}", "{% set x = 1, 2 %}{{ x }}", "{% set x = 1 %}{% for i in l %}{% set x = x + 1 %}{{ x }}{% endfor %}{{ x }}",
    "{% set x = 1 %}{% if t %}{% set x = 2 %}{% endif %}{{ x }}", "{% set x %}a {{ n }} b{% endset %}[{{ x }}]", "{% set x | upper | trim %} a{{ n }} {% endset %}[{{ x }}]",
    "{% set x | replace('a', 'b') %}banana{% endset %}{{ x }}", "{% set ns = namespace(a=1, b='x') %}{% for i in l %}{% set ns.a = ns.a + i %}{% endfor %}{{ ns.a }}{{ ns.b }}{{ ns.c is defined }}",
    "{% set ns = namespace() %}{% set ns.x %}block{% endset %}{{ ns.x }}", "{% set ns = namespace(l=[]) %}{% for i in l %}{% set ns.l = ns.l + [i * 2] %}{% endfor %}{{ ns.l }}",
    "{% set ns = namespace({'a': 5}) %}{{ ns.a }}{{ ns['a'] }}",
    "{% macro m(a, b=2, c='x') %}[{{ a }}{{ b }}{{ c }}]{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(1, c=5) }}{{ m() }}{{ m(c=1, a=2) }}",
    "{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, x=4) }}", "{% macro m(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m(3) }}",
    "{% macro a(n) %}{{ n }}{% if n > 0 %}{{ a(n - 1) }}{% endif %}{% endmacro %}{{ a(3) }}", "{% macro m() %}{{ later }}{% endmacro %}{% set later = 5 %}{{ m() }}",
    "{% macro m() %}{{ x }}{% set x = 2 %}{{ x }}{% endmacro %}{% set x = 1 %}{{ m() }}{{ x }}", "{% macro m() -%}\n  x\n{%- endmacro %}[{{ m() }}]",
    "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}B{% endmacro %}{{ a() }}", "{% macro m(x) %}{{ x }}{% endmacro %}{{ m('a') | upper }}{{ m('a') + 'b' }}{{ m(1) is string }}",
    "{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}in{% endcall %}", "{% macro m() %}<{{ caller(1, 2) }}>{% endmacro %}{% call(a, b) m() %}{{ a }}-{{ b }}{% endcall %}",
    "{% macro m(x) %}{{ x }}{% endmacro %}{{ m(*[1]) }}{{ m(**{'x': 2}) }}", "{% for x in l %}{% macro m() %}{{ x }}{% endmacro %}{{ m() }}{% endfor %}",
    "{% filter upper %}abc {{ s }}{% endfilter %}", "{% filter replace('a', 'b') | upper %}aaa{% endfilter %}", "{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a is defined }}",
    "{% with %}{% set q = 1 %}{{ q }}{% endwith %}{{ q }}", "{% set a = 1 %}{% with b = a %}{% set a = 2 %}{{ a }}{{ b }}{% endwith %}{{ a }}",
    "{{ x.y if x is defined else 'no' }}", "{{ messages[0]['content'] + messages[1].content | trim }}", "{% for m in messages[::-1] %}{{ m.role }}{% endfor %}",
    "{% for m in messages %}{{ m['role'] }}: {{ m.content.strip() }}\n{% endfor %}", "{% set m = messages | last %}{{ m.role }}",
    "x{% generation %}a{{ n }}{% endgeneration %}b{% generation %}c{% endgeneration %}", "x{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}|{% endfor %}",
    "x{%- generation -%}  a  {%- endgeneration -%}  b", "é{% generation %}日{% endgeneration %}é", "{% set it = l | map('string') %}{{ it | list }}{{ it | list }}",
    "{% set x = ['a'] %}{% set y = x + ['b'] %}{{ x }}{{ y }}", "{{ {'a': 1}.a }}{{ {'items': 1}['items'] }}{{ [1,2][0] }}", "{{ ((1)) }}{{ {'a': {'b': {}}} }}", "{{ {}}}", "{{ {'a':1}}}",
    "{% if not (t and not n) %}x{% endif %}", "{% if s is string and s is not none and n is not string %}y{% endif %}", "{{ s if s is string }}", "{{ loop is defined }}",
    "{% set none_ = none %}{{ none_ }}", "{{ s\n  |\n upper }}", "{% if\n t\n %}x{% endif %}", "{{ 'a' if t else\n'b' }}", "{{ namespace(a=1) }}", "{% set content = none %}{% if content is none %}n{% endif %}",
    "{%if t%}x{%endif%}", "{%-if t-%} x {%-endif-%}", "{{n}}\n\n\n", "\n{{n}}\n", "{% for x in l -%}\n  {{ x }}\n{%- endfor %}\n\nend", "{{'}}'}}", "{{ \"%}\" }}", "{{ '#}' }}{# {{ x }} #}",
    "{% set x = '{%' %}{{ x }}", "{{ 1.0 }} {{ 1 }} {{ 10 / 2 }} {{ 3 // 1 }} {{ 2.0 ** 2 }}", "{{ l | sort | join }}{{ l }}", "{% for x in 'abc' | reverse %}{{ x }}{% endfor %}",
    "{% for x in l | reverse %}{{ loop.index }}{{ x }}{% endfor %}", "{% for x in range(3) %}{{ x }}{{ loop.last }}{% endfor %}", "{% for b in l | batch(2) %}{{ b }}{% endfor %}",
]

BAD = [
    "{{", "{{ }}", "{% if %}", "{% if t %}", "{% endif %}", "{% for x in %}{% endfor %}", "{% for in l %}{% endfor %}", "{{ 1 + }}", "{{ (1 }}", "{{ [1 }}", "{{ 'abc }}", "{{ a b }}", "{# x",
    "{% raw %}x", "{% nope %}", "{% set %}", "{% set 1 = 2 %}", "{% set true = 1 %}", "{{ x.}}", "{{ x[ }}", "{{ x|}}", "{{ f(a=1, 2) }}", "{% macro m(a=1, b) %}{% endmacro %}", "{% break %}", "{{ ] }}",
    "{{ 1 is none is none }}", "{% else %}", "{% if t %}{% endfor %}", "{% do x %}", "{% set ns.x = 1 %}", "{% set d.x = 1 %}", "{% for a, b in l %}{% endfor %}", "{% set a, b = 1, 2, 3 %}", "{{ @ }}", "{{ x ? y }}", "{{ a && b }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=2) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, a=2) }}",
]


def render(template):
    case = {"template": template}
    try:
        text, spans = utils._render_with_assistant_indices(utils._compile_jinja_template(template), VARS["messages"], None, None, False,
                                                           **{k: v for k, v in VARS.items() if k != "messages"})
        case["want"] = text
        if spans:
            case["generation"] = [[len(text[:a].encode()), len(text[:b].encode())] for a, b in spans]
    except Exception as error:
        case["error"] = f"{type(error).__name__}: {error}"
    return case


good = [render("{{ " + e + " }}") for e in EXPRESSIONS] + [render(t) for t in TEMPLATES]
bad = [render("{{ " + e + " }}") for e in ERRORS] + [render(t) for t in BAD]
for case in good:
    if "error" in case:
        print("unexpected", case)
for case in bad:
    if "error" not in case:
        print("expected an error", case)
path = pathlib.Path(__file__).parent / "golden.json"
lines = [json.dumps(c, ensure_ascii=False) for c in good + bad]
path.write_text('{"vars": ' + json.dumps(VARS, ensure_ascii=False) + ',\n"cases": [\n' + ",\n".join(lines) + "\n]}\n")
print(len(good), "renderings,", len(bad), "errors")
