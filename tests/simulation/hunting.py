"""Every mutant is hunted until a world is not as it must be; then the code as it is plays the same worlds."""

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

import msgspec

from simulation.mutants import MUTANTS, Mutant
from simulation.oracle import Failure
from simulation.runner import begin

WORLDS = 1000
"""So many are played with a mutant that is not found; most are found in a few."""


class Caught(msgspec.Struct, frozen=True):
    """Which rule a mutant broke first, in which world, after how many."""

    oracle: str
    seed: int
    worlds: int


class Hunt(msgspec.Struct, frozen=True):
    """What came of a mutant in at most `worlds`, and of the code as it is in those that it was caught in."""

    mutant: Mutant
    worlds: int
    caught: Caught | None
    false_alarm: Caught | None

    @property
    def ok(self) -> bool:
        """It was found where it does harm, and only it."""
        return self.false_alarm is None and bool(self.caught) != bool(self.mutant.harmless)

    def line(self) -> str:
        caught, false, harmless = self.caught, self.false_alarm, self.mutant.harmless
        if one := false or caught:
            what = "FALSE ALARM" if false else "HARM" if harmless else "found"
            told = f"{what} in world {one.worlds}, by {one.oracle} (seed {one.seed})"
        else:
            told = f"{'no harm' if harmless else 'SURVIVED'} in {self.worlds} worlds"
        return f"{self.mutant.what:74} {told}{f': {harmless}' if harmless else ''}"


def hunt(mutant: Mutant, worlds: int, seed: int = 0) -> Caught | None:
    """Play until the mutant is caught; None where it was not."""
    with mutant.applied():
        return _play(mutant, worlds, seed)


def _play(mutant: Mutant, worlds: int, seed: int) -> Caught | None:
    for number in range(worlds):
        try:
            mutant.world(seed + number).play()
        except Failure as failure:
            return Caught(failure.oracle, seed + number, number + 1)
    return None


def _hunt(number: int, worlds: int, seed: int) -> tuple[Caught | None, Caught | None]:
    mutant = MUTANTS[number]
    caught = hunt(mutant, worlds, seed)
    return caught, _play(mutant, caught.worlds, seed) if caught else None


def hunt_all(worlds: int, seed: int, jobs: int | None = None) -> Iterator[Hunt]:
    """Every mutant in its turn, on all cores; each in a process that has nothing else in it."""
    jobs = jobs or os.cpu_count() or 1
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), initializer=begin) as pool:
        under_way = [pool.submit(_hunt, number, worlds, seed) for number in range(len(MUTANTS))]
        for mutant, future in zip(MUTANTS, under_way, strict=True):
            yield Hunt(mutant, worlds, *future.result())


def summary(hunts: list[Hunt]) -> str:
    """All of it in one line."""
    caught = [one.caught for one in hunts if one.caught]
    played = sum(one.worlds for one in caught)
    wrong = sum(not one.ok for one in hunts)
    harmless = sum(bool(one.mutant.harmless) for one in hunts)
    false = sum(one.false_alarm is not None for one in hunts)
    return (
        f"{len(hunts)} mutants: {len(caught)} found in {played} worlds, {harmless} do no harm alone, "
        f"{wrong} not as they must be; the code as it is in the same worlds: {false} found"
    )
