"""The kinds of worlds, by seed: most are collectors; some seal files, some derive tables."""

from collections.abc import Callable
from typing import Protocol

from simulation import plan
from simulation.files import FilesWorld
from simulation.keepers import KeepersWorld
from simulation.tables import TablesWorld
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


MAKERS: dict[str, Callable[[int], Playable]] = {
    "collect": lambda seed: World(plan.make(seed)),
    "files": FilesWorld,
    "keepers": KeepersWorld,
    "tables": TablesWorld,
}


def kind_of(seed: int) -> str:
    """Which kind of world a seed makes: one in twenty of files, one of maintainers, few of tables."""
    if seed % 2000 == 500:
        return "tables"
    return {10: "files", 5: "keepers"}.get(seed % 20, "collect")


def make(seed: int) -> Playable:
    """The world of a seed."""
    return MAKERS[kind_of(seed)](seed)
