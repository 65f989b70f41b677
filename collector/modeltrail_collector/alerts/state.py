"""What fires, and what was not delivered yet: one file beside the tables, replaced as a whole."""

import contextlib
from collections.abc import Iterator
from typing import Final

import msgspec

from modeltrail_collector.alerts.notices import Notice
from modeltrail_collector.answers.firing import Finding
from modeltrail_collector.log import Log
from modeltrail_collector.log.kept import Kept

NAME: Final = "alerts/state.json"
"""In the log's store. Who removes it is told once more of what fires, with the same ids."""


class Firing(msgspec.Struct):
    """A finding that fires: for the how many-th time, and since when."""

    finding: Finding
    time: int
    since: str


class Target(msgspec.Struct):
    """A webhook that does not answer: how often it failed in a row, and when it is tried again."""

    failures: int = 0
    retry_at_ms: int = 0


class State(msgspec.Struct):
    """`firing` and `ended` by key of the finding; `ended` holds how often it had begun."""

    firing: dict[str, Firing] = {}
    ended: dict[str, int] = {}
    notices: list[Notice] = []
    targets: dict[str, Target] = {}


@contextlib.contextmanager
def kept(log: Log) -> Iterator[Kept[State]]:
    """The state, for as long as the block lasts nobody else's; waits for whoever has it."""
    with log.store.lease("alerts") as lease:
        yield Kept(log.store, lease, NAME, State, "what fires is told again")
