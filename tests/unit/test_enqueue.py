"""Enqueueing from Python: what a new job becomes, what is refused before anything is written, who is told."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import BaseModel, Field

from gda.declare import job_type
from gda.enqueue import NewJob, OnConflict, Unique, enqueue, enqueue_many
from gda.errors import AlreadyExists, UnknownKind, UnknownUser, UsageError
from gda.hooks import Hooks
from gda.job import Job
from gda.registry import Registry
from gda.retry import RetryPolicy
from gda.settings import Settings
from tests.builders import MORNING, VirtualClock, a_store

SETTINGS = Settings(timeout_seconds=77, retry_attempts=4)


class Invoice(BaseModel):
    """What an invoice job carries."""

    number: int = Field(ge=1)
    due: datetime | None = None


def a_registry(heard: list[tuple[str, int]] | None = None) -> Registry:
    async def told(kind, ids):
        if heard is not None:
            heard.append((kind, len(ids)))

    async def nothing(job: Job) -> None:
        return None

    hooks, registry = Hooks(on_enqueue=(told,)), Registry()
    registry.register(job_type(kind="plain", hooks=hooks)(nothing))
    policy = RetryPolicy(attempts=2)
    own = {"queue": "bulk", "retry": policy, "timeout": timedelta(seconds=9), "aliases": ["bill"], "hooks": hooks}
    registry.register(job_type(kind="invoice", payload=Invoice, **own)(nothing))
    return registry


async def enqueued(url, job):
    async with a_store(url, clock=VirtualClock(MORNING)) as store:
        await store.users.add("ada@example.org", timezone="UTC")
        made = await enqueue(store.queue, a_registry(), SETTINGS, job)
        return await store.ledger.get(made.occurrence_id)


@pytest.fixture
def url(tmp_path):
    return f"sqlite+aiosqlite:///{tmp_path}/gda.db"


async def test_what_a_job_leaves_open_its_kind_says_and_what_the_kind_leaves_open_the_settings(url, tmp_path):
    own = await enqueued(url, NewJob("invoice", {"number": 7}))
    inherited = await enqueued(f"{url}.2", NewJob("plain"))
    assert (own.queue, own.max_attempts, own.timeout_seconds, own.due_at) == ("bulk", 2, 9, MORNING)
    assert (inherited.queue, inherited.max_attempts, inherited.timeout_seconds) == ("default", 4, 77)


async def test_what_a_job_says_itself_wins(url):
    job = NewJob(
        "invoice",
        {"number": 7},
        user_id="ada",
        delay=timedelta(hours=2),
        queue="critical",
        priority=3,
        timeout=timedelta(seconds=5),
        max_attempts=1,
        metadata={"why": "test"},
    )
    made = await enqueued(url, job)
    assert (made.queue, made.priority, made.timeout_seconds, made.max_attempts) == ("critical", 3, 5, 1)
    assert (made.user_id, made.metadata, made.ready_at) == ("ada", {"why": "test"}, MORNING + timedelta(hours=2))


async def test_a_payload_is_kept_as_its_model_writes_it(url):
    made = await enqueued(url, NewJob("invoice", {"number": "7", "due": datetime(2026, 4, 1, tzinfo=UTC)}))
    assert made.payload == {"number": 7, "due": "2026-04-01T00:00:00Z"}


async def test_an_old_name_enqueues_under_the_new_one(url):
    assert (await enqueued(url, NewJob("bill", {"number": 1}))).kind == "invoice"


@pytest.mark.parametrize(
    ("job", "error", "sentence"),
    [
        (NewJob("invioce"), UnknownKind, "did you mean invoice"),
        (NewJob("plain", {"n": 1}), UsageError, "kind plain takes no payload"),
        (NewJob("invoice", {"number": 0}), UsageError, r"does not fit kind invoice \(number: greater_than_equal\)"),
        (NewJob("plain", user_id="nobody"), UnknownUser, "user 'nobody' does not exist"),
        (NewJob("plain", queue="blk"), UsageError, "choose one of critical, default, bulk"),
        (NewJob("plain", at=MORNING, delay=timedelta(1)), UsageError, "an instant and a delay"),
        (NewJob("plain", at=datetime(2026, 1, 1)), UsageError, "has no timezone"),  # noqa: DTZ001
        (NewJob("plain", delay=timedelta(seconds=-1)), UsageError, "is in the past"),
        (NewJob("plain", timeout=timedelta(0, 0, 1)), UsageError, "is too short"),
        (NewJob("plain", max_attempts=0), UsageError, "too few"),
        (NewJob("plain", unique=Unique("k", period=timedelta(days=31))), UsageError, "GDA_RETENTION_DAYS"),
    ],
)
async def test_what_breaks_a_rule_is_refused_in_one_sentence_and_its_neighbours_are_not_written(
    url, job, error, sentence
):
    heard: list[tuple[str, int]] = []
    async with a_store(url, clock=VirtualClock(MORNING)) as store:
        with pytest.raises(error, match=sentence):
            await enqueue_many(store.queue, a_registry(heard), SETTINGS, [NewJob("plain"), job])
        assert await store.history.list() == []
    assert heard == []


async def test_a_refused_payload_s_values_are_not_in_the_sentence_nor_behind_it(url):
    async with a_store(url) as store:
        with pytest.raises(UsageError) as refused:
            await enqueue(store.queue, a_registry(), SETTINGS, NewJob("invoice", {"number": "s3cret"}))
    assert "s3cret" not in str(refused.value)
    assert refused.value.__suppress_context__


async def test_hooks_hear_once_a_kind_of_what_is_new_after_the_commit(url):
    heard: list[tuple[str, int]] = []
    keep = Unique("k", OnConflict.KEEP)
    async with a_store(url, clock=VirtualClock(MORNING)) as store:
        jobs = [NewJob("plain"), NewJob("invoice", {"number": 1}), NewJob("plain", unique=keep)]
        for _ in range(2):
            await enqueue_many(store.queue, a_registry(heard), SETTINGS, jobs)
        await enqueue_many(store.queue, a_registry(heard), SETTINGS, [NewJob("plain", unique=keep)])
    assert heard == [("plain", 2), ("invoice", 1), ("plain", 1), ("invoice", 1)]


async def test_a_hook_finds_the_rows_committed(url):
    found = []

    async with a_store(url, clock=VirtualClock(MORNING)) as store:

        async def look(kind, ids):
            found.extend([(await store.ledger.get(one)).status for one in ids])

        registry = Registry()
        registry.register(job_type(kind="plain", hooks=Hooks(on_enqueue=(look,)))(lambda job: None))
        await enqueue_many(store.queue, registry, SETTINGS, [NewJob("plain")] * 3)
    assert found == ["scheduled"] * 3


async def test_a_dry_run_refuses_the_same_and_tells_nobody(url):
    heard: list[tuple[str, int]] = []
    job = NewJob("plain", unique=Unique("k"))
    async with a_store(url, clock=VirtualClock(MORNING)) as store:
        dry = await enqueue(store.queue, a_registry(heard), SETTINGS, job, dry_run=True)
        assert (dry.what, heard, await store.history.list()) == ("new", [], [])
        await enqueue(store.queue, a_registry(heard), SETTINGS, job)
        with pytest.raises(AlreadyExists):
            await enqueue(store.queue, a_registry(heard), SETTINGS, job, dry_run=True)
