"""A small outage (`make outage` has 200 users): what an hour's absence left behind is served once and closed."""

from pathlib import Path

import pytest

from tests.outage.outage import live

pytestmark = pytest.mark.slow


@pytest.mark.timeout(600)
async def test_after_an_hour_away_each_schedule_is_served_once_and_nothing_lost_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judged = await live(tmp_path, 10, small=True, say=lambda line: None)
    with capsys.disabled():
        print(f"\n{judged.figures}")

    assert judged.wrong == []
    assert judged.figures["schedules served once"] == 10


@pytest.mark.timeout(600)
async def test_where_places_are_free_at_the_return_no_deployment_begins_more_than_one_late_run_either(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judged = await live(tmp_path, 10, free=3, say=lambda line: None)
    with capsys.disabled():
        print(f"\n{judged.figures}")

    assert judged.wrong == []
    assert judged.figures["schedules served once"] == 10
