"""What holds locks, threads or files starts anew in a forked child."""

import contextlib
import os
import weakref
from typing import Protocol


class Renewable(Protocol):
    """Something with state that belongs to one process."""

    def after_fork(self) -> None:
        """Forget the parent's locks, threads and files without touching them; runs in the child."""


_all: "weakref.WeakSet[Renewable]" = weakref.WeakSet()


def renew_in_children(renewable: Renewable) -> None:
    """Have `after_fork` called in every child forked while the object lives."""
    _all.add(renewable)


def _after_fork() -> None:
    for renewable in list(_all):
        with contextlib.suppress(Exception):  # the others' locks are the parent's too
            renewable.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
