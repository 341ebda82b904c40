"""Calendar files for tests, written in a few words."""

from collections.abc import Sequence
from pathlib import Path


def vevent(uid: str, start: str, end: str, summary: str, *lines: str, zone: str = "Europe/London") -> str:
    """A VEVENT; a ``start`` without a time is a day."""
    place = f";TZID={zone}" if "T" in start and not start.endswith("Z") and zone else ""
    place = place if "T" in start else ";VALUE=DATE"
    body = [f"UID:{uid}", f"DTSTART{place}:{start}", f"DTEND{place}:{end}", f"SUMMARY:{summary}", *lines]
    return "\r\n".join(["BEGIN:VEVENT", *body, "END:VEVENT"])


def ics(*events: str, head: Sequence[str] = ("X-WR-TIMEZONE:Europe/London",)) -> str:
    """A calendar file."""
    return "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", *head, *events, "END:VCALENDAR", ""])


def calendar_folder(folder: Path, **files: str) -> Path:
    """A folder with calendar files and no mail; ``calendar`` is the account's own."""
    folder.mkdir(parents=True, exist_ok=True)
    for stem, text in files.items():
        (folder / f"{stem}.ics").write_text(text, encoding="utf-8")
    return folder
