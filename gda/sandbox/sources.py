"""Where an account's first mail and events come from: a folder of ``.eml`` and ``.ics``, an mbox, a Maildir, a set."""

import re
from dataclasses import dataclass
from pathlib import Path

from gda.errors import UsageError

SAMPLES = Path(__file__).parent / "samples"
EMPTY_SETS = ("empty", "quiet")
CALENDAR_SUFFIX = ".ics"
# A separator carries a time of day; a sentence that starts with "From " after an empty line seldom does.
_MBOX_SEPARATOR = re.compile(rb"(?:\A|(?<=\n\n)|(?<=\n\r\n))From [^\n]*\d\d:\d\d[^\n]*\n")
_MBOX_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class SourceMail:
    """One mail as it lies in its source."""

    raw: bytes
    unread: bool = True


def sample_sets() -> list[str]:
    """Return the names of the sample mailboxes that ship with GDA, with the one that has no mail."""
    return sorted([*(folder.name for folder in SAMPLES.iterdir() if folder.is_dir()), EMPTY_SETS[0]])


def read_samples(name: str) -> list[SourceMail]:
    """Read a shipped sample set, in order of file names.

    Args:
        name: one of ``sample_sets()``; ``empty`` and ``quiet`` mean no mail.

    Raises:
        UsageError: no set has that name.
    """
    if name in EMPTY_SETS:
        return []
    if name not in sample_sets():
        raise UsageError(f"no sample mailbox is called {name!r}; choose one of {', '.join(sample_sets())}")
    return _read_folder(SAMPLES / name)


def read_mail(path: Path) -> list[SourceMail]:
    """Read a folder of ``.eml`` files (by name), a Maildir or an mbox file; a calendar file holds no mail.

    Raises:
        UsageError: there is nothing at the path, or it cannot be read.
    """
    try:
        if path.is_file() and path.suffix == CALENDAR_SUFFIX:
            return []
        if path.is_file():
            return _read_mbox(path.read_bytes())
        if path.is_dir():
            is_maildir = (path / "cur").is_dir() and (path / "new").is_dir()
            return _read_maildir(path) if is_maildir else _read_folder(path)
    except OSError as error:
        raise UsageError(f"the mail at {path} cannot be read: {error.strerror}; check its permissions") from error
    raise UsageError(f"there is no mail at {path}: give a folder of .eml files, a Maildir or an mbox file")


def read_calendars(path: Path) -> dict[str, str]:
    """Read the calendar files of a folder, or one such file: text by name; ``calendar`` is the account's own.

    Raises:
        UsageError: one cannot be read.
    """
    files = [path] if path.suffix == CALENDAR_SUFFIX else sorted(path.glob(f"*{CALENDAR_SUFFIX}"))
    try:
        return {file.stem: file.read_text("utf-8") for file in files if file.is_file()}
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"a calendar file at {path} cannot be read ({error}); it must be readable UTF-8") from error


def _read_folder(folder: Path) -> list[SourceMail]:
    return [SourceMail(file.read_bytes()) for file in sorted(folder.glob("*.eml"))]


def _read_maildir(folder: Path) -> list[SourceMail]:
    files = [file for part in ("cur", "new") for file in (folder / part).iterdir() if file.is_file()]
    files.sort(key=lambda file: file.name)
    return [SourceMail(file.read_bytes(), unread="S" not in file.name.partition(":2,")[2]) for file in files]


def _read_mbox(data: bytes) -> list[SourceMail]:
    starts = list(_MBOX_SEPARATOR.finditer(data))
    if not starts:
        return [SourceMail(data)] if data.strip() else []
    ends = [start.start() for start in starts[1:]] + [len(data)]
    bodies = (data[start.end() : end] for start, end in zip(starts, ends, strict=True))
    return [SourceMail(_MBOX_QUOTED.sub(rb"\1", body.removesuffix(b"\n"))) for body in bodies]
