"""Faults in the store and in the decisions about an occurrence's life."""

from tests.mutants.fault import Edit, Fault

LEDGER = "tests/integration/test_ledger.py::"
GUARDS = "tests/integration/test_ledger_guards.py::"
DEATHS = "tests/fundamentals/test_process_death.py::"

CLAIMS, LEDGER_FILE, SETTLEMENTS = "gda/store/claims.py", "gda/store/ledger.py", "gda/store/settlements.py"
RECOVERY, PROMISES, ERRANDS = "gda/store/recovery.py", "gda/store/promises.py", "gda/store/errands.py"
SCHEMA_1 = "gda/store/migrations/versions/v0001_ledger.py"
UNIQUE_NAME = '        sa.UniqueConstraint("kind", "dedup_key", name=op.f("uq_gda_occurrences_kind_dedup_key")),\n'
IN_TWO = '{0}await connection.exec_driver_sql("COMMIT")\n{0}await connection.exec_driver_sql("BEGIN IMMEDIATE")\n'

LEDGER_FAULTS = (
    Fault(
        "no unique name of occurrences",
        ("I1", "I2"),
        (
            Edit(SCHEMA_1, UNIQUE_NAME, ""),
            Edit("gda/store/tables.py", '    UniqueConstraint("kind", "dedup_key"),\n', ""),
        ),
        (f"{LEDGER}test_two_wake_ups_at_once_promise_each_slot_once[sqlite]",),
    ),
    Fault(
        "insert without conflict clause",
        ("I1",),
        (Edit(PROMISES, '.on_conflict_do_nothing(index_elements=["kind", "dedup_key"])', ""),),
        (
            "tests/fundamentals/test_runs_once.py::"
            "test_a_person_who_asks_twice_gets_one_digest_and_is_told_what_settled_it",
        ),
    ),
    Fault(
        "next_due_at advanced in a transaction of its own",
        ("I1",),
        (
            Edit(
                PROMISES,
                "    new = await insert_new(connection, inserts)\n"
                "    if moves:\n        await connection.execute(_MOVE, moves)\n",
                "    if moves:\n        await connection.execute(_MOVE, moves)\n"
                + IN_TWO.format("    ")
                + "    new = await insert_new(connection, inserts)\n",
            ),
        ),
        (f"{GUARDS}test_a_promise_that_cannot_be_written_leaves_its_schedule_where_it_was[sqlite]",),
    ),
    Fault(
        "an edit forgets what is owed under the old expression",
        ("I1",),
        (
            Edit(
                "gda/store/schedules.py",
                "                await self._settle_debts(connection, old, now)\n"
                "                await _edit(connection, old, values, timezone)\n            return",
                "                await _edit(connection, old, values, timezone)\n            return",
            ),
        ),
        (f"{LEDGER}test_an_edit_promises_what_is_owed_and_fires_nothing_past[sqlite]",),
    ),
    Fault(
        "the time at which it is ready ignored by claim",
        ("I3", "I10"),
        (Edit(CLAIMS, "    if not impatient:\n", "    if False:\n"),),
        ("tests/fundamentals/test_retries.py::test_the_wait_doubles_and_nothing_is_tried_before_it_is_over",),
    ),
    Fault(
        "expired lease not claimable",
        ("I4",),
        (
            Edit(
                LEDGER_FILE,
                "            await recover(connection, now)\n            return await claims.claim(",
                "            return await claims.claim(",
            ),
        ),
        ("tests/fundamentals/test_runs_once.py::test_a_worker_that_went_away_is_taken_over_when_its_lease_expires",),
    ),
    Fault(
        "lease compared with the worker's clock",
        ("I5",),
        (
            Edit(
                RECOVERY,
                'connection.execute(_EXPIRED, {"b_now": now})',
                'connection.execute(_EXPIRED, {"b_now": '
                "__import__('datetime').datetime.now(__import__('datetime').UTC)})",
            ),
        ),
        (f"{LEDGER}test_a_renewed_lease_is_not_taken_over[sqlite]",),
    ),
    Fault(
        "fence ignored on settle",
        ("I5",),
        (
            Edit(SETTLEMENTS, '    occurrences.c.fence == bindparam("b_fence"),\n', ""),
            Edit(
                SETTLEMENTS,
                "    mine = await holders(connection, [ending.claim for ending in endings])\n",
                "    held = {i for i, _ in await holders(connection, [ending.claim for ending in endings])}\n"
                "    mine = {\n        (e.claim.occurrence.id, e.claim.fence)\n"
                "        for e in endings\n        if e.claim.occurrence.id in held\n    }\n",
            ),
            Edit(SETTLEMENTS, '        "b_fence": ending.claim.fence,\n', ""),
            Edit(SETTLEMENTS, '{"b_fence": e.claim.fence}', "{}"),
        ),
        (f"{LEDGER}test_a_late_writer_is_refused_and_writes_nothing[sqlite]",),
    ),
    Fault(
        "fence does not rise at claim",
        ("I5",),
        (Edit(CLAIMS, "            fence=occurrences.c.fence + 1,\n", "            fence=occurrences.c.fence,\n"),),
        (f"{LEDGER}test_a_late_writer_is_refused_and_writes_nothing[sqlite]",),
    ),
    Fault(
        "a late worker may write intents and confirmations",
        ("I2", "I5"),
        (
            Edit(
                CLAIMS,
                "    return {(identity, fence) for identity, fence in rows.all()}\n",
                "    there = {identity for identity, _ in rows.all()}\n"
                "    return {(c.occurrence.id, c.fence) for c in claims if c.occurrence.id in there}\n",
            ),
        ),
        (f"{GUARDS}test_a_late_worker_writes_no_intent_no_confirmation_and_no_cursor[sqlite]",),
    ),
    Fault(
        "the check before the send forgets the lease's end",
        ("I2", "I5"),
        (
            Edit(
                CLAIMS,
                '    occurrences.c.lease_expires_at > bindparam("b_now", type_=occurrences.c.lease_expires_at.type),\n',
                "",
            ),
        ),
        (f"{GUARDS}test_before_it_sends_a_worker_whose_lease_ran_out_is_refused_though_nobody_took_over[sqlite]",),
    ),
    Fault(
        "taken over while a send may be under way",
        ("I2",),
        (
            Edit(
                RECOVERY, "occurrences.c.lease_expires_at <= _NOW, ~_SENDING", "occurrences.c.lease_expires_at <= _NOW"
            ),
        ),
        (f"{GUARDS}test_nobody_is_taken_over_while_a_send_may_still_be_under_way[sqlite]",),
    ),
    Fault(
        "attempt written at claim",
        ("I10", "I11"),
        (
            Edit(
                LEDGER_FILE,
                "            return await claims.claim(\n",
                "            return await _claim_and_start(\n                now,\n",
            ),
            Edit(
                LEDGER_FILE,
                "async def _the_time(",
                "async def _claim_and_start(instant: datetime, connection: Any, *a: Any, **k: Any) -> Any:\n"
                "    taken = await claims.claim(connection, *a, **k)\n"
                "    await claims.start(connection, taken, instant)\n"
                "    return taken\n\n\n"
                "async def _the_time(",
            ),
            Edit(
                LEDGER_FILE,
                "from datetime import datetime, timedelta\n",
                "from datetime import datetime, timedelta\nfrom typing import Any\n",
            ),
        ),
        (f"{DEATHS}test_a_claim_that_was_not_started_goes_back_as_if_nobody_had_taken_it[sqlite]",),
    ),
    Fault(
        "dead letter swallowed",
        ("I6",),
        (
            Edit(
                SETTLEMENTS,
                "            await bury(connection, [_death(ending) for ending in dying], now)\n",
                "            pass\n",
            ),
        ),
        (f"{LEDGER}test_a_death_and_its_dead_letter_are_written_together[sqlite]",),
    ),
    Fault(
        "dead letter in a second transaction",
        ("I6",),
        (
            Edit(
                SETTLEMENTS,
                "            await bury(connection, [_death(ending) for ending in dying], now)\n",
                IN_TWO.format("            ")
                + "            await bury(connection, [_death(ending) for ending in dying], now)\n",
            ),
        ),
        (f"{GUARDS}test_what_cannot_be_buried_has_not_died[sqlite]",),
    ),
    Fault(
        "poison leaves no dead letter",
        ("I6",),
        (
            Edit(
                RECOVERY,
                "    await bury(connection, [Death(row.id, row.kind, DeadReason.POISON, POISON) "
                "for row in rows], now)\n",
                "",
            ),
        ),
        (f"{DEATHS}test_a_second_death_alone_is_poison_and_the_others_are_delivered[sqlite]",),
    ),
    Fault(
        "user id missing in the query of a scope",
        ("I8",),
        (
            Edit(
                "gda/store/scopes.py",
                "        conditions.append(occurrences.c.user_id == scope.user_id)\n",
                "        pass\n",
            ),
        ),
        (f"{GUARDS}test_a_wake_up_for_one_user_takes_and_settles_nobody_elses[sqlite]",),
    ),
    Fault(
        "user id missing when a user is held",
        ("I8",),
        (
            Edit(
                "gda/store/holds.py",
                "    mine = and_(occurrences.c.user_id == user_id, occurrences.c.status.in_(WAITING))\n",
                "    mine = and_(occurrences.c.status.in_(WAITING))\n",
            ),
        ),
        ("tests/integration/test_holds.py::test_what_is_held_waits_for_its_own_cause_and_user[sqlite]",),
    ),
    Fault(
        "the credential of whoever comes first in a shared read",
        ("I8",),
        (Edit(ERRANDS, "known.get(claim.occurrence.id), journal", "next(iter(known.values())), journal"),),
        (f"{GUARDS}test_each_errand_of_a_shared_read_holds_its_own_users_things[sqlite]",),
    ),
    Fault(
        "cursor moved in a transaction of its own",
        ("I1", "I2"),
        (
            Edit(
                ERRANDS,
                "    await _move_cursors(connection, kept)\n",
                IN_TWO.format("    ") + "    await _move_cursors(connection, kept)\n",
            ),
        ),
        (f"{GUARDS}test_a_cursor_that_cannot_be_moved_leaves_the_mail_unconfirmed[sqlite]",),
    ),
    Fault(
        "poison run again in company",
        ("I11",),
        (
            Edit(
                CLAIMS,
                "occurrence_condition(scope), ready, occurrences.c.suspect == suspects, FREE)",
                "occurrence_condition(scope), ready, FREE)",
            ),
        ),
        (f"{DEATHS}test_what_ran_when_its_worker_died_runs_next_alone_and_has_burnt_nothing[sqlite]",),
    ),
    Fault(
        "a crash alone does not make it dead",
        ("I11",),
        (Edit(RECOVERY, "    poison = [row for row in rows if row.alone]\n", "    poison = []\n"),),
        (f"{DEATHS}test_a_second_death_alone_is_poison_and_the_others_are_delivered[sqlite]",),
    ),
    Fault(
        "sweep without grace",
        ("I3",),
        (
            Edit(
                "gda/sweep.py",
                "_Round(store, timedelta(seconds=settings.sweep_grace_seconds), waker, leading)",
                "_Round(store, timedelta(0), waker, leading)",
            ),
        ),
        ("tests/integration/test_sweep.py::test_a_missed_slot_is_promised_after_the_grace_and_once[sqlite]",),
    ),
    Fault(
        "sweep that recovers nobody",
        ("I4",),
        (Edit("gda/sweep.py", '    await round_.guarded("recover", round_.recover)\n', ""),),
        ("tests/integration/test_sweep.py::test_what_a_dead_worker_left_is_recovered_and_gets_a_drain[sqlite]",),
    ),
    Fault(
        "user id missing in the name of a unique key",
        ("I8",),
        (
            Edit(
                "gda/store/queue.py",
                '    return (item.kind, item.user_id or "", item.unique.key) if item.unique else None\n',
                '    return (item.kind, "", item.unique.key) if item.unique else None\n',
            ),
            Edit("gda/store/queue.py", '            "owner": item.user_id or "",\n', '            "owner": "",\n'),
        ),
        ("tests/integration/test_queue.py::test_a_key_belongs_to_its_user[sqlite]",),
    ),
)
