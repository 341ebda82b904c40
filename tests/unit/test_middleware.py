"""What stands around every kind: figures that Prometheus reads, spans that OpenTelemetry gets, a line in the log."""

import asyncio
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import INVALID_SPAN_CONTEXT, NonRecordingSpan, StatusCode, Tracer, TracerProvider
from prometheus_client import REGISTRY

from gda.binding import bind
from gda.declare import job_type
from gda.errors import ClaimLost, Transient
from gda.job import Job
from gda.lifecycle import Claim
from gda.outcome import Done, Fail, Hold, Outcome, Retry, Skip
from gda.settings import Settings
from tests.builders import an_occurrence

SECRET = "ya29.token"


async def nothing() -> None:
    """Hold the lease."""


async def performed(kind: str, *endings: Outcome | BaseException) -> None:
    """Attempt one occurrence of the kind after another, each ending as it is told."""
    left = list(endings)

    async def body(job: Job) -> Outcome:
        ending = left.pop(0)
        if isinstance(ending, BaseException):
            raise ending
        return ending

    bound = bind(job_type(kind=kind)(body), Settings())
    for number in range(1, len(endings) + 1):
        job = Job(Claim(an_occurrence(kind=kind), "owner", 1), number, nothing)
        with suppress(Transient, ClaimLost, KeyError, asyncio.CancelledError):
            await bound.perform(job)


def figure(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


async def test_attempts_are_counted_by_kind_and_ending_and_their_durations_summed():
    await performed("counted", Done("x"), Done(), Skip("no"), Retry("busy"), Transient(SECRET), ClaimLost("gone"))

    counts = {
        sample.labels["ending"]: sample.value
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.name == "gda_attempts_total" and sample.labels["kind"] == "counted"
    }
    assert counts == {"done": 2, "skipped": 1, "retry": 1, "raised": 1, "lost": 1}
    assert figure("gda_attempt_seconds_count", kind="counted") == 6
    assert 0 < (figure("gda_attempt_seconds_sum", kind="counted") or 0) < 5
    assert figure("gda_attempts_running", kind="counted") == 0


async def test_an_attempt_that_runs_is_counted_as_running():
    seen = []

    async def look(job: Job) -> None:
        seen.append(figure("gda_attempts_running", kind="looking"))

    bound = bind(job_type(kind="looking")(look), Settings())
    await bound.perform(Job(Claim(an_occurrence(kind="looking"), "owner", 1), 1, nothing))
    assert (seen, figure("gda_attempts_running", kind="looking")) == ([1], 0)


class Span(NonRecordingSpan):
    """A span that keeps what it is told."""

    def __init__(self, name: str, attributes: Mapping[str, Any]) -> None:
        super().__init__(INVALID_SPAN_CONTEXT)
        self.name, self.attributes = name, dict(attributes)
        self.status: tuple[StatusCode, str | None] | None = None
        self.exceptions: list[BaseException] = []
        self.ended = False

    def is_recording(self) -> bool:
        return True

    def set_attribute(self, key: str, value: Any) -> None:
        self.attributes[key] = value

    def set_status(self, status: Any, description: str | None = None) -> None:
        self.status = (status.status_code, status.description)

    def record_exception(self, exception: BaseException, *_: Any, **__: Any) -> None:
        self.exceptions.append(exception)


class Collector(TracerProvider, Tracer):
    """A tracer in memory, over the API alone: the SDK is an installation's choice."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def get_tracer(self, *_: Any, **__: Any) -> Tracer:
        return self

    def start_span(self, name: str, *_: Any, attributes: Any = None, **__: Any) -> Span:
        self.spans.append(Span(name, attributes or {}))
        return self.spans[-1]

    @contextmanager
    def start_as_current_span(self, name: str, *_: Any, **options: Any) -> Iterator[Span]:  # type: ignore[override]
        span = self.start_span(name, attributes=options.get("attributes"))
        with trace.use_span(
            span,
            record_exception=options.get("record_exception", True),
            set_status_on_exception=options.get("set_status_on_exception", True),
        ):
            yield span
        span.ended = True


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Collector:
    """The tracer provider of this process, as an installation's SDK would set it."""
    made = Collector()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", made)
    return made


async def test_each_attempt_is_a_span_with_names_and_numbers(collector: Collector):
    await performed("traced", Done("5 messages"), Fail("no"), Hold("consent:google"))

    assert [span.name for span in collector.spans] == ["gda.job traced"] * 3
    assert [span.attributes["gda.ending"] for span in collector.spans] == ["done", "failed", "held"]
    assert collector.spans[1].attributes == {
        "gda.kind": "traced",
        "gda.occurrence": an_occurrence().id,
        "gda.attempt": 2,
        "gda.queue": "default",
        "gda.ending": "failed",
    }
    assert all(span.ended for span in collector.spans)


async def test_a_span_of_an_attempt_that_raised_names_the_error_and_keeps_its_text_out(collector: Collector):
    await performed("traced", KeyError(SECRET))

    [span] = collector.spans
    assert span.status == (StatusCode.ERROR, "KeyError")
    assert (span.exceptions, span.attributes["gda.ending"]) == ([], "raised")
    assert SECRET not in f"{span.attributes}{span.status}"


async def test_the_log_has_a_line_for_each_attempt_without_an_errors_text(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "gda.jobs")
    await performed("logged", Done(SECRET), KeyError(SECRET), asyncio.CancelledError())

    identity = an_occurrence().id
    lines = [line.rpartition(" in ")[0] for line in caplog.messages]
    assert lines == [
        f"logged {identity} attempt 1: done",
        f"logged {identity} attempt 2: raised KeyError",
        f"logged {identity} attempt 3: stopped CancelledError",
    ]
