"""What a model might write to get out of its place: each output once, by what it tries."""

from typing import Final

RUN: Final = "globalThis.owned=1"
ELSEWHERE: Final = "http://127.0.0.1:1"
"""No request may go there; nothing listens."""

_DEEP: Final = 400

OUTPUTS: Final = {
    # Elements of HTML.
    "a script": f"<script>{RUN}</script>",
    "a script in capitals, split": f"<ScRiPt\n>{RUN}</sCrIpT\n>",
    "a script from elsewhere": f'<script src="{ELSEWHERE}/x.js"></script>',
    "a module": f'<script type="module">import "{ELSEWHERE}/x.js"; {RUN}</script>',
    "a script in a script": f"<scr<script>ipt>{RUN}</scr</script>ipt>",
    "an image that fails": f'<img src=x onerror="{RUN}">',
    "an image without quotes": f"<img/src=x/onerror={RUN}>",
    "sources of an image": f'<img srcset="{ELSEWHERE}/1.png 1x, {ELSEWHERE}/2.png 2x">',
    "a vector image that loads": f'<svg onload="{RUN}"><circle r=9 /></svg>',
    "an animation in a vector image": (
        f'<svg><a><animate attributeName=href values="javascript:{RUN}" /><text>x</text></a></svg>'
    ),
    "foreign objects": f"<svg><foreignObject><body onload={RUN}></foreignObject></svg>",
    "a frame": (
        f"<iframe src=\"javascript:parent.owned=1\" srcdoc='<script>{RUN}</script>'></iframe>"
    ),
    "objects": (
        f'<object data="{ELSEWHERE}/x.swf"></object><embed src="{ELSEWHERE}/x">'
        f"<applet code=x></applet>"
    ),
    "a form": (
        f'<form action="{ELSEWHERE}/" id=composer><input name=q autofocus onfocus={RUN}>'
        "<button formaction=javascript:1>Send</button></form>"
    ),
    "another base": f'<base href="{ELSEWHERE}/">\n\n[link](relative)',
    "a meta refresh": f'<meta http-equiv="refresh" content="0;url={ELSEWHERE}/">',
    "another policy": '<meta http-equiv="Content-Security-Policy" content="script-src *">',
    "a style sheet": f'<link rel=stylesheet href="{ELSEWHERE}/x.css"><link rel=prefetch href=//x>',
    "styles": f"<style>*{{display:none}} body{{background:url({ELSEWHERE}/x)}}</style>",
    "a style attribute": f'<p style="position:fixed;inset:0;background:url({ELSEWHERE}/x)">x</p>',
    "media": f'<video autoplay onplay={RUN}><source src="{ELSEWHERE}/x" onerror={RUN}></video>',
    "details that open": f"<details open ontoggle={RUN}><summary>x</summary></details>",
    "a marquee": f"<marquee onstart={RUN}>x</marquee><blink>x</blink>",
    "a dialog": f"<dialog open><button onclick={RUN}>OK</button></dialog>",
    "templates and shadows": (
        f"<template shadowrootmode=open><script>{RUN}</script></template><slot name=x></slot>"
    ),
    "a custom element": f"<palaver-reply is=x onclick={RUN}>x</palaver-reply>",
    "the ends of what the page has": "</div></div></main></body></html><h1>Log in again</h1>",
    "comments": f"<!-- --!><script>{RUN}</script> --> <!--> <?xml version='1.0'?> <![CDATA[x]]>",
    "elements that swallow": f"<plaintext><xmp><noscript><textarea><title>{RUN}</title>",
    "mutation by namespaces": (
        "<math><mtext><table><mglyph><style><!--</style>"
        f'<img title="--&gt;&lt;img src=1 onerror={RUN}&gt;">'
    ),
    "mutation by a form": (
        f"<form><math><mtext></form><form><mglyph><style></math><img src onerror={RUN}>"
    ),
    "mutation by a title": f'<svg></p><style><g title="</style><img src onerror={RUN}>">',
    # Names of the page's own.
    "clobbered names": (
        "<img name=getElementById><form id=messages name=cookie><input id=attributes></form>"
        "<a id=prompt></a><a id=prompt name=value></a>"
    ),
    "an element with the page's ids": '<p id="scroller" class="message user" hidden>x</p>',
    # Links.
    "links that run": f"[a](javascript:{RUN}) [b](JaVaScRiPt:{RUN}) [c](  javascript:{RUN} )",
    "links that run, in entities": f"[a](&#106;avascript:{RUN}) [b](java&Tab;script:{RUN})",
    "links that run, with controls": f"[a](\x01javascript:{RUN}) [b](java\tscript:{RUN})",
    "links that run, encoded": f"[a](javascript%3A{RUN}) [b](%6aavascript:{RUN})",
    "links that run, of other kinds": (
        f"[a](vbscript:{RUN}) [b](livescript:x) [c](feed:javascript:x)"
    ),
    "data as a link": (
        "[a](data:text/html;base64,PHNjcmlwdD5vd25lZD0xPC9zY3JpcHQ+) "
        "![b](data:image/svg+xml,<svg/>)"
    ),
    "files and blobs as links": "[a](file:///etc/passwd) [b](blob:x) [c](filesystem:x) [d](ws://x)",
    "links by reference": (
        f"[a][1] [b] ![c][1]\n\n[1]: javascript:{RUN}\n[b]: <data:text/html,x> 'y'"
    ),
    "links in angle brackets": f"<javascript:{RUN}> <data:text/html,x> <vbscript:x> <x@y.zz>",
    "bare addresses": (
        f'javascript:{RUN} www.x.zz https://x.zz/<script>{RUN}</script>"onclick={RUN}'
    ),
    "attributes out of a title": (
        f'[a](https://x.zz "\\" onmouseover=\\"{RUN}") [b](https://x.zz \'"><img>\')'
    ),
    "an address with a password": (
        "[bank.example](https://bank.example@x.zz/) https://bank.example:x@y.zz"
    ),
    "an image from elsewhere": f"![tracked]({ELSEWHERE}/pixel.png) ![b](//127.0.0.1:1/p.png)",
    "images in links in images": f"[![x]({ELSEWHERE}/a.png)](javascript:{RUN}) ![[a](b)](c)",
    # Constructs of Markdown.
    "a script in every construct": (
        f"# <script>{RUN}</script>\n\n> <script>{RUN}</script>\n\n- <script>{RUN}</script>\n\n"
        f"1. *<script>{RUN}</script>*\n\n`<script>{RUN}</script>`\n\n<script>{RUN}</script>\n===\n"
    ),
    "a table of scripts": (
        f'| <script>{RUN}</script> | a |\n|:--|--:|\n| <img src=x onerror="{RUN}"> | `</td>` |'
    ),
    "a wide table": "|" + "x|" * 99 + "\n|" + "-|" * 99 + "\n" + ("|" + "y|" * 99 + "\n") * 20,
    "a table bomb": "|".join("a" * 200) + "\n" + "|".join("-" * 200) + "\na" * 400,
    "tasks out of lists": (
        f"- [x] <input type=checkbox checked onclick={RUN}>\n- [ ]\n- [X](javascript:{RUN})"
    ),
    "footnotes with names": (
        f'a[^"><img src=x onerror={RUN}>] b[^__proto__] c[^constructor]\n\n'
        f"[^__proto__]: <script>{RUN}</script>\n[^constructor]: [^constructor]"
    ),
    "footnotes in a ring": "a[^1]\n\n[^1]: b[^2]\n\n[^2]: c[^1] [^2]\n\n" + "[^1]" * 200,
    "quotes in quotes": "> " * _DEEP + "x",
    "lists in lists": "".join(f"{'  ' * depth}- x\n" for depth in range(120)),
    "brackets in brackets": "[" * 3000 + "x" + "]" * 3000 + "(" * 3000,
    "stars and underscores": "*_**__" * 3000,
    "backticks": "".join("`" * length + " " for length in range(1, 200)),
    "a heading of another page": "# Palaver\n\n## Sign in\n\nEnter your API key:\n\n---\n",
    # Code.
    "a fence that ends the page": f"```html\n</code></pre></div><script>{RUN}</script>\n```",
    "a fence with a name": (
        f'```"><script>{RUN}</script>\nx\n```\n\n~~~ onclick={RUN} class=x\ny\n~~~'
    ),
    "a language that is none": (
        "```__proto__\nx\n```\n\n```../../etc/passwd\ny\n```\n\n```constructor\nz"
    ),
    "highlighted code": (
        f'```python\nx = "</span><img src=x onerror={RUN}>"  # <script>{RUN}</script>\n'
    ),
    "highlighted markup": f"```html\n<script>{RUN}</script><!-- <img src=x onerror={RUN}> -->\n```",
    "templates": (
        "```js\n`${alert(1)}` {{constructor.constructor('owned=1')()}}\n```\n"
        "${owned=1} {{owned=1}} <%= x %>"
    ),
    # Formulas.
    "formulas with links": rf"$\href{{javascript:{RUN}}}{{x}}$ \(\url{{javascript:{RUN}}}\)",
    "formulas with HTML": (
        r"$\htmlId{prompt}{x}$ $\htmlStyle{position:fixed}{x}$ "
        rf"$\text{{<img src=x onerror={RUN}>}}$"
    ),
    "formulas with characters": r"$\unicode{60}script\unicode{62}$ $\char`<$ $\mathchar 60$",
    "formulas with pictures": (
        rf"$\includegraphics{{{ELSEWHERE}/x.png}}$ $\require{{html}}$ $\input{{/etc/passwd}}$"
    ),
    "formulas with macros": r"$\def\x{\x\x}\x$ $$\newcommand{\a}{\a\a}\a$$ \[\let\x=\x \x\]",
    "formulas in formulas": "$"
    + r"\frac{1}{" * 300
    + "x"
    + "}" * 300
    + "$ $"
    + "{" * 900
    + "}" * 900
    + "$",
    "formulas that are too big": (
        r"$$\rule{99999em}{99999em} \hspace{99999em} \Huge{x} \kern9999em$$"
    ),
    "MathML": (
        f'<math href="javascript:{RUN}"><mi xlink:href="javascript:{RUN}">x</mi>'
        '<maction actiontype="statusline">x</maction></math>'
    ),
    "annotations": (
        '<math><annotation-xml encoding="text/html"><script>owned=1</script>'
        "</annotation-xml></math>"
    ),
    # Characters.
    "entities": (
        f"&lt;script&gt;{RUN}&lt;/script&gt; &#60;img src=x onerror={RUN}&#62; "
        "&amp;lt;b&amp;gt; &#0; &#xD800; &#x110000; &bogus;"
    ),
    "null bytes and controls": (
        f"<scr\x00ipt>{RUN}</scr\x00ipt> \x00 \x08 \x0b \x0c \x1b[31m red \x7f \x85 \u2028 \u2029"
    ),
    "surrogates and no characters": "\\ud800 \\udfff \ufffd \ufffe \uffff \U000e0001 \U0010ffff",
    "changed directions": "\u202e</tpircs>1=denwo<tpircs>\u202c \u2066\u2067\u2068 a \u200f\u061c"
    + "\u202b" * 200,
    "invisible characters": "a\u200b\u200c\u200d\u2060\ufeff\u00ad\u180e" * 200
    + "\U000e0061\U000e007f" * 50,
    "letters under letters": "Z\u0351\u034b\u0343\u036f\u0319\u0324" + "a" + "\u0300\u0316" * 500,
    "a very long word": "x" * 20_000,
    "very long words of other scripts": "漢" * 5000
    + " "
    + "ﷺ" * 500
    + " "
    + "👩\u200d👩\u200d👧" * 300,
    "very many lines": "x\n" * 3000,
    "white space": " " * 5000 + "x" + "\t" * 5000 + "x" + "\u3000" * 500 + "\n" * 3000 + "x",
    # What reads what is written.
    "an event of a stream": (
        'data: {}\n\nevent: completed\ndata: {"reply": "x"}\n\n: ping\n\nid: 9-9\n'
    ),
    "JSON and its ends": '"}]} \\" </script> {"__proto__": {"owned": 1}} \\u003cscript\\u003e',
    "marks of a template": (
        "<|im_end|><|im_start|>system\n<think></think><tool_call>{}</tool_call>[INST] <end>"
    ),
    "a title": f"<title>{RUN}</title> <h1 onclick={RUN}>x</h1>",
}
