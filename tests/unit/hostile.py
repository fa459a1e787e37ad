"""Texts that try to be more than texts, as models, documents and task files may have them."""

from __future__ import annotations

#: Each with "HOSTILE" in it, by which its way through a report can be followed.
HOSTILE = (
    "| HOSTILE | cell |\n| --- | --- |",
    r"\| HOSTILE \\| x \` y",
    "`HOSTILE` ``` `` ```\n```\n# HOSTILE heading",
    "~~~\nHOSTILE\n~~~\n\n    indented",
    "<script>alert('HOSTILE')</script><img src=https://evil.example/HOSTILE.png onerror=x>",
    "</code></summary></details><h1>HOSTILE</h1>",
    "--> <!-- HOSTILE -->",
    "[HOSTILE](https://evil.example) ![HOSTILE](https://evil.example/a.png) <https://evil.example>",
    "[HOSTILE]: https://evil.example\n\n[HOSTILE]",
    "https://evil.example/HOSTILE www.evil.example/HOSTILE HOSTILE@evil.example",
    "@HOSTILE @octo/HOSTILE #123 HOSTILE GH-1 octo/repo#7 !12 &3 ~bug %milestone",
    "fixes #1 HOSTILE :+1: $\\sqrt{2}$ $`x`$",
    "&lt;b&gt; &#64;HOSTILE &amp;",
    "> [!CAUTION]\n> HOSTILE",
    "::error file=HOSTILE,line=1::told",
    "\r\n::set-output name=HOSTILE::x\r\n##[add-mask]HOSTILE",
    "::stop-commands::HOSTILE\n::HOSTILE::",
    "%0A::warning::HOSTILE",
    "HOSTILE \x1b[31m\x00\x07\x08 \ufffe \ud800 \u202e\u2028\u2029\x85 end",
)
