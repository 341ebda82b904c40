"""Composing: every message is listed, those who wait come first, and the same mail makes the same digest."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gda.digest import Digest, Recipient, Window, compose
from gda.digest.rank import ASKS_YOU, IS_URGENT, RECENT_AT_MOST, score
from gda.digest.summary import summarise
from gda.errors import UsageError
from gda.mail import Address, Message

UNTIL = datetime(2026, 3, 8, 6, 30, tzinfo=UTC)
SINCE = UNTIL - timedelta(days=1)
ADA = Recipient("ada@example.com", "Ada", "Europe/Berlin")


def message(
    id: str,
    *,
    thread: str = "",
    sender: str = "Bob",
    subject: str = "Hello",
    minutes: int = 60,
    text: str = "",
    bulk: bool = False,
) -> Message:
    return Message(
        id=id,
        thread_id=thread or f"t-{id}",
        received_at=UNTIL - timedelta(minutes=minutes),
        sender=Address(sender, f"{sender.lower()}@example.com"),
        subject=subject,
        text=text,
        bulk=bulk,
    )


def digest(messages: list[Message], *, max_messages: int = 50, web_mail: str = "") -> Digest:
    window = Window(SINCE, UNTIL, tuple(each.id for each in messages))
    return compose(
        messages, recipient=ADA, window=window, label="2026-03-08T07:30", max_messages=max_messages, web_mail=web_mail
    )


def ids(made: Digest) -> list[str]:
    return [row.message_id for section in made.sections for thread in section.threads for row in thread.rows]


def section_of(made: Digest, id: str) -> str:
    found = [s.key for s in made.sections for thread in s.threads for row in thread.rows if row.message_id == id]
    return found[0]


def test_a_thread_shows_each_of_its_messages_newest_first() -> None:
    made = digest([message("a", thread="t", minutes=90), message("b", thread="t", minutes=10), message("c")])
    rows = next(thread.rows for section in made.sections for thread in section.threads if thread.thread_id == "t")
    assert [(row.message_id, row.sender, row.subject) for row in rows] == [("b", "Bob", "Hello"), ("a", "Bob", "Hello")]
    assert made.counts.threads == 2


def test_a_message_given_twice_is_listed_once() -> None:
    assert ids(digest([message("a"), message("a")])) == ["a"]


def test_what_is_past_the_limit_is_counted_not_lost() -> None:
    made = digest([message(f"m{at}", bulk=at % 2 == 0) for at in range(20)], max_messages=7)
    assert (made.counts.messages_in, made.counts.messages_listed, made.counts.hidden) == (20, 7, 13)
    assert sum(section.hidden for section in made.sections) == 13
    assert len(ids(made)) == 7


def test_newsletters_are_cut_before_conversations() -> None:
    made = digest([message("news", bulk=True, minutes=1), message("letter", minutes=900)], max_messages=1)
    assert ids(made) == ["letter"]


def test_a_person_who_asks_you_alone_needs_you_and_a_shouting_newsletter_does_not() -> None:
    asks = replace(message("asks", text="Could you sign the lease by tomorrow?"), to=frozenset({"ada@example.com"}))
    shouts = message("shouts", subject="URGENT last reminder!!!", text="Could you reply? Deadline today.", bulk=True)
    chat = message("chat", sender="Eve", text="The garden is green again.")
    made = digest([shouts, chat, asks])
    assert [section_of(made, id) for id in ("asks", "chat", "shouts")] == ["needs-you", "conversations", "notices"]
    assert made.counts.needs_you == 1


def test_bulk_mail_earns_nothing_but_recency() -> None:
    loud = replace(message("n", text="Urgent: could you reply?", bulk=True, minutes=0), reply=True)
    assert score([loud], email=ADA.email, since=SINCE, until=UNTIL) == RECENT_AT_MOST


def test_an_answer_ranks_above_a_first_mail_and_a_newer_one_above_an_older() -> None:
    made = digest(
        [
            message("old", sender="Old", minutes=1200),
            message("new", sender="New", minutes=5),
            replace(message("answer", sender="Re", minutes=1300), reply=True),
        ]
    )
    assert ids(made) == ["answer", "new", "old"]


def test_threads_of_one_sender_stand_together() -> None:
    made = digest(
        [
            message("a1", sender="Anna", bulk=True, minutes=10),
            message("b1", sender="Bert", bulk=True, minutes=300),
            message("a2", sender="Anna", bulk=True, minutes=1200),
        ]
    )
    assert ids(made) == ["a1", "a2", "b1"]


def test_times_are_local_to_the_reader() -> None:
    made = digest(
        [
            message("today", minutes=5),
            message("eve", sender="Eve", minutes=600),
            message("past", sender="P", minutes=60 * 24 * 40),
        ]
    )
    times = {row.message_id: row.time for section in made.sections for thread in section.threads for row in thread.rows}
    assert times == {"today": "07:25", "eve": "Sat 21:30", "past": "27 Jan"}
    assert (made.date, made.time, made.greeting) == ("Sunday 8 March 2026", "07:30", "Good morning")


def test_a_link_holds_the_thread_id_as_data() -> None:
    made = digest([message("a", thread='x"/../<y>')], web_mail="https://mail.google.com/mail/u/0/#all/")
    assert made.sections[0].threads[0].url == "https://mail.google.com/mail/u/0/#all/x%22%2F..%2F%3Cy%3E"
    assert digest([message("a")]).sections[0].threads[0].url == ""


def test_wrong_arguments_are_refused_with_a_reason() -> None:
    with pytest.raises(UsageError, match="at least one"):
        digest([message("a")], max_messages=0)
    with pytest.raises(UsageError, match="https"):
        digest([message("a")], web_mail="javascript:alert(1)//")


def test_the_order_of_input_does_not_matter() -> None:
    messages = [
        message(f"m{at}", thread=f"t{at % 9}", sender=f"S{at % 5}", minutes=at * 7, bulk=at % 3 == 0)
        for at in range(40)
    ]
    shuffled = random.Random(4).sample(messages, len(messages))
    assert digest(messages).sections == digest(shuffled).sections


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 3), st.booleans(), st.text(max_size=80)), min_size=1, max_size=30
    ),
    st.integers(1, 40),
)
def test_listed_and_hidden_always_add_up(shapes: list[tuple[int, int, bool, str]], limit: int) -> None:
    messages = [
        message(f"m{at}", thread=f"t{thread}", sender=f"S{sender}", minutes=at, bulk=bulk, text=text)
        for at, (thread, sender, bulk, text) in enumerate(shapes)
    ]
    made = digest(messages, max_messages=limit)
    assert made.counts.messages_listed == min(limit, len(messages)) == len(set(ids(made)))
    assert made.counts.messages_in == made.counts.messages_listed + made.counts.hidden == len(messages)
    assert all(len(thread.summary) <= 240 for section in made.sections for thread in section.threads)


@pytest.mark.parametrize(
    ("text", "summary"),
    [
        (
            "Hi Ada,\n\nThe lawyers want your signature before Friday.\n\nThanks,\nM",
            "The lawyers want your signature before Friday.",
        ),
        (
            "View this email in your browser\nNew essays about maps and pencils.\nUnsubscribe",
            "New essays about maps and pencils.",
        ),
        ("==========\n**********\nThe bridge is closed until Monday.", "The bridge is closed until Monday."),
        ("来週の打ち合わせは水曜日です。", "来週の打ち合わせは水曜日です。"),
        ("Die Fahrkarte für den 14. März ist bereit.", "Die Fahrkarte für den 14. März ist bereit."),
        ("See you", "See you"),
        ("https://example.com/only/a/link", ""),
        ("--- *** ---", ""),
        ("", ""),
    ],
)
def test_a_summary_is_the_writers_own_sentence(text: str, summary: str) -> None:
    assert summarise([text]) == summary


def test_a_summary_joins_lines_that_a_mail_program_wrapped() -> None:
    text = "The meeting with the two architects has been moved to\nthursday because the room is taken."
    assert summarise([text]) == text.replace("\n", " ")


def test_a_long_sentence_is_cut_at_a_word() -> None:
    summary = summarise(["word " * 200])
    assert len(summary) <= 240
    assert summary.endswith("word…")


def test_a_mail_of_nothing_but_files_names_them() -> None:
    assert summarise([""], ["a.pdf", "b.png"]) == "Attached: a.pdf, b.png"


def test_a_window_survives_json() -> None:
    window = Window(SINCE, UNTIL, ("a", "b"))
    assert Window.from_json(window.to_json()) == window


@pytest.mark.parametrize(
    "value", [{}, {"since": 1, "until": "x", "message_ids": []}, {"since": "x", "until": "y", "message_ids": []}]
)
def test_what_is_no_window_is_refused(value: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Window.from_json(value)


def test_a_window_without_a_timezone_is_refused() -> None:
    with pytest.raises(UsageError, match="timezone"):
        Window(SINCE.replace(tzinfo=None), UNTIL, ())


def test_a_summary_does_not_end_in_the_half_sentence_where_reading_stopped() -> None:
    whole = [f"On page {at} the lawyers want a signature from both of us." for at in (1, 2, 3, 4, 5)]
    half = "Could you tell the lawyers about page, signature, both, want, " + "and so on, " * 200
    assert "Could you" not in summarise([" ".join([*whole, half])])
    assert "Could you" in summarise([" ".join([*whole, half[:60]])])


def test_a_request_at_the_end_of_a_long_mail_is_seen() -> None:
    story = "The garden is green again and the river is high. " * 100
    points = [
        score([message("m", text=text)], email=ADA.email, since=SINCE, until=UNTIL)
        for text in (story, story + "Could you call me by tomorrow?")
    ]
    assert points[1] - points[0] == ASKS_YOU + IS_URGENT


def test_a_line_with_a_noisy_word_but_no_noisy_phrase_is_kept() -> None:
    assert summarise(["The browser is slow on the new screens in the hall."]).startswith("The browser")
    assert summarise(["All the pictures stand in your browser, dear reader."]) == ""


def test_a_summary_reads_on_where_a_long_link_comes_first() -> None:
    text = f"View online: https://example.com/{'x' * 900}\nNew essays about maps and pencils.\n" + "More of it. " * 90
    assert summarise([text]).startswith("New essays about maps and pencils.")
