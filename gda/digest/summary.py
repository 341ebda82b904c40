"""One or two sentences that say what a conversation is about: extractive, deterministic, no model, no network."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from .words import COMMON, GREETINGS, NOISE, holds_any

LIMIT = 240
# Characters read of each message: what it is about stands early, and a digest's time goes into reading. Where links
# and notices leave too few sentences to choose from, there is a second, longer look.
_READ, _READ_ON = 400, 1_500
_TOO_FEW = 3
_SENTENCES = 15
_WRAPPED = 45  # A line at least this long that ends without punctuation was wrapped by a mail program.
_CLOSE = 4  # A second sentence is sought among this many of the best.

# Not after a day number (14. März) or a title.
_END = re.compile(r"""([.!?…]["'”’»)\]]*)(?<!\b\d\.)(?<!\b\d\d\.)(?<!\b[DMN][ros]\.)(?<!\bMrs\.)\s+(?=[^\sa-zà-ÿ])""")
_WIDE_ENDS = "。！？"
_WORD = re.compile(r"\w{3,}")
_WIDE = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_LINK = re.compile(r"(?:https?://|mailto:|www\.)\S+|\[(?:image|cid)[^\]]{0,100}\]")
_LINK_SIGNS = ("://", "mailto:", "www.", "[image", "[cid")
_RULE = re.compile(r"[-=*_~#+.]{4,}")
_RULE_SIGNS = ("---", "===", "***", "___", "~~~", "###", "+++", "...")
_GREETING = re.compile(rf"(?:{'|'.join(GREETINGS)})\b[^.?:]{{0,40}}", re.IGNORECASE)
_LONGEST_GREETING = max(map(len, GREETINGS)) + 40
_ASKS = ("please", "could you", "can you", "bitte", "let me know")
# The longest word of each phrase: a sentence without any of them needs no further look. © is no word.
_NOISE_SIGNS, _ASKS_SIGNS = (
    frozenset(max(_WORD.findall(phrase), key=len) for phrase in phrases if phrase != "©") for phrases in (NOISE, _ASKS)
)


class _Read(NamedTuple):
    """A sentence, also in lower case, and the words in it."""

    text: str
    low: str
    words: set[str]


def summarise(texts: Sequence[str], attachments: Sequence[str] = (), limit: int = LIMIT) -> str:
    """At most two sentences and ``limit`` characters out of ``texts`` (newest message first), in the writer's words.

    A sentence scores by how often its words occur in the whole conversation (so it carries the topic), divided by the
    root of its length, more where it stands early or asks for something. Greetings, links, unsubscribe lines and rows
    of signs are never chosen. Where no sentence is left: the first readable words, else the names of what is attached,
    else nothing.
    """
    read = _read(texts, _READ)
    worth = _worth_reading(read)
    if len(worth) < _TOO_FEW and any(len(text) > _READ for text in texts):
        read = _read(texts, _READ_ON)
        worth = _worth_reading(read)
    if worth:
        return _best(worth, limit)
    if readable := next((each.text for each in read if _letters(each.text) >= 3 and not _is_noise(each)), ""):
        return shorten(readable, limit)
    return shorten("Attached: " + ", ".join(attachments), limit) if attachments else ""


def shorten(text: str, limit: int) -> str:
    """``text`` cut at a word's end, with an ellipsis, so that it has at most ``limit`` characters."""
    if len(text) <= limit:
        return text
    cut = text[: limit - 1]
    space = cut.rfind(" ")
    return (cut[:space] if space > limit // 2 else cut).rstrip(" ,;:-–") + "…"


def _read(texts: Sequence[str], reach: int) -> list[_Read]:
    found: list[str] = []
    for text in texts:
        if len(found) >= _SENTENCES:
            break
        sentences = [sentence for line in _lines(text[:reach]) for sentence in _sentences(line)]
        # Where reading stopped, the last sentence is most likely half a sentence.
        found += sentences[:-1] if len(text) > reach and len(sentences) > 1 else sentences
    return [_Read(each, low := each.lower(), set(_WORD.findall(low))) for each in found[:_SENTENCES]]


def _worth_reading(sentences: Sequence[_Read]) -> list[_Read]:
    return [each for each in sentences if _is_worth_reading(each.text) and not _is_noise(each)]


def _lines(text: str) -> list[str]:
    """The lines of ``text`` without links and rows of signs; what a mail program wrapped is one line again."""
    # A plain look-up first: most mails have no link in their text, and expressions read every character slowly.
    if holds_any(text, _LINK_SIGNS):
        text = _LINK.sub("", text)
    if holds_any(text, _RULE_SIGNS):
        text = _RULE.sub("", text)
    joined: list[str] = []
    wrapped = False
    for line in text.split("\n"):
        line = line.strip(" \t*|#>=-_~•·")
        if wrapped and line:
            joined[-1] += " " + line
        elif line:
            joined.append(line)
        wrapped = bool(joined) and len(line) >= _WRAPPED and line[-1] not in ".!?:。！？"
    return joined


def _sentences(line: str) -> list[str]:
    # Only a space, of all white space, counts as printable.
    if "  " in line or not line.isprintable():
        line = " ".join(line.split())
    line = _END.sub(_end_of_line, line)
    if not line.isascii():
        for sign in _WIDE_ENDS:
            line = line.replace(sign, sign + "\n")
    return [sentence for each in line.split("\n") if (sentence := each.strip())]


def _end_of_line(end: re.Match[str]) -> str:
    return end[1] + "\n"


def _letters(text: str) -> int:
    # Most sentences are words and a full stop: one question to the whole is cheaper than one to each character.
    bare = text.replace(" ", "").rstrip(".!?")
    return len(bare) if bare.isalpha() else sum(map(str.isalpha, bare))


def _asks(sentence: _Read) -> bool:
    if sentence.low.endswith(("?", "？")):
        return True
    return not _ASKS_SIGNS.isdisjoint(sentence.words) and holds_any(sentence.low, _ASKS)


def _is_noise(sentence: _Read) -> bool:
    return ("©" in sentence.low or not _NOISE_SIGNS.isdisjoint(sentence.words)) and holds_any(sentence.low, NOISE)


def _is_worth_reading(sentence: str) -> bool:
    letters = _letters(sentence)
    if letters * 2 < len(sentence) or letters < 4 or (letters < 12 and not _WIDE.search(sentence)):
        return False
    start = sentence.rstrip("!,. ")
    return len(start) > _LONGEST_GREETING or not _GREETING.fullmatch(start)


def _best(sentences: Sequence[_Read], limit: int) -> str:
    points = _points(sentences)
    # The sort is stable, in reverse too: of two equals the earlier stands first.
    best, *others = sorted(range(len(points)), key=points.__getitem__, reverse=True)[:_CLOSE]
    for other in others:
        pair = f"{sentences[min(best, other)].text} {sentences[max(best, other)].text}"
        if len(pair) <= limit and sentences[best].text != sentences[other].text:
            return pair
    return shorten(sentences[best].text, limit)


def _points(sentences: Sequence[_Read]) -> list[float]:
    topics = [each.words - COMMON for each in sentences]
    often = Counter(chain.from_iterable(topics))
    points = []
    for at, (words, sentence) in enumerate(zip(topics, sentences, strict=True)):
        topic = sum(map(often.__getitem__, words)) / math.sqrt(len(words) + 3)
        early = 1.0 + 1.2 / (1 + at)
        points.append((topic + 0.5) * early * (1.4 if _asks(sentence) else 1.0))
    return points
