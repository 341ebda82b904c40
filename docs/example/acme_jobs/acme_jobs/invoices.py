"""Invoices: enqueued by Acme's shop, one at a time or by the thousand."""

from datetime import timedelta

from gda.declare import job_type
from gda.job import Job
from gda.middleware.recovery import recover
from gda.outcome import Done, Fail
from gda.retry import RetryPolicy
from pydantic import BaseModel, Field

from acme_jobs.news import NEWS
from acme_jobs.outbox import put


class Invoice(BaseModel):
    """What an enqueued invoice carries."""

    number: int = Field(gt=0)
    customer: str = Field(min_length=1)
    cents: int = Field(gt=0)


@job_type(
    kind="invoice",
    once_per="invoice number",
    queue="bulk",
    payload=Invoice,
    retry=RetryPolicy(attempts=5, delay=timedelta(minutes=1)),
    timeout=timedelta(seconds=30),
    hooks=NEWS,
    middleware=[recover({FileExistsError: lambda _: Fail("an invoice of this number lies there already")})],
)
async def invoice(job: Job) -> Done:
    """Print one invoice."""
    order: Invoice = job.payload
    await job.still_mine()
    put(f"invoice-{order.number}.txt", f"{order.customer}: {order.cents / 100:.2f}\n")
    return Done(f"invoice {order.number}")
