"""The tables at a past moment equal the tables derived from just the records that the moment knows.

`WORLDS=500 SEED=7 python -m pytest -m slow tests/collector/tables/test_past.py` runs the long form.
"""

import os
import random
import shutil
from datetime import UTC, datetime, timedelta

import pytest
from worlds import OLD, PARTITIONS, World

from modeltrail_collector.answers import Database
from modeltrail_collector.log import Batch, open_log
from modeltrail_collector.tables import PUBLIC, compact, models
from modeltrail_collector.tables import past as past_tables
from modeltrail_collector.tables.flatten import event_time
from modeltrail_collector.tables.past import Moment
from modeltrail_collector.tables.schema import BY_MODEL

FEW, MANY = 2, int(os.environ.get("WORLDS", "60"))
SEED = int(os.environ.get("SEED", "1"))


def arrived(entry) -> datetime:
    return datetime.fromtimestamp(entry.ingested_at_ms / 1000, UTC)


def happened(entry) -> datetime:
    """The time of the event; of a record that is none, and where it cannot be read, of its arrival."""
    return (entry.verdict != "rejected" and event_time(entry.event_time)) or arrived(entry)


def log_of(entries, uri):
    """A compacted log of these entries, by partition."""
    log = open_log(str(uri))
    for partition, some in entries.items():
        if some:
            log.append(partition, Batch(0, some[-1].offset + 1, some))
    compact(log)
    return log


def rows(db: Database):
    return {name: sorted(map(repr, db.table(name).fetchall())) for name in PUBLIC}


def rows_of_models(db: Database, names):
    """The rows by model as an answer reads them: of one after the other."""
    found = {name: [] for name in BY_MODEL}
    for namespace, name in names:
        for table in found:
            rows = db.read(
                table,
                "*",
                models=[(namespace, name)],
                where="(namespace, name) = ($namespace, $name)",
                namespace=namespace,
                name=name,
            )
            found[table] += sorted(repr(sorted(row.items())) for row in rows)
    return found


def moments(chance: random.Random, entries):
    """Some moments, at the very time of a record and between two, by either time and by both."""
    every = [entry for some in entries.values() for entry in some]
    for _ in range(2):
        at, known = happened(chance.choice(every)), arrived(chance.choice(every))
        yield Moment(at, None)
        yield Moment(at - timedelta(microseconds=1), known)
        yield Moment(None, known)


def the_past_is_what_was_known(seed: int, tmp_path, make) -> None:
    chance, world = random.Random(seed), World(seed, make)
    entries = {}
    for partition in (OLD, *PARTITIONS):
        entries[partition] = world.entries(partition, 0, world.stream[: len(world.stream) // 4 + 1])
        del world.stream[: len(world.stream) // 4 + 1]
    log = log_of(entries, tmp_path / f"log-{seed}")
    for number, moment in enumerate(moments(chance, entries)):
        known = {
            partition: [
                entry
                for entry in some
                if (moment.event_time is None or happened(entry) <= moment.event_time)
                and (moment.arrival is None or arrived(entry) <= moment.arrival)
            ]
            for partition, some in entries.items()
        }
        then = log_of(known, tmp_path / f"then-{seed}-{number}")
        with Database(then) as expected, Database(log, moment) as past, Database(log) as now:
            names = sorted(now.sql("SELECT DISTINCT namespace, name FROM models").fetchall())
            chance.shuffle(names)
            asked = [rows, lambda db: rows_of_models(db, names), rows]  # noqa: B023  called at once
            for ask in chance.sample(asked, 3):
                assert ask(expected) == ask(past), f"SEED={seed} {moment}"
            with pytest.MonkeyPatch.context() as patch, Database(log, moment) as many:
                patch.setattr(models, "FEW", 0)
                patch.setattr(past_tables, "_AT_ONCE", 2)  # in several groups
                assert rows(expected) == rows(many), f"of many models: SEED={seed} {moment}"
        shutil.rmtree(then.uri)
    shutil.rmtree(log.uri)


@pytest.mark.parametrize("seed", range(SEED, SEED + FEW))
def test_the_past_is_what_was_known(seed, tmp_path, make) -> None:
    """Tables at a moment are those of the records up to it, by event time, by arrival and by both."""
    the_past_is_what_was_known(seed, tmp_path, make)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_past_of_many_worlds(tmp_path, make) -> None:
    """The same in many more random worlds."""
    for seed in range(SEED + FEW, SEED + FEW + MANY):
        the_past_is_what_was_known(seed, tmp_path, make)


def registered(make, number, at, *, content):
    """A run of its own that registers this version of copies/a, with the alias champion."""
    said = make.facet("r", name="copies/a", version=str(number), action="register", aliases=["champion"])
    version = make.dataset(
        "copies/a",
        namespace="modeltrail://registry",
        modelTrail_registration=said,
        outputFacets__modelTrail_modelArtifact=make.facet("a", digest=f"sha256:{make.digest(content)}"),
    )
    return make.run_event("COMPLETE", at, make.uuid7(at, 700), "register", outputs=[version])


def test_an_alias_that_is_another_versions_now_is_no_reason_to_derive_the_model_anew(make, tmp_path) -> None:
    """Who had an alias at a moment is told from the rows of now, however often it was given since."""
    at = [make.base + timedelta(days=number) for number in range(3)]
    events = [registered(make, number, day, content=f"model {number}") for number, day in enumerate(at)]
    log = log_of({OLD: make.entries(events, OLD)}, tmp_path / "log")
    with Database(log, Moment(at[1] + timedelta(hours=1))) as past:
        held = dict(past.table("models").select("version, aliases").fetchall())
        derived = past.rows("SELECT name FROM past.touched")
    assert {"0": [], "1": ["champion"]} == held
    assert [] == derived


def test_a_version_that_is_other_bytes_now_was_called_so_before(make, tmp_path) -> None:
    """What lost its version to other bytes has it at a moment before, with its alias."""
    at = [make.base + timedelta(days=number) for number in range(2)]
    events = [registered(make, 1, day, content=f"model {number}") for number, day in enumerate(at)]
    log = log_of({OLD: make.entries(events, OLD)}, tmp_path / "log")
    with Database(log, Moment(at[0])) as past, Database(log) as now:
        before, after = (
            sorted(db.table("models").select("version, aliases").fetchall()) for db in (past, now)
        )
    assert [("1", ["champion"])] == before
    assert [("1", ["champion"]), (f"1+{make.digest('model 0')[:12]}", None)] == after
