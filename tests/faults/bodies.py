"""What processes of the tests do, beside collecting.

In a module that a process finds by its name whatever is installed: a package of somebody's brings one called
`tests`.
"""

import fcntl
import itertools
import logging
import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from faults.members import Task, collect

from modeltrail_collector import failpoints
from modeltrail_collector.errors import OwnershipLost
from modeltrail_collector.log import Log
from modeltrail_collector.log.lease import hold
from modeltrail_collector.log.store import Lease, LocalStore

UNWATCHED = ".unwatched"


class Watched(LocalStore):
    """Whoever holds a lease holds a lock too, which nobody else may have just then.

    Not from a kill on: the kernel frees the two locks of a dead process one after the other.
    """

    @contextmanager
    def lease(self, name: str) -> Iterator[Lease]:
        with super().lease(name) as lease, (self.root / f".{name}.watched").open("w") as file:
            if not (self.root / UNWATCHED).exists():
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield lease


def compacting(task: Task) -> None:
    """Compact, join and vacuum again and again, as `modeltrail compact --watch` and `maintain` do."""
    from modeltrail_collector import tables
    from modeltrail_collector.tables import upkeep

    log = Log(Watched(Path(task.log)))
    while True:
        try:
            tables.compact(log)
            upkeep.keep_up(log)
        except OwnershipLost:  # the other one's turn
            continue


class Leased(LocalStore):
    """A directory with the lease of an object store: who is silent for a term loses it."""

    def __init__(self, root: Path, term_s: float) -> None:
        super().__init__(root)
        self._term_s = term_s

    def lease(self, name: str) -> AbstractContextManager[Lease]:
        return hold(self, name, self._term_s)


def compact_frozen_before_a_commit(task: Task) -> None:
    """Compact; when the first rows are about to be appended, stop as a frozen process does."""
    from modeltrail_collector import tables
    from modeltrail_collector.tables import store

    append = store.append

    def freeze_once(*arguments) -> None:
        store.append = append
        os.kill(os.getpid(), signal.SIGSTOP)
        append(*arguments)

    store.append = freeze_once
    tables.compact(Log(Leased(Path(task.log), 60.0)))


def collect_frozen_before_a_put(task: Task) -> None:
    """Collect; when the fifth segment is written and has no name yet, stop as a frozen process does."""
    logging.basicConfig(level=logging.INFO)
    puts = itertools.count(1)

    def freeze(step: str) -> None:
        if step == "temporary_written" and next(puts) == 5:
            os.kill(os.getpid(), signal.SIGSTOP)

    failpoints.watch(freeze)
    collect(task)
