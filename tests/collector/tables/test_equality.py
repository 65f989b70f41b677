"""However the tables come about, they hold the same rows.

Random streams are cut, compacted, killed and rolled up at random.

`WORLDS=500 SEED=7 python -m pytest -m slow tests/collector/tables/test_equality.py` runs the long form.
"""

import contextlib
import json
import os
import random
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from modeltrail_collector.log import Batch, open_log, rollup
from modeltrail_collector.log.rollup import RollUp
from modeltrail_collector.model import LOCAL, LogPartition, Reason
from modeltrail_collector.tables import compact, keep_up, rebuild, table_store, upkeep
from modeltrail_collector.tables.schema import TABLES

FEW, MANY = 2, int(os.environ.get("WORLDS", "60"))
SEED = int(os.environ.get("SEED", "1"))
OLD = LogPartition("events", "00000000-0000-4000-8000-00000000000a", 0)
PARTITIONS = (
    LOCAL,
    LogPartition("events", "00000000-0000-4000-8000-00000000000b", 0),  # OLD's topic, made anew
    LogPartition("events", "00000000-0000-4000-8000-00000000000b", 1),
)


class Killed(BaseException):
    """The process is gone."""


class World:
    """A random stream of events over some partitions, in the order in which it comes."""

    def __init__(self, seed: int, make) -> None:
        self.chance = random.Random(seed)
        self.make = make
        self.stream = [self._value(event) for event in self._events()]
        copies = [self._copy(value) for value in self.chance.sample(self.stream, 4)]
        for value in [*copies, b"nope", b"\xff", b"{}", b""]:
            self.stream.insert(self.chance.randrange(len(self.stream)), value)
        for _ in range(8):  # out of order, some of it far
            value = self.stream.pop(self.chance.randrange(len(self.stream)))
            self.stream.insert(self.chance.randrange(len(self.stream)), value)

    def _events(self):
        make, day = self.make, timedelta(days=1)
        for number in range(1, self.chance.randint(3, 5)):
            at = make.base + self.chance.random() * 5 * day
            scaler = self.chance.choice(["StandardScaler", "QuantileTransformer"])
            yield from make.prepare(number, at, raw="raw", features=f"features {number % 2}")
            yield from make.train(number, at + day, features="features 1", strength=number, scaler=scaler)
            yield from self._evaluation(number, at + 2 * day)
        ids = ["it's", "a\\b", "", *(make.uuid7(make.base + n * day, n) for n in range(3))]
        for run_id in ids:
            kinds = self.chance.sample(["START", "RUNNING", "COMPLETE", "FAIL", "ABORT", None], 3)
            for kind in kinds:
                at = make.base + self.chance.random() * day
                metrics = [{"name": "loss", "value": self.chance.random(), "step": self.chance.randrange(3)}]
                series = {"seq": self.chance.randrange(2), "points": metrics}
                facets = {"modelTrail_metricSeries": make.facet("s", **series), "odd": {"n": kind}}
                if self.chance.random() < 0.3:
                    facets = {"odd": {"_deleted": True}}
                yield make.run_event(kind, at, run_id, f"job-{run_id[:2]}", run_facets=facets)
        for number in range(3):
            at = make.base + self.chance.random() * 40 * day
            job = {"namespace": "n", "name": f"j{number % 2}", "facets": {"a": {"v": number}}}
            yield {"eventTime": at.isoformat(), "job": job}

    def _evaluation(self, number: int, at):
        make = self.make
        figures = [{"name": "fairness", "value": self.chance.random()}]
        facet = make.facet("e", modelVersion=str(number), metrics=figures, dataset={"name": "census"})
        judged = make.dataset(
            "models/churn", namespace="modeltrail://registry", inputFacets__modelTrail_evaluation=facet
        )
        yield make.run_event("COMPLETE", at, make.uuid7(at, 900 + number), "audit", inputs=[judged])

    @staticmethod
    def _value(event) -> bytes:
        return json.dumps(event).encode()

    def _copy(self, value: bytes) -> bytes:
        event = json.loads(value)
        keys = self.chance.sample(list(event), len(event))
        return json.dumps({key: event[key] for key in keys}, indent=self.chance.choice([None, 1])).encode()

    def entries(self, partition: LogPartition, start: int, values: list[bytes]):
        found = []
        for offset, value in enumerate(values, start):
            try:
                (entry,) = self.make.entries([value], partition, offset)
            except ValueError:
                entry = self.make.rejected(offset, value, Reason("not_json", "$", "?"), partition=partition)
            found.append(entry)
        return found


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
    log = live(world, tmp_path / f"log-{seed}")
    lived = rows_of(log)
    rebuild(log)
    assert lived == rows_of(log), f"rebuilt tables differ: SEED={seed}"
    shutil.rmtree(Path(log.uri) / "tables")
    compact(log)
    assert lived == rows_of(log), f"tables made at once differ: SEED={seed}"
    assert lived["rejected"]
    assert lived["changes"]
    shutil.rmtree(log.uri)


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
