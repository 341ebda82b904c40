"""One or two sentences that say what a conversation is about: extractive, deterministic, no model, no network."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from itertools import chain, combinations

from .words import COMMON, GREETINGS, NOISE

LIMIT = 240
_READ = 1_500  # Characters read of each message; what matters stands early.
_SENTENCES = 15
_WRAPPED = 45  # A line at least this long that ends without punctuation was wrapped by a mail program.

# Not after a day number (14. März) or a title.
_END = re.compile(r"""([.!?…]["'”’»)\]]*)(?<!\b\d\.)(?<!\b\d\d\.)(?<!\b[DMN][ros]\.)(?<!\bMrs\.)\s+(?=[^\sa-zà-ÿ])""")
_WIDE_END = re.compile(r"([。！？])")
_WORD = re.compile(r"\w{3,}")
_WIDE = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_LINK = re.compile(r"(?:https?://|mailto:|www\.)\S+|\[(?:image|cid)[^\]]{0,100}\]")
_RULE = re.compile(r"[-=*_~#+.]{4,}")
_GREETING = re.compile(rf"(?:{'|'.join(GREETINGS)})\b[^.?:]{{0,40}}", re.IGNORECASE)
_ASKS = ("please", "could you", "can you", "bitte", "let me know")


def summarise(texts: Sequence[str], attachments: Sequence[str] = (), limit: int = LIMIT) -> str:
    """At most two sentences and ``limit`` characters out of ``texts`` (newest message first), in the writer's words.

    A sentence scores by how often its words occur in the whole conversation (so it carries the topic), divided by the
    root of its length, more where it stands early or asks for something. Greetings, links, unsubscribe lines and rows
    of signs are never chosen. Where no sentence is left: the first readable words, else the names of what is attached,
    else nothing.
    """
    sentences = _all_sentences(texts)
    noisy = _is_noise(" ".join(sentences))
    worth = [each for each in sentences if _is_worth_reading(each) and not (noisy and _is_noise(each))]
    if worth:
        return _best(worth, limit)
    if readable := next((each for each in sentences if _letters(each) >= 3 and not _is_noise(each)), ""):
        return shorten(readable, limit)
    return shorten("Attached: " + ", ".join(attachments), limit) if attachments else ""


def shorten(text: str, limit: int) -> str:
    """``text`` cut at a word's end, with an ellipsis, so that it has at most ``limit`` characters."""
    if len(text) <= limit:
        return text
    cut = text[: limit - 1]
    space = cut.rfind(" ")
    return (cut[:space] if space > limit // 2 else cut).rstrip(" ,;:-–") + "…"


def _all_sentences(texts: Sequence[str]) -> list[str]:
    found: list[str] = []
    for text in texts:
        if len(found) < _SENTENCES:
            found += _sentences(text)
    return found[:_SENTENCES]


def _sentences(text: str) -> list[str]:
    text = _RULE.sub("", _LINK.sub("", text[:_READ]))
    joined: list[str] = []
    wrapped = False
    for line in text.split("\n"):
        line = line.strip(" \t*|#>=-_~•·")
        if wrapped and line:
            joined[-1] += " " + line
        elif line:
            joined.append(line)
        wrapped = bool(joined) and len(line) >= _WRAPPED and line[-1] not in ".!?:。！？"
    text = _END.sub("\\1\n", "\n".join(joined))
    if not text.isascii():
        text = _WIDE_END.sub("\\1\n", text)
    return [sentence for each in text.split("\n") if (sentence := " ".join(each.split()))]


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text))


def _is_noise(sentence: str) -> bool:
    low = sentence.lower()
    return any(word in low for word in NOISE)


def _is_worth_reading(sentence: str) -> bool:
    letters = _letters(sentence)
    wide = not sentence.isascii() and _WIDE.search(sentence)
    if letters < (4 if wide else 12) or letters * 2 < len(sentence):
        return False
    return not _GREETING.fullmatch(sentence.rstrip("!,. "))


def _best(sentences: list[str], limit: int) -> str:
    words = [set(_WORD.findall(each.lower())) - COMMON for each in sentences]
    often = Counter(chain.from_iterable(words))
    points = [_points(each, words[at], often, at) for at, each in enumerate(sentences)]
    order = sorted(range(len(sentences)), key=lambda at: (-points[at], at))
    for first, second in combinations(order[:4], 2):
        pair = f"{sentences[min(first, second)]} {sentences[max(first, second)]}"
        if first == order[0] and len(pair) <= limit and sentences[first] != sentences[second]:
            return pair
    return shorten(sentences[order[0]], limit)


def _points(sentence: str, words: set[str], often: Counter[str], at: int) -> float:
    topic = sum(map(often.__getitem__, words)) / math.sqrt(len(words) + 3)
    early = 1.0 + 1.2 / (1 + at)
    return (topic + 0.5) * early * (1.4 if _asks(sentence) else 1.0)


def _asks(sentence: str) -> bool:
    low = sentence.lower()
    return low.endswith(("?", "？")) or any(
        word in low for word in ("please", "could you", "can you", "bitte", "let me know")
    )
