"""Operator schedules: said as sentences, stored without a user, told apart from users', and deployed by kind."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import BaseModel

from deployments.operator import operator_deployments
from deployments.plan import Existing, plan
from deployments.planning import people_deployments
from deployments.spec import KindSpec
from gda.declare import job_type
from gda.errors import AlreadyExists, InvalidSchedule, UnknownKind, UsageError
from gda.glue.switches import is_paused, owner_of, read_switchboard
from gda.operator import at, every, save, schedule
from gda.registry import Registry
from gda.schedule import Schedule
from gda.settings import Settings
from gda.store import ByHand, CancelledRun, Scope, Waker, Wish, Worker
from tests.builders import MORNING, VirtualClock, a_store, a_user_with_digest
from tests.support.command import Gda, make_database

GENERIC = KindSpec("run-job", "flows.run_job.run_job", "1", {"type": "object"})


class Report(BaseModel):
    """What a report carries."""

    weeks: int


@job_type(kind="ping", aliases=["pong"])
async def ping(job) -> None:
    """Do nothing."""


@job_type(kind="report", payload=Report)
async def report(job) -> None:
    """Do nothing."""


def a_registry() -> Registry:
    registry = Registry()
    for each in (ping, report):
        registry.register(each)
    return registry


@pytest.fixture
def url(tmp_path):
    return f"sqlite+aiosqlite:///{tmp_path}/gda.db"


@pytest.mark.parametrize(
    ("said", "expression", "tz"),
    [
        (schedule("default", "daily 03:00", ping, tz="Europe/Berlin"), "daily 03:00", "Europe/Berlin"),
        (schedule("default", "every 30 seconds", "ping"), "every 30 seconds", "UTC"),
        (schedule("default", "15 0 12 * * *", ping), "15 0 12 * * *", "UTC"),
        (every(5).minutes.do(ping), "every 5 minutes", "UTC"),
        (every(30).seconds.do(ping), "every 30 seconds", "UTC"),
        (every().monday.at("09:00", tz="Asia/Tokyo").do(ping), "weekly mon 09:00", "Asia/Tokyo"),
        (at("2026-12-24T18:00", tz="Europe/Berlin").do(ping), "once 2026-12-24T18:00", "Europe/Berlin"),
        (at(datetime(2026, 12, 24, 18, tzinfo=timezone(timedelta(hours=1)))).do(ping), "once 2026-12-24T17:00", "UTC"),
        (Schedule.daily("07:30").do(ping), "daily 07:30", "UTC"),
    ],
)
def test_each_way_of_saying_it_means_a_kind_at_an_expression(said, expression, tz):
    assert (said.kind, str(said.schedule.expression), said.schedule.timezone) == ("ping", expression, tz)
    assert (said.name, said.payload) == ("default", {})


def test_a_wrong_time_is_refused_where_it_is_said():
    with pytest.raises(InvalidSchedule, match="days are not counted"):
        every(2).monday.at("09:00")
    with pytest.raises(InvalidSchedule, match="once"):
        at("tomorrow")
    with pytest.raises(InvalidSchedule, match="Europe/Berln"):
        schedule("x", "daily 03:00", ping, tz="Europe/Berln")


async def test_saved_they_belong_to_nobody_and_saving_again_changes_only_what_differs(url):
    async with a_store(url, clock=VirtualClock(MORNING)) as store:
        wanted = [every(30).seconds.do(ping), schedule("weekly", "weekly mon 09:00", report, payload={"weeks": 1})]
        first = await save(store.schedules, a_registry(), wanted)
        second = await save(store.schedules, a_registry(), [wanted[0], schedule("weekly", "daily 09:00", ping)])
        listed = await store.schedules.all()
    assert [(one.user_id, one.kind, one.expression) for one in first] == [
        (None, "ping", "every 30 seconds"),
        (None, "report", "weekly mon 09:00"),
    ]
    assert first[1].settings == {"payload": {"weeks": 1}}
    assert (second[0], len(listed)) == (first[0], 3)


@pytest.mark.parametrize(
    ("wanted", "error", "sentence"),
    [
        ([every(5).minutes.do("pnig")], UnknownKind, "did you mean ping"),
        ([every(5).minutes.do(ping, payload={"n": 1})], UsageError, "takes no payload"),
        ([every(5).minutes.do(report)], UsageError, "weeks: missing"),
        ([every(5).minutes.do(ping), every(6).minutes.do("pong")], UsageError, "two schedules of kind ping are named"),
    ],
)
async def test_what_breaks_a_rule_is_refused_and_nothing_of_it_is_saved(url, wanted, error, sentence):
    async with a_store(url) as store:
        with pytest.raises(error, match=sentence):
            await save(store.schedules, a_registry(), [schedule("good", "daily 03:00", ping), *wanted])
        assert await store.schedules.all() == []


async def test_the_same_times_under_two_names_are_refused(url):
    async with a_store(url) as store:
        with pytest.raises(AlreadyExists, match=r"the operator has ping at 'daily 03:00' already"):
            await save(store.schedules, a_registry(), [Schedule.daily("03:00").do(ping, name=name) for name in "ab"])


async def test_its_slots_are_promised_with_their_payload_and_claimed_apart_from_users_work(database_url):
    clock = VirtualClock(MORNING)
    async with a_store(database_url, clock=clock) as store:
        await a_user_with_digest(store, "ada")
        said = [every(30).seconds.do(report, payload={"weeks": 2}), schedule("morning", "daily 07:30", "report")]
        await save(store.schedules, _any_payload(), said)
        clock.advance(hours=3)
        scope = Scope("report", operator=True)
        promised = await store.ledger.promise(scope, Waker("schedule"))
        claims = await store.ledger.claim(scope, Worker("w"), limit=10)
        others = await store.ledger.promise(Scope("digest", operator=True), Waker("schedule"))
        targets = await store.ledger.promise_by_hand(scope, ByHand(at="2026-03-10T07:30"), Waker("hand"))
    payloads = {claim.occurrence.slot: claim.occurrence.payload for claim in claims}
    assert promised.evaluated == 2
    assert payloads["2026-03-10T07:30"] == {"weeks": None}
    assert payloads["2026-03-10T09:00"] == {"weeks": 2}
    assert {claim.occurrence.user_id for claim in claims} == {None}
    assert others.evaluated == 0
    assert [target.new for target in targets] == [False, False]


def _any_payload() -> Registry:
    registry = Registry()

    @job_type(kind="report", payload=Loose)
    async def loose(job) -> None:
        """Do nothing."""

    registry.register(loose)
    return registry


class Loose(BaseModel):
    """A payload whose fields may be left out."""

    weeks: int | None = None


async def deployed(url, *said, kinds=None):
    async with a_store(url, clock=VirtualClock(MORNING)) as store:
        await a_user_with_digest(store, "ada")
        await save(store.schedules, a_registry(), said)
        if kinds:
            await store.schedules.enable(None, "ping", kinds, enabled=False)
        known = {
            kind: KindSpec("run-job", "flows.run_job.run_job", kind=kind, generic=True) for kind in a_registry().kinds()
        }
        return operator_deployments(await store.schedules.all(), known, GENERIC, Settings(prefect_pool="mine"))


async def test_each_kind_gets_one_deployment_with_a_prefect_schedule_for_each_of_its_own(url):
    said = [
        every(30).seconds.do(ping, name="often"),
        schedule("early", "daily 03:00", ping, tz="Europe/Berlin"),
        at("2026-12-24T18:00", tz="Europe/Berlin").do(ping, name="eve"),
        every(7).minutes.do(ping, name="odd"),
        every().monday.at("09:00").do(report, payload={"weeks": 1}),
    ]
    of_ping, of_report = await deployed(url, *said, kinds="early")
    assert (of_ping.title, of_report.title) == ("run-job/operator ping", "run-job/operator report")
    assert of_ping.parameters == {"kind": "ping", "operator": True}
    assert (of_ping.tags, of_ping.work_pool) == (("gda", "kind:ping", "operator"), "mine")
    assert {one.slug: (one.cron, one.timezone, one.active) for one in of_ping.schedules} == {
        "often": ("* * * * * */30", "UTC", True),
        "early": ("0 3 * * *", "Europe/Berlin", False),
        "eve": ("0 18 24 12 *", "Europe/Berlin", True),
    }
    assert "odd: every 7 minutes, counted in UTC (no cron can say this: the sweep serves it)" in of_ping.description


async def test_what_has_no_schedules_any_more_is_deleted_and_users_deployments_are_not_its_business(url):
    [spec] = await deployed(url, every(5).minutes.do(ping))
    gone = plan([], [Existing("1", spec, {})])
    assert gone.delete == (Existing("1", spec, {}),)


@pytest.fixture
def gda(capsys: pytest.CaptureFixture[str]) -> Gda:
    make_database()
    return Gda(capsys)


def test_the_command_sets_lists_pauses_resumes_and_removes_them(gda: Gda) -> None:
    answer = gda("schedule", "set", "--system", "digest", "every 30 seconds", "--name", "often", "--json")
    assert (answer.code, json.loads(answer.out)["schedule"]["user_id"]) == (0, None)
    assert gda("schedule", "set", "digest", "15 0 3 * * *", "--system", "--seconds").code == 0
    gda("user", "add", "ada@example.org", "--timezone", "UTC")
    gda("schedule", "set", "ada", "digest", "daily 07:30")
    listed = json.loads(gda("schedule", "list", "--system", "--json").out)
    assert [(one["name"], one["expression"]) for one in listed] == [
        ("default", "15 0 3 * * *"),
        ("often", "every 30 seconds"),
    ]
    assert len(json.loads(gda("schedule", "list", "--json").out)) == 3
    assert gda("schedule", "pause", "--system", "digest").out == "digest default of operator is paused\n"
    assert gda("schedule", "resume", "--system", "digest").out == "digest default of operator is active\n"
    assert gda("schedule", "remove", "--system", "digest", "--yes").out == "removed digest default of operator\n"
    assert len(json.loads(gda("schedule", "list", "--system", "--json").out)) == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("set", "ada", "digest", "every 30 seconds"), "seconds are for an operator's own jobs"),
        (("set", "ada", "digest", "0 15 3 * * *", "--seconds"), "--seconds is for the operator's own schedules"),
        (("set", "ada", "digest", "daily 07:30", "--payload", "{}"), "--payload is for the operator's own schedules"),
        (("set", "--system", "digest", "0 15 3 * * *"), "six fields"),
        (("set", "--system", "digest", "every 30 seconds", "--payload", '{"n": 1}'), "digest takes no payload"),
        (("set", "--system", "digest"), "KIND requires an argument"),
        (("set", "--system", "ada", "digest", "daily 07:30"), "leave the user out"),
        (("set", "--system", "digest", ""), "it is empty"),
        (("set", "digest", "daily 07:30"), "or --system and KIND EXPRESSION for the operator's own"),
        (("set", "--system", "digests", "daily 07:30"), "did you mean digest?"),
        (("pause", "--system", "digest"), "the operator has no digest schedule named 'default'"),
        (("remove", "digest", "--yes"), "say USER KIND"),
    ],
)
def test_wrong_words_are_one_sentence(gda: Gda, words: tuple[str, ...], sentence: str) -> None:
    gda("user", "add", "ada@example.org", "--timezone", "UTC")
    assert sentence in gda("schedule", *words).refusal
    assert json.loads(gda("schedule", "list", "--json").out) == []


def test_an_aware_instant_says_its_own_time():
    assert str(at(datetime(2026, 7, 1, 12, tzinfo=UTC)).expression) == "once 2026-07-01T12:00"


async def test_a_pause_in_prefect_s_ui_is_the_operator_s_command_too(url):
    tags = ["gda", "operator", "kind:ping"]
    deployment = {"tags": tags, "parameters": {}, "paused": False, "schedules": [{"slug": "often", "active": False}]}
    clock = VirtualClock(MORNING)
    async with a_store(url, clock=clock) as store:
        await save(store.schedules, a_registry(), [every(5).minutes.do(ping, name="often")])
        clock.advance(minutes=6)
        [watched] = await store.commands.watched(timedelta(0))
        paused = is_paused(watched, read_switchboard([deployment]))
        await store.commands.heed_pauses([watched.id], [])
        promised = await store.ledger.promise(Scope("ping"), Waker("sweep"))
        [row] = await store.history.list()
    assert (watched.user_id, paused, owner_of(tags)) == ("", True, ("", "ping"))
    assert (row.status, row.reason, promised.scheduled) == ("skipped", "paused in Prefect", ())


async def test_a_run_of_the_operator_s_that_was_cancelled_in_prefect_skips_its_slot(url):
    clock = VirtualClock(MORNING)
    async with a_store(url, clock=clock) as store:
        await a_user_with_digest(store, "ada")
        await save(store.schedules, a_registry(), [every(5).minutes.do(ping)])
        clock.advance(minutes=6)
        at_five = MORNING + timedelta(minutes=5)
        skipped = await store.commands.cancel([CancelledRun("run", Scope("ping", operator=True), at_five)])
        [row] = await store.history.list()
    assert (skipped, row.status, row.reason, row.due_at) == (1, "skipped", "cancelled in Prefect", at_five)


@pytest.mark.parametrize(("layout", "other"), [("user", "digest/ada"), ("cohort", "digest/daily 07:30 Europe-London")])
async def test_apply_makes_them_in_every_layout(url, layout, other):
    async with a_store(url, clock=VirtualClock(MORNING)) as store:
        await a_user_with_digest(store, "ada")
        await store.schedules.set(Wish(None, "digest", "every 30 seconds", "UTC"))
        wanted = await people_deployments(store, Settings(layout=layout))
    assert [one.title for one in wanted] == ["run-job/operator digest", other]
