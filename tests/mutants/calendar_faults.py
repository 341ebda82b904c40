"""Faults in telling what is new in calendars."""

from tests.mutants.fault import Edit, Fault

NOVEL = "tests/integration/test_novel_events.py::"
JOB, MEMORY = "gda/jobs/novel_events.py", "gda/store/seen_events.py"
CRASH = f"{NOVEL}test_a_crash_between_send_and_confirmation_lists_nothing_twice[sqlite]"

CALENDAR_FAULTS = (
    Fault(
        "calendar memory moved before the send",
        ("I1",),
        (
            Edit(
                JOB,
                "    return await send(mailing, EventLetter(mailing, news))\n",
                "    await store.seen_events.advance(job.claim, news.step)\n"
                "    return await send(mailing, EventLetter(mailing, news))\n",
            ),
        ),
        (f"{NOVEL}test_a_report_that_dies_leaves_its_changes_to_the_next[sqlite]",),
    ),
    Fault(
        "calendar memory not moved with the confirmation",
        ("I2",),
        (
            Edit(
                MEMORY,
                "zip(items, answers, strict=True) if answer is None]",
                "zip(items, answers, strict=True) if answer]",
            ),
        ),
        (CRASH,),
    ),
    Fault(
        "calendar report made anew after a crash",
        ("I2",),
        (
            Edit(
                JOB,
                "    if errand.effect is None:\n        return await send_new(",
                "    if True:\n        return await send_new(",
            ),
        ),
        (CRASH,),
    ),
    Fault(
        "calendar listed whole is told whole",
        ("I2",),
        (Edit("gda/jobs/changes.py", "            memory.seen.get(ref.id, {}),\n", "            {},\n"),),
        (f"{NOVEL}test_a_token_that_is_gone_costs_a_whole_listing_and_tells_nothing_twice[sqlite]",),
    ),
)
