"""Mailboxes: order, paging, ids, threads, history."""

import orjson

from gda.sandbox.content import Content
from gda.sandbox.gmail import find_endpoint, perform
from gda.sandbox.mailbox import FIRST_HISTORY_ID, Mailbox, position
from gda.sandbox.state import Sandbox
from gda.sandbox.wire import Call
from tests.support.sandbox import plain_mail

NOW = 1_790_000_000.0
NOW_MS = int(NOW * 1000)
HOUR_MS = 3_600_000


def a_mailbox(count: int) -> Mailbox:
    mailbox = Mailbox("ada@example.org")
    mailbox.load(
        [(Content(plain_mail(f"number {index}", message_id=f"{index}@x")), ("INBOX",)) for index in range(count)],
        NOW_MS,
    )
    return mailbox


def subjects(mailbox: Mailbox) -> list[str]:
    return [message.content.header("subject") for message in mailbox.newest_first()]


def ask(sandbox: Sandbox, path: str, query: str = "") -> tuple[int, dict[str, object]]:
    found = find_endpoint("GET", f"/gmail/v1/users/me/{path}")
    assert found is not None
    _, handler, ids = found
    account = sandbox.accounts.all()[0]
    call = Call("GET", f"/gmail/v1/users/me/{path}", query, "", b"", sandbox.now_ms)
    reply = perform(sandbox, handler, account, call, ids)
    return reply.status, orjson.loads(reply.body)


def test_loaded_mail_lies_inside_the_last_twenty_hours_in_the_order_it_came() -> None:
    mailbox = a_mailbox(63)
    times = [message.internal_ms for message in mailbox.newest_first()]

    assert subjects(mailbox)[0] == "number 62"
    assert times == sorted(times, reverse=True)
    assert len(set(times)) == 63
    assert NOW_MS - 20 * HOUR_MS <= times[-1] < times[0] < NOW_MS


def test_ids_are_the_same_after_loading_the_same_mail_again() -> None:
    first, second = (list(a_mailbox(5).newest_first()) for _ in range(2))

    assert [message.id for message in first] == [message.id for message in second]
    assert all(len(message.id) == 16 and int(message.id, 16) >= 0 for message in first)
    assert len({message.id for message in first}) == 5


def test_a_late_message_takes_its_place_by_time_and_paging_goes_on_behind_a_position() -> None:
    mailbox = a_mailbox(3)
    newest = next(mailbox.newest_first())
    mailbox.add(Content(plain_mail("late")), internal_ms=newest.internal_ms)

    assert subjects(mailbox) == ["late", "number 2", "number 1", "number 0"]
    behind = list(mailbox.newest_first(position(newest)))
    assert [message.content.header("subject") for message in behind] == ["number 1", "number 0"]


def test_an_answer_joins_the_thread_it_refers_to() -> None:
    mailbox = a_mailbox(2)
    root = mailbox.with_message_id("0@X")[0]
    answer = mailbox.add(Content(plain_mail("Re: other", In_Reply_To="<0@x>")), internal_ms=NOW_MS)
    by_subject = mailbox.add(Content(plain_mail("RE: Fwd: Number 1")), internal_ms=NOW_MS)
    alone = mailbox.add(Content(plain_mail("number 1")), internal_ms=NOW_MS)

    assert answer.thread_id == root.thread_id == root.id
    assert by_subject.thread_id == mailbox.with_message_id("1@x")[0].thread_id
    assert alone.thread_id == alone.id


def test_history_tells_what_came_since_and_knows_its_bounds() -> None:
    mailbox = a_mailbox(3)
    before = mailbox.history_id
    added = mailbox.add(Content(plain_mail("new")), internal_ms=NOW_MS)

    assert mailbox.added_since(before) == [added]
    assert mailbox.added_since(mailbox.history_id) == []
    assert len(mailbox.added_since(FIRST_HISTORY_ID) or []) == 4
    assert mailbox.added_since(FIRST_HISTORY_ID - 1) is None
    assert mailbox.added_since(mailbox.history_id + 1) is None


def a_sandbox(count: int) -> Sandbox:
    sandbox = Sandbox(clock=lambda: NOW)
    account = sandbox.open_account("ada@example.org")
    for index in range(count):
        sandbox.add_message(account, plain_mail(f"number {index}"), time_ms=NOW_MS - (count - index) * 1000)
    return sandbox


def test_pages_hold_every_message_once_even_when_mail_arrives_between_them() -> None:
    sandbox = a_sandbox(7)
    seen: list[object] = []
    query = "maxResults=3"
    while True:
        status, page = ask(sandbox, "messages", query)
        assert status == 200
        seen += [message["id"] for message in page["messages"]]  # type: ignore[attr-defined]
        if "nextPageToken" not in page:
            break
        query = f"maxResults=3&pageToken={page['nextPageToken']}"
        sandbox.add_message(sandbox.accounts.all()[0], plain_mail("in between"))

    assert len(seen) == len(set(seen)) == 7


def test_an_empty_result_has_no_messages_key() -> None:
    assert ask(a_sandbox(0), "messages") == (200, {"resultSizeEstimate": 0})


def test_a_page_that_is_exactly_full_has_no_next_one() -> None:
    _, page = ask(a_sandbox(3), "messages", "maxResults=3")

    assert "nextPageToken" not in page


def test_bad_parameters_are_refused_as_google_does() -> None:
    for query in ("pageToken=nonsense", "maxResults=many"):
        status, answer = ask(a_sandbox(1), "messages", query)
        assert status == 400
        assert answer["error"]["status"] == "INVALID_ARGUMENT"  # type: ignore[index]


def test_spam_is_shown_only_where_it_is_asked_for() -> None:
    sandbox = a_sandbox(1)
    mailbox = sandbox.accounts.all()[0].mailbox
    mailbox.add(Content(plain_mail("spam")), internal_ms=NOW_MS, labels=("SPAM",))

    def count(query: str) -> object:
        return ask(sandbox, "messages", query)[1]["resultSizeEstimate"]

    assert count("") == 1
    assert count("includeSpamTrash=true") == count("q=in:anywhere") == 2
    assert count("labelIds=SPAM") == count("q=in:spam") == 1
    assert count("labelIds=INBOX&labelIds=UNREAD") == 1
    assert count("labelIds=INBOX&labelIds=SENT") == 0
