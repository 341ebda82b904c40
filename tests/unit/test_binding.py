"""What a job type's payload may be, and what a refusal of one tells."""

import pytest
from pydantic import BaseModel

from gda.binding import bind, read_payload
from gda.body import Job
from gda.declare import job_type
from gda.errors import UsageError
from gda.lifecycle import Claim
from gda.outcome import Done
from gda.settings import Settings
from tests.builders import an_occurrence


class Parcel(BaseModel):
    weight: int


async def nothing() -> None:
    """Hold the lease."""


async def test_a_body_gets_its_tools_and_its_payload_as_the_declared_model():
    @job_type(kind="parcel", payload=Parcel, tools=lambda settings, store: None)
    async def parcel(tools, job):
        return Done(f"{tools} {job.payload.weight}")

    claim = Claim(an_occurrence(kind="parcel", payload={"weight": 3}), "owner", 1)
    assert await bind(parcel, Settings(), "scales").perform(Job(claim, 1, nothing)) == Done("scales 3")


def test_a_payload_that_does_not_fit_is_refused_without_its_values():
    with pytest.raises(UsageError, match="weight: int_parsing") as refused:
        read_payload(Parcel, {"weight": "secret"})
    assert "secret" not in str(refused.value)
    assert refused.value.__context__ is None


def test_what_a_kind_does_not_declare_is_the_installation_s():
    plain = job_type(kind="plain")(lambda job: None)
    assert bind(plain, Settings(retry_attempts=4)).retry.attempts == 4
