"""However the tables come about, they hold the same rows.

Random streams are cut, compacted, killed and rolled up at random.

`WORLDS=500 SEED=7 python -m pytest -m slow tests/collector/tables/test_equality.py` runs the long form.
"""

import contextlib
import os
import random
import shutil
from pathlib import Path

import pytest
from worlds import OLD, PARTITIONS, World

from modeltrail_collector.log import Batch, open_log, rollup
from modeltrail_collector.log.rollup import RollUp
from modeltrail_collector.model import LOCAL
from modeltrail_collector.tables import compact, keep_up, models, rebuild, reduce, table_store, upkeep
from modeltrail_collector.tables.schema import TABLES

FEW, MANY = 2, int(os.environ.get("WORLDS", "60"))
SEED = int(os.environ.get("SEED", "1"))


class Killed(BaseException):
    """The process is gone."""


def rows_of(log):
    """The rows of all tables; also that no row of `flat` is there twice."""
    found = {name: table_store(log).open(name).to_pyarrow_table().to_pylist() for name in TABLES}
    places = [(row["topic"], row["topic_id"], row["partition"], row["offset"]) for row in found["flat"]]
    assert len(places) == len(set(places))
    return {name: sorted(map(repr, rows)) for name, rows in found.items()}


def compact_or_die(log, chance: random.Random) -> None:
    """Compact, and be killed between any two commits, or not."""
    left = chance.choice([None, chance.randrange(1, 16)])

    def tell(_):
        nonlocal left
        if left is not None:
            left -= 1
            if left == 0:
                raise Killed

    with contextlib.suppress(Killed):
        chance.choice([compact, compact, compact, rebuild])(log, on_progress=tell)


def live(world: World, uri: Path):
    """The log comes about, and is compacted, killed, kept up and rolled up on the way."""
    chance, log = world.chance, open_log(uri)
    partitions = [OLD, *PARTITIONS[1:], LOCAL]
    stream = list(world.stream)
    while stream:
        partition = chance.choice(partitions)
        taken = [stream.pop(0) for _ in range(min(len(stream), chance.randint(1, 9)))]
        end = log.end(partition)
        log.append(partition, Batch(end, end + len(taken), world.entries(partition, end, taken)))
        match chance.randrange(12):
            case 0 | 1 | 2:
                compact_or_die(open_log(uri), chance)
            case 3:
                with log.store.lease("raw") as lease:
                    RollUp(log, partition, lease, lambda _: None).run()
            case 4:
                keep_up(log)
            case _:
                pass
        if len(stream) < len(world.stream) // 2 and OLD in partitions:
            partitions.remove(OLD)
    compact(log)
    return log


def all_ways_are_equal(seed: int, tmp_path: Path, make) -> None:
    world = World(seed, make)
    ways = [contextlib.nullcontext, in_parts]
    world.chance.shuffle(ways)
    with ways[0]():
        log = live(world, tmp_path / f"log-{seed}")
        lived = rows_of(log)
    with ways[1]():
        rebuild(log)
    assert lived == rows_of(log), f"rebuilt tables differ: SEED={seed}"
    shutil.rmtree(Path(log.uri) / "tables")
    compact(log)
    assert lived == rows_of(log), f"tables made at once differ: SEED={seed}"
    assert lived["rejected"]
    assert lived["changes"]
    shutil.rmtree(log.uri)


@contextlib.contextmanager
def in_parts():
    """As much is derived: a few rows at once, a day in several parts, and models looked for all at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reduce, "PART_ROWS", 9)
        patch.setattr(models, "FEW", 0)
        patch.setattr(models, "GROUP", 3)
        yield


@pytest.fixture(autouse=True)
def small(monkeypatch) -> None:
    """What happens now and then happens often."""
    monkeypatch.setattr(upkeep, "_MANY_FILES", 2)
    monkeypatch.setattr(upkeep, "_VACUUM_EVERY", 3)
    monkeypatch.setattr(upkeep, "_KEEP_HOURS", 0)
    monkeypatch.setattr(rollup, "FEW", 2)


@pytest.mark.parametrize("seed", range(SEED, SEED + FEW))
def test_rebuilt_grown_and_at_once_are_equal(seed, tmp_path, make) -> None:
    """Tables that grew with the log, rebuilt ones and those of one compaction hold the same rows."""
    all_ways_are_equal(seed, tmp_path, make)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_many_worlds_are_equal(tmp_path, make) -> None:
    """The same in many more random worlds."""
    for seed in range(SEED + FEW, SEED + FEW + MANY):
        all_ways_are_equal(seed, tmp_path, make)
