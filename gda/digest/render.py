"""A digest as a mail: subject, HTML and text. Templates are fixed; no text of a mail is ever read as a template."""

import re
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from .model import Digest

if TYPE_CHECKING:
    from jinja2 import Template

_TEMPLATES = Path(__file__).parent / "templates"
_STATEMENT = re.compile(r"\{%.*?%\}")
_COLOURS = ("#4f6bed", "#0f7b6c", "#b4540a", "#8e44ad", "#c0392b", "#2c6e9b", "#5b6b2f", "#7a4b3a")


@dataclass(frozen=True, slots=True)
class Rendered:
    """One digest ready to be sent; ``subject`` is one line."""

    subject: str
    html: str
    text: str


def render(digest: Digest) -> Rendered:
    """Render a digest that lists at least one message; an empty window is the caller's ``Skip``, not an empty mail.

    Every sender and subject appears verbatim (escaped in HTML), and each listed message's row carries its Gmail id in
    ``data-gda-message``. The HTML has no script, no form, no remote resource, and one style element of our own for dark
    mode and narrow screens; all other styles are inline.
    """
    page, plain = _templates()
    subject = _subject(digest)
    context = {"digest": digest, "subject": subject, "preheader": _preheader(digest)}
    return Rendered(subject, page.render(context), plain.render(context))


def _subject(digest: Digest) -> str:
    total = digest.counts.messages_in
    waiting = digest.counts.needs_you
    day, month = digest.date.split()[1:3]
    tail = f", {waiting} {'needs' if waiting == 1 else 'need'} you" if waiting else ""
    return (
        f"Your digest for {digest.date.split()[0]} {day} {month}: {total} new message{'s' if total != 1 else ''}{tail}"
    )


def _preheader(digest: Digest) -> str:
    tops = [thread.rows[0] for section in digest.sections for thread in section.threads]
    return " · ".join(f"{row.sender}: {row.subject}" for row in tops[:3])[:200]


def _initial(sender: str) -> str:
    return next((letter.upper()[:1] for letter in sender if letter.isalnum()), "?")


def _colour(sender: str) -> str:
    return _COLOURS[zlib.crc32(sender.lower().encode("utf-8", "replace")) % len(_COLOURS)]


@lru_cache(maxsize=1)
def _templates() -> "tuple[Template, Template]":
    # Imported on first use: a command that renders nothing should not pay for Jinja.
    from jinja2 import DictLoader, Environment, StrictUndefined, select_autoescape

    env = Environment(
        loader=DictLoader({"digest.html": _inlined(), "digest.txt": (_TEMPLATES / "digest.txt.j2").read_text("utf-8")}),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    env.filters |= {"initial": _initial, "colour": _colour}
    return env.get_template("digest.html"), env.get_template("digest.txt")


def _inlined() -> str:
    """The page's template with its styles moved into ``style`` attributes: once here, not once a mail.

    Jinja statements stand as comments meanwhile, since a parser moves stray text out of tables but leaves comments
    alone. So the template must not use statements inside a tag, nor quotes, ampersands or angle brackets in an
    expression.
    """
    import css_inline

    source = (_TEMPLATES / "digest.html.j2").read_text("utf-8")
    source = source.replace("/* digest.css */", (_TEMPLATES / "digest.css").read_text("utf-8"))
    hidden = _STATEMENT.sub(lambda found: f"<!--{found[0]}-->", source)
    inliner = css_inline.CSSInliner(keep_at_rules=True, minify_css=True, load_remote_stylesheets=False)
    page = re.sub(r"<!--(\{%.*?%\})-->", r"\1", inliner.inline(hidden))
    # What cannot stand in an attribute (dark mode, narrow screens) goes behind the charset, which must come early.
    rules = re.search(r"<style>.*?</style>", page, re.DOTALL)
    assert rules is not None, "digest.css has no media rules"
    return page.replace(rules[0], "", 1).replace("</head>", rules[0] + "</head>", 1)
