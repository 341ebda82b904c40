"""From a body to the writer's own words: HTML to text, quoted replies and signatures cut."""

import re

from selectolax.lexbor import LexborHTMLParser

TEXT_LIMIT = 4_000
# White space and filler may take as much again; what lies behind is never shown, so expressions need not read it.
_REACH = 2 * TEXT_LIMIT
_LONGEST_MARK = 400

_BREAK = re.compile(r"<(?=/?(?:p|div|tr|li|h[1-6]|ul|ol|table|blockquote|section|article)\b|[bh]r\b)", re.IGNORECASE)
_DROPPED = ["script", "style", "head", "title", "template", "noscript", "svg", "object", "iframe", "select", "textarea"]
_HIDDEN = '[hidden], [style*="display:none" i], [style*="display: none" i], [style*="visibility:hidden" i]'
_QUOTES = "blockquote, .gmail_quote, .yahoo_quoted, .moz-cite-prefix, #divRplyFwdMsg, #appendonsend"
# Invisible characters that newsletters put behind their preview line by the hundred.
_FILLER = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
_CONTROLS = {code: None for code in (*range(9), 0x0B, *range(0x0E, 0x20), 0x7F)}
_UU_FILES = 20
_REPLY = re.compile(
    r"""^[ \t]*(?:
        (?:On|Am|Le|El|Il|Op|Em|Den|Dne)[ ].{4,200}?
        (?:wrote|schrieb.{0,80}|écrit|escribió|scritto|schreef|escreveu|skrev|napsal\(?a?\)?)[ ]?:
      | -{2,}[ ]*(?:Original[ ]Message|Ursprüngliche[ ]Nachricht|Message[ ]d'origine|Mensaje[ ]original)
      | -{2,}[ ]*Forwarded[ ]message
      | _{20,}[ \t]*\r?\n(?:From|Von|De|Da):[ ]
      | (?:From|Von|De):[ ].{1,200}\r?\n(?:Sent|Date|Gesendet|Envoyé|Enviado):[ ]
    )""",
    re.MULTILINE | re.VERBOSE,
)
_SIGNATURE = re.compile(
    r"^(?:--[ \t]?|Sent from my .{2,40}|Get Outlook for .{2,20}|Von meinem .{2,30} gesendet\.?)\r?$", re.MULTILINE
)
_QUOTED_LINE = re.compile(r"^[ \t]{0,3}>.*$\n?", re.MULTILINE)
_UU_BEGIN = re.compile(r"^begin [0-7]{3,4} ([^\r\n]{1,200})\r?\n", re.MULTILINE)
_UU_END = re.compile(r"^end[ \r]*$", re.MULTILINE)
# A page that opens this many more tags than it closes is no page; parsing such nesting takes seconds.
_OPEN_LIMIT = 3_000
_TAG = re.compile(r"<[^<>]*>")


def html_to_text(html: str) -> str:
    """The visible text of a page, blocks on lines of their own, without scripts, hidden parts and quoted replies."""
    if html.count("<") - 2 * html.count("</") > _OPEN_LIMIT:
        return _TAG.sub("\n", html)
    tree = LexborHTMLParser(_BREAK.sub("\x1e<", html))
    tree.strip_tags(_DROPPED)
    body = tree.body
    if body is None:
        return ""
    for selector in (_HIDDEN, _QUOTES):
        for node in body.css(selector):
            if node.parent is not None and node.tag != "body":
                node.decompose()
    text = body.text(deep=True, separator="")
    return text.replace("\n", " ").replace("\x1e", "\n")


def own_words(text: str) -> str:
    """What the writer added: ``text`` without quoted reply and signature; all of it where nothing would be left."""
    if ">" not in text:
        text = text[: _REACH + _LONGEST_MARK]
    cut = _REPLY.search(text)
    kept = text[: cut.start()] if cut else text
    if ">" in kept:
        kept = _QUOTED_LINE.sub("", kept)
    signature = _SIGNATURE.search(kept)
    if signature:
        kept = kept[: signature.start()]
    return tidy(kept) or tidy(text)


def tidy(text: str) -> str:
    """Whitespace collapsed, one newline between lines, invisible filler and control characters gone, capped."""
    text = text[:_REACH]
    text = text.translate(_CONTROLS) if text.isascii() else _FILLER.sub("", text)
    lines, length = list[str](), 0
    for raw in text.split("\n"):
        if line := " ".join(raw.split()):
            lines.append(line)
            length += len(line) + 1
            if length > TEXT_LIMIT:
                break
    return "\n".join(lines)[:TEXT_LIMIT]


def cut_uuencoded(text: str) -> tuple[str, list[str]]:
    """``text`` without uuencoded files written into it, and their names."""
    names: list[str] = []
    while len(names) < _UU_FILES and "begin " in text and (begin := _UU_BEGIN.search(text)):
        end = _UU_END.search(text, begin.end())
        names.append(begin[1])
        text = text[: begin.start()] + (text[end.end() :] if end else "")
    return text, names
