"""``gda user``, ``gda schedule``, ``gda occurrences`` and ``gda db`` on a database of the test's own."""

import json
from pathlib import Path

import pytest
import yaml

from deployments.cohorts import TICK
from deployments.system import find_file
from gda.lifecycle import Occurrence
from gda.store import ByHand, Scope, Store, Waker
from gda.store.users import RESERVED_IDS
from tests.support.command import Gda, ledger, make_database


@pytest.fixture
def gda(capsys: pytest.CaptureFixture[str]) -> Gda:
    make_database()
    return Gda(capsys)


def add(gda: Gda, email: str = "ada@example.org", timezone: str = "Europe/London") -> None:
    assert gda("user", "add", email, "--timezone", timezone).code == 0


def test_a_user_is_added_with_a_readable_id_and_listed(gda: Gda) -> None:
    added = gda("user", "add", "Ada.L@example.org", "--timezone", "Europe/London", "--name", "Ada", "--json")
    assert added.code == 0
    assert json.loads(added.out)["id"] == "ada.l"
    (listed,) = json.loads(gda("user", "list", "--json").out)
    assert (listed["email"], listed["timezone"], listed["status"]) == ("Ada.L@example.org", "Europe/London", "active")


def test_an_unknown_timezone_is_refused_with_the_nearest_and_nobody_is_added(gda: Gda) -> None:
    refusal = gda("user", "add", "a@example.org", "--timezone", "Europe/Berln").refusal
    assert "'Europe/Berln'" in refusal
    assert "did you mean Europe/Berlin" in refusal
    assert json.loads(gda("user", "list", "--json").out) == []


def test_nobody_gets_the_name_of_a_system_job(gda: Gda) -> None:
    system = {entry["name"] for entry in yaml.safe_load(find_file().read_text())["deployments"]}
    assert system | {TICK} == RESERVED_IDS
    refused = gda("user", "add", "ada@example.org", "--timezone", "Europe/London", "--id", "drain").refusal
    assert refused == "user id 'drain' is the name of a system job in Prefect: choose another, see --id"
    add(gda, "drain@example.org")
    assert json.loads(gda("user", "list", "--json").out)[0]["id"] == "drain-2"


def test_a_list_in_a_pipe_is_aligned_text_without_colours(gda: Gda) -> None:
    add(gda)
    add(gda, "bo@example.org", "Asia/Tokyo")
    head, *lines = gda("user", "list").out.splitlines()
    assert head.split() == ["id", "email", "name", "timezone", "status"]
    assert [line.index("active") for line in lines] == [head.index("status")] * 2
    assert "\x1b" not in head


def test_an_empty_list_says_on_stderr_what_to_do(gda: Gda) -> None:
    answer = gda("user", "list")
    assert (answer.code, answer.out) == (0, "")
    assert "gda user add" in answer.err


def test_a_user_that_does_not_exist_is_named_in_every_command(gda: Gda) -> None:
    for words in (
        ("user", "show", "nobody"),
        ("user", "pause", "nobody"),
        ("user", "remove", "nobody", "--yes"),
        ("schedule", "set", "nobody", "digest", "daily 07:30"),
        ("schedule", "next", "nobody"),
        ("trigger", "digest", "--user", "nobody"),
        ("occurrences", "list", "--user", "nobody"),
    ):
        assert "user 'nobody' does not exist" in gda(*words).refusal


def test_a_name_with_control_characters_cannot_write_to_the_terminal(gda: Gda) -> None:
    gda("user", "add", "a@example.org", "--timezone", "UTC", "--name", "\x1b[31mred")
    assert "\x1b" not in gda("user", "list").out


def test_a_user_is_paused_and_resumed(gda: Gda) -> None:
    add(gda)
    assert gda("user", "pause", "ada").out == "ada is paused\n"
    gda("schedule", "set", "ada", "digest", "daily 07:30")
    assert "paused (user paused)" in gda("schedule", "list").out
    assert gda("user", "resume", "ada").out == "ada is active\n"


def test_removing_a_user_asks_first_and_is_refused_where_nobody_can_be_asked(gda: Gda) -> None:
    add(gda)
    assert "say --yes" in gda("user", "remove", "ada").refusal
    assert len(json.loads(gda("user", "list", "--json").out)) == 1
    assert gda("user", "remove", "ada", "--yes").code == 0
    assert json.loads(gda("user", "list", "--json").out) == []


def test_a_user_shows_with_schedules_and_consent(gda: Gda) -> None:
    add(gda)
    gda("schedule", "set", "ada", "digest", "weekdays 07:30")
    shown = gda("user", "show", "ada@example.org").out
    assert "never given" in shown
    assert "digest default: weekdays 07:30 Europe/London" in shown


def test_changing_a_timezone_moves_the_schedules_that_have_none_of_their_own(gda: Gda) -> None:
    add(gda)
    gda("schedule", "set", "ada", "digest", "daily 07:30")
    gda("schedule", "set", "ada", "digest", "daily 18:00", "--name", "evening", "--timezone", "Asia/Tokyo")
    changed = gda("user", "set", "ada", "--timezone", "America/New_York", "--name", "Ada")
    assert changed.code == 0
    by_name = {each["name"]: each for each in json.loads(gda("schedule", "list", "--json").out)}
    assert (by_name["default"]["timezone"], by_name["default"]["revision"]) == ("America/New_York", 2)
    assert (by_name["evening"]["timezone"], by_name["evening"]["revision"]) == ("Asia/Tokyo", 1)
    slots = json.loads(gda("schedule", "next", "ada", "-n", "1", "--json").out)
    local = next(each["local"] for each in slots if each["name"] == "default")
    assert local[11:16] == "07:30"
    assert local[-6:] in ("-05:00", "-04:00")


def test_setting_nothing_is_refused(gda: Gda) -> None:
    add(gda)
    assert "--timezone or --name" in gda("user", "set", "ada").refusal


def test_a_schedule_says_what_it_means_and_when_it_comes(gda: Gda) -> None:
    add(gda)
    answer = gda("schedule", "set", "ada", "digest", "30 7 * * 1-5")
    assert "every weekday at 07:30 Europe/London" in answer.out
    assert answer.out.count("T07:30") >= 3
    assert "gda apply" in answer.err


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("0 30 7 * * *", "six fields"),
        ("0 7 31 2 *", "never"),
        ("once 2026-02-30T07:00", "2026-02-30"),
        ("hourly-ish", "refused"),
        ("* * * * *", "a day"),
    ],
)
def test_a_bad_expression_is_refused_in_one_sentence_and_nothing_is_written(
    gda: Gda, expression: str, reason: str
) -> None:
    add(gda)
    assert reason in gda("schedule", "set", "ada", "digest", expression).refusal
    assert json.loads(gda("schedule", "list", "--json").out) == []


def test_an_unknown_kind_is_answered_with_the_nearest(gda: Gda) -> None:
    add(gda)
    assert "did you mean digest?" in gda("schedule", "set", "ada", "digests", "daily 07:30").refusal
    assert "choose one of digest" in gda("trigger", "zzz", "--user", "ada").refusal


def test_a_second_schedule_at_the_same_times_needs_force(gda: Gda) -> None:
    add(gda)
    gda("schedule", "set", "ada", "digest", "daily 07:30")
    again = ("schedule", "set", "ada", "digest", "30 7 * * *", "--name", "again")
    assert "--force" in gda(*again).refusal
    assert gda(*again, "--force").code == 0


def test_a_schedule_is_paused_resumed_and_removed(gda: Gda) -> None:
    add(gda)
    gda("schedule", "set", "ada", "digest", "daily 07:30")
    assert gda("schedule", "pause", "ada", "digest").out == "digest default of ada is paused\n"
    paused = gda("schedule", "next", "ada")
    assert (paused.out, "digest default is paused" in paused.err) == ("", True)
    assert gda("schedule", "resume", "ada@example.org", "digest").code == 0
    assert "say --yes" in gda("schedule", "remove", "ada", "digest").refusal
    assert gda("schedule", "remove", "ada", "digest", "--yes").code == 0
    assert "no digest schedule named 'default'" in gda("schedule", "pause", "ada", "digest").refusal


def test_a_preview_shows_what_a_clock_change_does(gda: Gda) -> None:
    words = ("schedule", "preview", "daily 02:30", "--timezone", "America/New_York", "--after", "2026-03-07T12:00")
    rows = json.loads(gda(*words, "-n", "2", "--json").out)
    assert rows[0] == {
        "slot": "2026-03-08T02:30",
        "local": "2026-03-08T03:30:00-04:00",
        "utc": "2026-03-08T07:30:00Z",
        "note": "02:30 does not exist on 8 March: runs 03:30",
    }
    assert rows[1]["note"] == ""
    assert "every day at 02:30 America/New_York" in gda(*words).out


def test_a_preview_needs_no_database(capsys: pytest.CaptureFixture[str], gda_home: Path) -> None:
    assert Gda(capsys)("schedule", "preview", "daily 07:30", "--timezone", "UTC").code == 0
    assert not gda_home.exists()


@pytest.mark.parametrize("words", [("-n", "0"), ("--after", "soon"), ("--timezone", "Mars/Olympus")])
def test_a_preview_refuses_what_it_cannot_read(gda: Gda, words: tuple[str, str]) -> None:
    given = ("schedule", "preview", "daily 07:30", *(() if "--timezone" in words else ("--timezone", "UTC")))
    assert words[1] in gda(*given, *words).refusal


def request_extra(gda: Gda) -> Occurrence:
    add(gda)
    gda("schedule", "set", "ada", "digest", "daily 07:30")

    async def ask(store: Store) -> Occurrence:
        waker = Waker("hand", "0197-run")
        (target,) = await store.ledger.promise_by_hand(Scope("digest", user_id="ada"), ByHand(extra="one"), waker)
        return target.occurrence

    found: Occurrence = ledger(ask)
    return found


def test_occurrences_are_listed_and_narrowed(gda: Gda) -> None:
    occurrence = request_extra(gda)
    (found,) = json.loads(gda("occurrences", "list", "--user", "ada", "--kind", "digest", "--json").out)
    assert (found["id"], found["status"], found["extra"]) == (occurrence.id, "scheduled", True)
    assert json.loads(gda("occurrences", "list", "--status", "done", "--json").out) == []
    assert "did you mean done?" in gda("occurrences", "list", "--status", "don").refusal


def test_an_occurrence_is_shown_by_the_beginning_of_its_id(gda: Gda) -> None:
    occurrence = request_extra(gda)
    shown = gda("occurrences", "show", occurrence.id[:8]).out
    assert occurrence.id in shown
    assert "0197-run" in shown
    assert "0, 0 of 10 burnt" in shown
    assert json.loads(gda("occurrences", "show", occurrence.id, "--json").out)["attempts"] == []
    assert "'zzz' does not exist" in gda("occurrences", "show", "zzz").refusal


def test_a_dry_trigger_says_what_it_means_and_writes_nothing(gda: Gda) -> None:
    add(gda)
    gda("schedule", "set", "ada", "digest", "daily 07:30")
    (meant,) = json.loads(gda("trigger", "digest", "--user", "ada", "--dry-run", "--json").out)
    assert (meant["slot"][10:], meant["status"], meant["occurrence"]) == ("T07:30", "new", None)
    (extra,) = json.loads(gda("trigger", "digest", "--user", "ada", "--dry-run", "--extra", "--json").out)
    assert (extra["slot"], extra["status"]) == (None, "new")
    assert json.loads(gda("occurrences", "list", "--json").out) == []


def test_a_dry_trigger_shows_what_has_settled_the_slot(gda: Gda) -> None:
    add(gda)
    gda("schedule", "set", "ada", "digest", "daily 07:30")

    async def promise(store: Store) -> str:
        (target,) = await store.ledger.promise_by_hand(Scope("digest", user_id="ada"), ByHand(), Waker("hand"))
        return target.occurrence.id

    promised = ledger(promise)
    (meant,) = json.loads(gda("trigger", "digest", "--user", "ada", "--dry-run", "--json").out)
    assert (meant["occurrence"], meant["status"]) == (promised, "scheduled")


def test_a_trigger_refuses_what_no_schedule_promises(gda: Gda) -> None:
    add(gda)
    assert "has no digest schedule" in gda("trigger", "digest", "--user", "ada").refusal
    gda("schedule", "set", "ada", "digest", "daily 07:30")
    assert "is no slot" in gda("trigger", "digest", "--user", "ada", "--at", "2026-03-08T07:31").refusal
    assert "without an offset" in gda("trigger", "digest", "--user", "ada", "--at", "yesterday").refusal
    both = ("trigger", "digest", "--user", "ada", "--at", "2026-03-08T07:30", "--extra")
    assert "give one of them" in gda(*both).refusal


def test_the_schema_goes_down_and_up_again(gda: Gda) -> None:
    assert "up to date" in gda("db", "current").out
    assert gda("db", "downgrade", "base").out == "schema base\n"
    assert "run `gda db upgrade`" in gda("user", "list").refusal
    assert json.loads(gda("db", "current", "--json").out)["up_to_date"] is False
    assert gda("db", "upgrade").code == 0
    assert gda("user", "list").code == 0
    assert "name a version" in gda("db", "upgrade", "9999").refusal


def test_how_late_a_slot_may_come_is_set_and_shown(gda: Gda) -> None:
    add(gda)
    limits = ("--catch-up-window", "2d", "--expire-after", "90m", "--spread", "10m")
    assert gda("schedule", "set", "ada", "digest", "daily 07:30", *limits).code == 0
    [saved] = json.loads(gda("schedule", "list", "--json").out)
    assert (saved["catch_up_window"], saved["expire_after"], saved["spread"]) == (172800.0, 5400.0, 600.0)
    refusal = gda("schedule", "set", "ada", "digest", "daily 08:30", "--spread", "ten").refusal
    assert "duration 'ten' is not understood" in refusal
