"""Faults in the digest, in retrying, in keeping secrets, and in what Prefect is told."""

from tests.mutants.fault import Edit, Fault

DIGEST = "tests/integration/test_digest_job.py::"
WINDOWS = "tests/integration/test_digest_windows.py::"
SECRETS = "tests/integration/test_secrets_stay_inside.py::"
IN_DOUBT = f"{DIGEST}test_while_the_index_is_late_a_mail_in_doubt_waits_unburnt_and_is_found_later"

DIGEST_FILE, MAILING = "gda/jobs/digest.py", "gda/jobs/mailing.py"
RETRY, LIFECYCLE = "gda/retry.py", "gda/lifecycle.py"
INTEND = "    effect = await tools.store.effects.intend(Intent(job.claim, message_id, busy, letter.content))\n"
CONFIRM = "    await letter.confirm(reply)\n"

JOB_FAULTS = (
    Fault(
        "cursor moved before the send",
        ("I1",),
        (
            Edit(
                MAILING,
                INTEND,
                "    await tools.store.errands.advance(job.claim, letter.found.cursor)\n" + INTEND,
            ),
        ),
        (f"{WINDOWS}test_what_a_dead_digest_would_have_listed_stands_in_the_next_one",),
    ),
    Fault(
        "window rebuilt on retry",
        ("I1", "I2"),
        (
            Edit(
                DIGEST_FILE,
                "    if errand.effect is None:\n",
                "    if errand.effect is None or errand.effect.state == 'refused':\n",
            ),
        ),
        (f"{WINDOWS}test_mail_that_comes_between_two_attempts_stands_in_the_next_digest_only",),
    ),
    Fault(
        "intent written after the send",
        ("I2",),
        (
            Edit(MAILING, INTEND, ""),
            Edit(MAILING, CONFIRM, INTEND.replace("effect = ", "") + CONFIRM),
            Edit(
                MAILING,
                "find_sent(message_id, job.occurrence.id, effect.intent_at)",
                "find_sent(message_id, job.occurrence.id, mailing.errand.now)",
            ),
        ),
        (f"{IN_DOUBT}[False]",),
    ),
    Fault(
        "in doubt treated as not sent at once",
        ("I2",),
        (Edit(MAILING, "        if now < settled_at:\n", "        if False:\n"),),
        (f"{WINDOWS}test_a_mail_that_still_cannot_be_found_before_the_settling_time_is_waited_for_and_not_sent_again",),
    ),
    Fault(
        "in doubt sent again without asking the mailbox",
        ("I2",),
        (
            Edit(
                MAILING,
                "        if not await mailing.gmail.find_sent(message_id, job.occurrence.id, effect.intent_at):\n"
                "            raise\n"
                "        reply = FOUND\n",
                "        await tools.store.effects.refuse(Refusal(job.claim))\n        raise\n",
            ),
        ),
        (f"{DIGEST}test_a_server_that_drops_the_line_after_taking_the_mail_is_asked_and_not_sent_to_again",),
    ),
    Fault(
        "retry-after ignored",
        ("I10",),
        (Edit(RETRY, "        return jitter if retry_after is None else ", "        return jitter if True else "),),
        ("tests/unit/test_retry.py::test_a_providers_time_is_a_floor",),
    ),
    Fault(
        "backoff without cap",
        ("I10",),
        (
            Edit(
                RETRY,
                "        return min(self.delay * self.multiplier**exponent, self.max_delay) if exponent < 40 "
                "else self.max_delay\n",
                "        return self.delay * self.multiplier**min(exponent, 20)\n",
            ),
        ),
        ("tests/unit/test_retry.py::test_the_bound_doubles_until_the_cap",),
    ),
    Fault(
        "attempts are not counted",
        ("I6", "I10"),
        (Edit(LIFECYCLE, "    burnt = occurrence.burnt + 1\n", "    burnt = 1\n"),),
        ("tests/unit/test_lifecycle.py::test_the_last_attempt_that_fails_makes_it_dead",),
    ),
    Fault(
        "a job that ends the process takes the batch along",
        ("I11",),
        (Edit("gda/runner.py", "    except BaseException as error:  #", "    except GeneratorExit as error:  #"),),
        (
            "tests/fundamentals/test_process_death.py::"
            "test_a_job_that_tries_to_end_the_process_is_poison_at_once_and_ends_nobody[sqlite]",
        ),
    ),
    Fault(
        "token in an exception's text",
        ("I9",),
        (
            Edit(
                "gda/google/oauth.py",
                "request, _ENDPOINT, lambda body",
                'request, f"{_ENDPOINT} {refresh_token.get_secret_value()}", lambda body',
            ),
        ),
        (f"{SECRETS}test_directly_nothing_leaks_into_database_logs_or_error_texts",),
    ),
    Fault(
        "text of a foreign error kept",
        ("I9",),
        (
            Edit(
                LIFECYCLE,
                "    message = str(error) if isinstance(error, GdaError) else f",
                "    message = str(error) if True else f",
            ),
        ),
        ("tests/unit/test_lifecycle.py::test_a_foreign_errors_text_is_not_kept_because_it_may_quote_content",),
    ),
    Fault(
        "a sealed token is not bound to its user",
        ("I8", "I9"),
        (Edit("gda/vault.py", "        info = _PURPOSE + user_id.encode()\n", "        info = _PURPOSE\n"),),
        ("tests/unit/test_vault.py::test_another_users_ciphertext_does_not_open",),
    ),
    Fault(
        "a dead occurrence is a completed task run in Prefect",
        ("I12",),
        (
            Edit(
                "gda/glue/runs.py",
                'return Failed(name="Dead", message=settlement.reason)',
                "return Completed(message=settlement.reason)",
            ),
        ),
        ("tests/unit/test_glue_states.py::test_a_task_runs_state_says_what_the_ledger_wrote[settlement6-FAILED-Dead]",),
    ),
    Fault(
        "runs whose worker went away stay RUNNING in Prefect",
        ("I12",),
        (
            Edit(
                "gda/glue/runs.py",
                "                await end_run(client, run_id, state)\n",
                "                pass\n",
            ),
        ),
        (
            "tests/integration/test_abandoned_runs.py::"
            "test_a_run_is_closed_in_prefect_once_its_leases_have_expired_and_not_before",
        ),
    ),
)
