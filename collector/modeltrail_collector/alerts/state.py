"""What fires, and what was not delivered yet: one file beside the tables, replaced as a whole."""

import contextlib
from collections.abc import Iterator
from typing import Final

import msgspec

from modeltrail_collector.alerts.notices import Notice
from modeltrail_collector.answers.firing import Finding
from modeltrail_collector.errors import OwnershipLost, Unavailable
from modeltrail_collector.log import Log
from modeltrail_collector.log.store import Lease

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


class Kept:
    """The state as it is in the store, while this process alone may change it."""

    def __init__(self, log: Log, lease: Lease) -> None:
        self._log = log
        self._lease = lease
        log.store.clean("alerts")
        try:
            self._stored: bytes | None = log.store.read(NAME)
        except FileNotFoundError:
            self._stored = None
        try:
            self.state = msgspec.json.decode(self._stored or b"{}", type=State)
        except msgspec.DecodeError as error:
            raise Unavailable(
                f"{log.uri}/{NAME} is not what was written ({error}): remove it, and what fires is told again"
            ) from error

    def save(self) -> None:
        """Write what changed. Raises OwnershipLost if somebody else wrote it meanwhile."""
        self._lease.check()
        data = msgspec.json.encode(self.state)
        if data == self._stored:
            return
        store = self._log.store
        written = (
            store.create(NAME, data) if self._stored is None else store.replace(NAME, self._stored, data)
        )
        if not written:
            raise OwnershipLost(f"another process wrote {NAME} of {self._log.uri}")
        self._stored = data


@contextlib.contextmanager
def kept(log: Log) -> Iterator[Kept]:
    """The state, for as long as the block lasts nobody else's; waits for whoever has it."""
    with log.store.lease("alerts") as lease:
        yield Kept(log, lease)
