"""A death that nobody saw happen is told to the kind's hooks: once, by whoever knows the kind and comes first."""

import pytest

from flows.sweep import sweep_once
from gda.deaths import tell_of_all_deaths, tell_of_deaths
from gda.declare import job_type
from gda.errors import UnknownKind
from gda.hooks import Hooks
from gda.job import JobType
from gda.lifecycle import Status
from gda.outcome import Fail
from gda.registry import Registry
from gda.store import ByHand, Scope, Store, Waker, Which, Worker
from tests.builders import VirtualClock, a_store, a_user_with_digest
from tests.integration.test_plans import plan_of, statements_of
from tests.support.flow_runs import a_scene
from tests.support.wakes import woken

DIGEST = Scope("digest", user_id="ada")


def kind_that_notes(heard: list[str], kind: str = "digest", aliases: tuple[str, ...] = ()) -> JobType:
    """A kind whose ``on_dead`` hook writes down what it is told."""

    async def note(claim, settlement):
        heard.append(f"{claim.occurrence.user_id} {settlement.dead_reason} {claim.owner or 'nobody'}")

    return job_type(kind=kind, aliases=aliases, hooks=Hooks(on_dead=(note,)))(lambda job: Fail("no"))


async def died_over_it(store: Store, clock: VirtualClock) -> None:
    """Let two workers die over ada's digest, the second with nothing beside it, and free what they held."""
    await store.ledger.promise_by_hand(DIGEST, ByHand(), Waker("hand"))
    for suspects in (False, True):
        [claim] = await store.ledger.claim(DIGEST, Worker("doomed"), limit=1, impatient=True, suspects=suspects)
        await store.ledger.start(claim)
        clock.advance(minutes=10)
        await store.ledger.recover()


async def test_poison_found_by_a_process_that_does_not_know_the_kind_is_told_by_the_next_that_does(database_url):
    heard, clock = [], VirtualClock()
    known = kind_that_notes(heard)

    def nobody_knows(kind):
        raise UnknownKind(kind)

    async with a_store(database_url, clock=clock) as store:
        await a_user_with_digest(store)
        await died_over_it(store, clock)
        [dead] = await store.history.list()
        unknown = await tell_of_all_deaths(store, nobody_knows)
        kinds = await store.untold.kinds()
        counts = [await tell_of_all_deaths(store, {"digest": known}.__getitem__) for _ in range(2)]
        left = await store.untold.kinds()

    assert (dead.status, unknown, kinds) == (Status.DEAD, 0, ["digest"])
    assert (counts, left) == ([1, 0], [])
    assert heard == ["ada poison nobody"]


async def test_a_wake_up_of_the_kind_tells_of_the_poison_that_it_frees(database_url):
    heard, clock = [], VirtualClock()
    async with a_store(database_url, clock=clock) as store:
        await a_user_with_digest(store)
        await died_over_it(store, clock)
        reports = [await woken(store, kind_that_notes(heard), user="ada") for _ in range(2)]

    assert reports[0].startswith("nothing due")
    assert heard == ["ada poison nobody"]


async def test_a_death_that_its_own_worker_settles_is_told_once_and_leaves_no_news(database_url):
    heard = []
    async with a_store(database_url, clock=VirtualClock()) as store:
        await a_user_with_digest(store)
        await store.ledger.promise_by_hand(DIGEST, ByHand(), Waker("hand"))
        await woken(store, kind_that_notes(heard), user="ada")
        again = await tell_of_deaths(store, kind_that_notes(heard))

    assert (heard, again) == (["ada permanent test"], 0)


async def test_news_under_a_kinds_earlier_name_reaches_its_hooks(database_url):
    heard, clock = [], VirtualClock()
    registry = Registry()
    registry.register(kind_that_notes(heard, "post", aliases=("digest",)))
    async with a_store(database_url, clock=clock) as store:
        await a_user_with_digest(store)
        await died_over_it(store, clock)
        count = await tell_of_all_deaths(store, registry.get)

    assert (count, heard) == (1, ["ada poison nobody"])


async def test_a_replayed_occurrence_that_kills_its_worker_again_is_news_again(database_url):
    heard, clock = [], VirtualClock()
    async with a_store(database_url, clock=clock) as store:
        await a_user_with_digest(store)
        await died_over_it(store, clock)
        await tell_of_deaths(store, kind_that_notes(heard))
        await store.dead_letters.replay(Which(), by="ada")
        await died_over_it(store, clock)
        await tell_of_deaths(store, kind_that_notes(heard))

    assert heard == ["ada poison nobody"] * 2


@pytest.mark.slow
async def test_the_sweep_tells_of_poison_that_it_finds_itself(prefect_server, tmp_path, monkeypatch):
    heard = []
    registry = Registry()
    registry.register(kind_that_notes(heard))
    monkeypatch.setattr("flows.sweep.load_registry", lambda: registry)
    async with a_scene(prefect_server, tmp_path, monkeypatch, "ada") as scene:
        ledger = scene.house.store.ledger
        await ledger.promise_by_hand(DIGEST, ByHand(), Waker("hand"))
        for suspects in (False, True):
            [claim] = await ledger.claim(DIGEST, Worker("doomed"), limit=1, impatient=True, suspects=suspects)
            await ledger.start(claim)
            await ledger.abandon(Worker("doomed"))
        states = [await sweep_once(return_state=True) for _ in range(2)]

    assert [state.is_completed() for state in states] == [True, True], states
    assert heard == ["ada poison nobody"]


async def test_looking_for_news_reads_the_index_of_the_untold_and_writes_nothing(tmp_path):
    async with a_store(f"sqlite+aiosqlite:///{tmp_path}/gda.db", clock=VirtualClock()) as store:
        asked = await statements_of(store, lambda store: tell_of_deaths(store, kind_that_notes([])))
        taking = await statements_of(store, lambda store: store.untold.take("digest"))
        plans = [line for statement in [*asked, *taking] for line in await plan_of(store, *statement)]

    assert [statement.split()[0] for statement, _ in asked] == ["SELECT"]
    looks = [line for line in plans if "gda_" in line and "(occurrence_id=?)" not in line and "(id=?)" not in line]
    assert len(looks) == 2
    assert all("ix_gda_dead_letters_untold" in line for line in looks), plans
