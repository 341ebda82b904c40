"""The templates of mails: a page in HTML with its styles moved into it, and plain text."""

import re
import zlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Template

_TEMPLATES = Path(__file__).parent / "templates"
_STATEMENT = re.compile(r"\{%.*?%\}")
_COLOURS = ("#4f6bed", "#0f7b6c", "#b4540a", "#8e44ad", "#c0392b", "#2c6e9b", "#5b6b2f", "#7a4b3a")


@cache
def pages(name: str) -> "tuple[Template, Template]":
    """The page and the plain text of that name: ``digest`` or ``events``."""
    # Imported on first use: a command that renders nothing should not pay for Jinja.
    from jinja2 import DictLoader, Environment, StrictUndefined, select_autoescape

    plain = (_TEMPLATES / f"{name}.txt.j2").read_text("utf-8")
    env = Environment(
        loader=DictLoader({f"{name}.html": _inlined(name), f"{name}.txt": plain}),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    env.filters |= {"initial": _initial, "colour": _colour}
    return env.get_template(f"{name}.html"), env.get_template(f"{name}.txt")


def _initial(sender: str) -> str:
    return next((letter.upper()[:1] for letter in sender if letter.isalnum()), "?")


def _colour(sender: str) -> str:
    return _COLOURS[zlib.crc32(sender.lower().encode("utf-8", "replace")) % len(_COLOURS)]


def _inlined(name: str) -> str:
    """The page's template with its styles moved into ``style`` attributes: once here, not once a mail.

    Jinja statements stand as comments meanwhile, since a parser moves stray text out of tables but leaves comments
    alone. So the template must not use statements inside a tag, nor quotes, ampersands or angle brackets in an
    expression.
    """
    import css_inline

    source = (_TEMPLATES / f"{name}.html.j2").read_text("utf-8")
    source = source.replace("/* digest.css */", (_TEMPLATES / "digest.css").read_text("utf-8"))
    hidden = _STATEMENT.sub(lambda found: f"<!--{found[0]}-->", source)
    inliner = css_inline.CSSInliner(keep_at_rules=True, minify_css=True, load_remote_stylesheets=False)
    page = re.sub(r"<!--(\{%.*?%\})-->", r"\1", inliner.inline(hidden))
    # What cannot stand in an attribute (dark mode, narrow screens) goes behind the charset, which must come early.
    rules = re.search(r"<style>.*?</style>", page, re.DOTALL)
    assert rules is not None, "digest.css has no media rules"
    return page.replace(rules[0], "", 1).replace("</head>", rules[0] + "</head>", 1)
