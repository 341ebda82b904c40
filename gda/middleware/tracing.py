"""An OpenTelemetry span for each attempt; costs next to nothing until the installation configures an SDK."""

from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from gda.body import Job, Perform
from gda.middleware.endings import ending_of
from gda.outcome import Outcome

TRACER = "gda"


async def trace_attempts(job: Job, call_next: Perform) -> Outcome:
    """Perform the attempt inside a span ``gda.job <kind>`` whose attributes are names, ids and numbers."""
    occurrence = job.occurrence
    attributes: dict[str, str | int] = {
        "gda.kind": occurrence.kind,
        "gda.occurrence": occurrence.id,
        "gda.attempt": job.number,
        "gda.queue": occurrence.queue,
    }
    tracer = trace.get_tracer(TRACER)
    # The SDK would record the error with its text, which may quote anything.
    with tracer.start_as_current_span(
        f"gda.job {occurrence.kind}",
        kind=SpanKind.CONSUMER,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            outcome = await call_next(job)
        except BaseException as error:
            span.set_attribute("gda.ending", ending_of(error))
            span.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise
        span.set_attribute("gda.ending", ending_of(outcome))
        return outcome
