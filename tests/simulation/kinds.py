"""The kinds of worlds, by seed: most are collectors; some seal files, some derive tables."""

from typing import Protocol

from simulation import plan
from simulation.world import World


class Playable(Protocol):
    """Any world."""

    produced: int
    stored: int
    trace: list[str]

    def play(self) -> None:
        """Raises Failure where something is not as it must be."""

    def digest(self) -> str:
        """Of everything that happened."""


def kind_of(seed: int) -> str:
    """Which kind of world a seed makes."""
    return "collect"


def make(seed: int) -> Playable:
    """The world of a seed."""
    return World(plan.make(seed))
