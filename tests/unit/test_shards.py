"""How many further flow runs share a batch."""

import pytest

from gda.glue.shards import shards_wanted
from gda.settings import Settings


@pytest.mark.parametrize(
    ("backlog", "wanted"), [(0, 0), (1, 0), (2500, 0), (2501, 1), (5000, 1), (5001, 2), (10_000, 3), (100_000, 3)]
)
def test_a_batch_is_shared_when_it_is_more_than_one_process_should_do_and_never_without_bound(
    backlog: int, wanted: int
) -> None:
    assert shards_wanted(backlog, Settings(shard_size=2500, shard_runs=3)) == wanted


def test_sharing_can_be_switched_off() -> None:
    assert shards_wanted(100_000, Settings(shard_runs=0)) == 0


def test_a_chunk_s_occurrences_are_cheaper_so_one_process_does_four_times_as_many() -> None:
    settings = Settings(shard_size=2500, shard_runs=3)
    assert [shards_wanted(backlog, settings, 200) for backlog in (10_000, 10_001, 100_000)] == [0, 1, 3]
    assert shards_wanted(10_000, settings, 2) == 1
