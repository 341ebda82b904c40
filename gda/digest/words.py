"""Word lists for ranking and summaries, all in lower case; phrases are looked up as they stand, without boundaries."""

from collections.abc import Iterable

# Looking up thirty stems in lower-case text is many times faster than one expression of thirty branches.
# fmt: off
URGENT = (
    "urgent", "asap", "deadline", "overdue", "due today", "due tomorrow", "by today", "by tonight", "by tomorrow",
    "by noon", "by eod", "action required", "immediately", "last reminder", "final reminder", "time-sensitive",
    "time sensitive", "dringend", "sofort", "bis heute", "bis morgen", "échéance", "au plus vite", "plazo",
    "cuanto antes", "scadenza", "termín", "pilné", "срочно", "至急", "緊急", "紧急", "긴급",
)
ASKS = (
    "please reply", "please confirm", "please review", "please approve", "please sign", "please send", "please let",
    "please answer", "please check", "please advise", "could you", "can you", "would you", "let me know", "rsvp",
    "your approval", "your answer", "your feedback", "your decision", "your signature", "bitte ", "könnten sie",
    "kannst du", "pourriez", "peux-tu", "por favor", "podrías", "per favore", "prosím", "お願い", "ください", "请",
    "？",
)
NOISE = (
    "unsubscribe", "in your browser", "in a browser", "in the browser", "can't read this", "can't see this",
    "trouble viewing", "trouble reading", "privacy policy", "click here", "all rights reserved", "do not reply",
    "don't reply", "abmelden", "abbestellen", "im browser", "désabonner", "désinscrire", "cancelar suscripción",
    "darse de baja", "multi-part message", "copyright", "©", "this message was sent", "this email was sent",
    "view online", "view this email", "this e-mail and any", "this email and any", "this message is intended",
    "has been scanned", "terms of service", "terms of use", "sent from my",
)
GREETINGS = (
    "hi", "hello", "hey", "dear", "good morning", "good evening", "good afternoon", "hallo", "liebe", "lieber",
    "liebes", "guten tag", "guten morgen", "bonjour", "salut", "cher", "hola", "buenos días", "ciao", "gentile",
    "olá", "hej", "ahoj", "dobrý den", "coucou",
)
COMMON = frozenset((
    "the", "and", "for", "that", "this", "with", "you", "your", "are", "was", "were", "have", "has", "had", "will",
    "would", "can", "could", "not", "but", "from", "our", "they", "them", "its", "der", "die", "das", "und", "ist",
    "nicht", "ein", "eine", "mit", "auf", "für", "von", "sie", "wir", "ich", "den", "dem", "des", "les", "une", "est",
    "pas", "que", "qui", "pour", "dans", "sur", "avec", "vous", "nous", "los", "las", "una", "por", "con", "para",
    "del", "como", "más", "het", "een", "van", "che", "per", "non", "sono",
))
# fmt: on


def holds_any(text: str, phrases: Iterable[str]) -> bool:
    """Whether one of ``phrases`` stands in ``text``; a phrase in lower case needs a text in lower case."""
    return any(map(text.__contains__, phrases))
