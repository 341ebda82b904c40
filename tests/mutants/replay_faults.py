"""Faults in what becomes of the dead, and in what burns an attempt."""

from tests.mutants.fault import Edit, Fault

INBOX = "tests/integration/test_dead_letters.py::"
LETTERS, SETTLEMENTS, RECOVERY = "gda/store/dead_letters.py", "gda/store/settlements.py", "gda/store/recovery.py"
ALIVE_AGAIN = (
    '.where(occurrences.c.id == bindparam("b_id"), occurrences.c.status == Status.DEAD)\n'
    "    .values(\n        status=Status.SCHEDULED,\n        burnt=0,\n"
)
NEW_NAME = '        dedup_key=occurrences.c.dedup_key + "/again",\n'

REPLAY_FAULTS = (
    Fault(
        "replay past dedup: under a new name",
        ("I2", "I7"),
        (Edit(LETTERS, ALIVE_AGAIN, ALIVE_AGAIN + NEW_NAME),),
        (
            "tests/integration/test_ledger_guards.py::"
            "test_what_is_replayed_keeps_its_name_so_that_asking_again_makes_no_second_one[sqlite]",
        ),
    ),
    Fault(
        "replay past dedup: of a letter that is closed",
        ("I7",),
        (
            Edit(
                LETTERS,
                "    query = _letters(which).where(dead_letters.c.closed_at.is_(None)).order_by(",
                "    query = _letters(replace(which, closed=True)).order_by(",
            ),
            Edit(LETTERS, "from dataclasses import ", "from dataclasses import replace, "),
            Edit(LETTERS, ALIVE_AGAIN, ALIVE_AGAIN.replace(", occurrences.c.status == Status.DEAD", "")),
        ),
        (f"{INBOX}test_a_replay_is_a_new_life_with_attempts_numbered_on_and_happens_once[sqlite]",),
    ),
    Fault(
        "replay with the attempts of the old life",
        ("I7",),
        (Edit(LETTERS, "        status=Status.SCHEDULED,\n        burnt=0,\n", "        status=Status.SCHEDULED,\n"),),
        (f"{INBOX}test_a_replay_is_a_new_life_with_attempts_numbered_on_and_happens_once[sqlite]",),
    ),
    Fault(
        "a snooze counts as a burnt attempt",
        ("I1", "I6"),
        (Edit(SETTLEMENTS, '        "b_burns": int(settlement.burns),\n', '        "b_burns": 1,\n'),),
        ("tests/fundamentals/test_retries.py::test_a_snooze_is_an_attempt_that_burns_nothing",),
    ),
    Fault(
        "a worker's death burns an attempt",
        ("I11",),
        (
            Edit(
                RECOVERY,
                "            suspect=literal(True) if suspect else occurrences.c.suspect,\n",
                "            suspect=literal(True) if suspect else occurrences.c.suspect,\n"
                "            burnt=occurrences.c.burnt + 1,\n",
            ),
        ),
        (
            "tests/fundamentals/test_process_death.py::"
            "test_what_ran_when_its_worker_died_runs_next_alone_and_has_burnt_nothing[sqlite]",
        ),
    ),
)
