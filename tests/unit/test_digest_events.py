"""The mail of a calendar report: whatever an event says is shown as text, and times are the reader's own."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from selectolax.lexbor import LexborHTMLParser

from gda.digest import Recipient, Rendered, compose_events, render_events
from gda.digest.events import said
from gda.novelty import Change, ChangeKind
from tests.unit.test_digest_render import OUR_ATTRIBUTES, OUR_TAGS

ADA = Recipient("ada@example.org", "Ada", "Europe/London")
NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
START = datetime(2026, 3, 12, 16, 0, tzinfo=UTC)
TEA = Change(ChangeKind.NEW, "c", "tea@x", "Tea", START, START + timedelta(hours=1))


def rendered(*changes: Change, label: str = "2026-03-02T08:00", **values: object) -> Rendered:
    calendars = {"family": "Family <b>"}
    report = compose_events(changes, recipient=ADA, label=label, now=NOW, calendars=calendars, **values)
    return render_events(report)


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "{{ 7 * 7 }} {% raw %}", "a & b \" ' <img src=x>", "עברית", "朝会 🎉"]
)
def test_every_text_is_shown_as_it_stands_and_nothing_in_the_page_is_active(text):
    change = replace(TEA, title=text, location=text, conflicts=(text,), calendar="family")
    mail = rendered(change)
    page = LexborHTMLParser(mail.html)

    assert page.css_first("p.subject").text() == text
    assert text in page.css("p.summary")[1].text()
    assert text in mail.text
    assert {node.tag for node in page.root.traverse()} <= OUR_TAGS
    assert {name for node in page.root.traverse() for name in node.attributes} <= {*OUR_ATTRIBUTES, "data-gda-event"}


def test_changes_stand_under_their_headings_the_first_to_come_first():
    later = replace(TEA, title="Later", start=START + timedelta(days=9), end=START + timedelta(days=10))
    off = replace(TEA, kind=ChangeKind.CANCELLED, title="Off")
    mail = rendered(off, later, TEA)
    page = LexborHTMLParser(mail.html)

    assert [each.text() for each in page.css("h2")] == ["New", "Cancelled"]
    assert [each.text() for each in page.css("p.subject")] == ["Tea", "Later", "Off"]
    assert [each.attributes["data-gda-event"] for each in page.css("tr[data-gda-event]")] == [
        change.fingerprint for change in (TEA, later, off)
    ]
    assert mail.subject == "Your calendar for Monday 2 March: 3 changes"


def test_what_is_not_listed_is_counted():
    many = [replace(TEA, uid=f"{number}", title=f"Thing {number:02}") for number in range(12)]
    mail = rendered(*many, max_events=5)

    assert mail.subject.endswith("12 changes")
    assert "+7 more in your calendars" in mail.html
    assert "Thing 04" in mail.text
    assert "Thing 05" not in mail.text


def test_the_time_of_an_extra_report_is_the_readers_own():
    mail = rendered(replace(TEA, conflicts=("A", "B", "C", "D")), label="")

    assert "Monday 2 March 2026, 08:00 (Europe/London)" in mail.text
    assert "conflicts with A, B, C and 1 more" in mail.text


@pytest.mark.parametrize(
    ("start", "end", "timezone", "words"),
    [
        (START, START + timedelta(hours=1), "Europe/London", "Thu 12 Mar, 16:00 to 17:00"),
        (START, START + timedelta(hours=1), "Asia/Tokyo", "Fri 13 Mar, 01:00 to 02:00"),
        (START, START + timedelta(hours=9), "Europe/London", "Thu 12 Mar, 16:00 to Fri 13 Mar, 01:00"),
        (START, START, "Europe/London", "Thu 12 Mar, 16:00"),
        (date(2026, 3, 12), date(2026, 3, 13), "Asia/Tokyo", "Thu 12 Mar, all day"),
        (date(2026, 12, 31), date(2027, 1, 2), "Asia/Tokyo", "Thu 31 Dec to Fri 1 Jan 2027, all day"),
        (
            datetime.fromisoformat("2026-03-12T09:00"),
            datetime.fromisoformat("2026-03-12T10:00"),
            "Asia/Tokyo",
            "Thu 12 Mar, 09:00 to 10:00",
        ),
        # The clocks go forward in this night: half an hour that is not there.
        (
            datetime(2026, 3, 29, 0, 30, tzinfo=UTC),
            datetime(2026, 3, 29, 1, 30, tzinfo=UTC),
            "Europe/London",
            "Sun 29 Mar, 00:30 to 02:30",
        ),
    ],
)
def test_when_in_words(start, end, timezone, words):
    assert said(start, end, timezone, NOW.date()) == words
