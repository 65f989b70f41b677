"""Many worlds, on all cores: what came of them, and of the first that failed everything needed to mend it."""

import gc
import logging
import multiprocessing
import os
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait

import msgspec

from modeltrail_collector.pump.run import GC_THRESHOLD
from simulation import kinds
from simulation.oracle import Failure

CHUNK = 40
PROGRESS_S = 5.0


class Tally(msgspec.Struct):
    """What came of some worlds, by kind; `failed` is the seed of one that is not as it must be."""

    produced: int = 0
    stored: int = 0
    lost: int = 0
    twice: int = 0
    worlds: int = 0
    failed: int | None = None
    problem: str = ""
    by_kind: dict[str, tuple[int, float]] = {}

    def add(self, other: "Tally") -> None:
        for name in ("produced", "stored", "lost", "twice", "worlds"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for kind, (worlds, seconds) in other.by_kind.items():
            count, spent = self.by_kind.get(kind, (0, 0.0))
            self.by_kind[kind] = (count + worlds, spent + seconds)
        if self.failed is None and other.failed is not None:
            self.failed, self.problem = other.failed, other.problem

    def line(self) -> str:
        return (
            f"produced {self.produced}, stored {self.stored}, lost {self.lost}, twice {self.twice}, "
            f"worlds {self.worlds}"
        )


def play_some(seeds: range) -> Tally:
    """Play these worlds in this process, up to the first that fails."""
    tally = Tally()
    for seed in seeds:
        kind, began = kinds.kind_of(seed), time.process_time()
        world = kinds.make(seed)
        try:
            world.play()
        except Failure as failure:
            tally.failed, tally.problem = seed, str(failure)
            tally.lost, tally.twice = tally.lost + failure.lost, tally.twice + failure.twice
        tally.produced += world.produced
        tally.stored += world.stored
        tally.worlds += 1
        count, spent = tally.by_kind.get(kind, (0, 0.0))
        tally.by_kind[kind] = (count + 1, spent + time.process_time() - began)
        if tally.failed is not None:
            break
    return tally


def begin() -> None:
    """A process that does nothing but play: silent, and what it has loaded is not looked at for garbage."""
    logging.disable(logging.CRITICAL)
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, 20, 50)


def play_many(seed: int, worlds: int | None, duration_s: float, jobs: int | None = None) -> Iterator[Tally]:
    """Play worlds from a seed on, so many or so long, and tell the sum now and then; stops at a failure."""
    total, told, deadline = Tally(), time.monotonic(), time.monotonic() + duration_s
    following, last = seed, None if worlds is None else seed + worlds
    under_way: set[Future[Tally]] = set()
    jobs = jobs or os.cpu_count() or 1
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), initializer=begin) as pool:
        while True:
            wanted = total.failed is None and time.monotonic() < deadline
            while wanted and len(under_way) < jobs + 1 and (last is None or following < last):
                end = following + CHUNK if last is None else min(following + CHUNK, last)
                under_way.add(pool.submit(play_some, range(following, end)))
                following = end
            if not under_way:
                break
            done, under_way = wait(under_way, timeout=PROGRESS_S, return_when=FIRST_COMPLETED)
            for future in done:
                total.add(future.result())
            if time.monotonic() - told >= PROGRESS_S:
                told = time.monotonic()
                yield total
    yield total
