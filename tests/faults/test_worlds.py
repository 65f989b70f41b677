"""Row 22: seeded chaos. A few worlds of the simulation from this run's seed on; `make sim` plays many."""

import pytest
from simulation.runner import play_some

WORLDS = 30

pytestmark = pytest.mark.row(22)


def test_no_world_from_this_seed_loses_or_doubles_a_record(faults_seed: int) -> None:
    """The production loop in simulated brokers, stores, clocks and crashes: every record is there once."""
    tally = play_some(range(faults_seed, faults_seed + WORLDS))
    assert (None, 0, 0) == (tally.failed, tally.lost, tally.twice), tally.problem
    assert tally.stored > 0
