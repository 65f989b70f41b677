"""Killed at every step of work on the tables: what the next one makes of it equals an undisturbed run."""

import os
import shutil
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from modeltrail_collector.log import Batch, open_log
from modeltrail_collector.model import LOCAL, Reason
from modeltrail_collector.tables import (
    compact,
    forget,
    rebuild,
    table_store,
)
from modeltrail_collector.tables.schema import TABLES

WORK = """
import sys
from datetime import timedelta
from modeltrail_collector import tables
from modeltrail_collector.log import open_log
from modeltrail_collector.tables import upkeep
upkeep._KEEP_HOURS = 0
_, uri, verb = sys.argv
keep = (timedelta(0),) if verb == "forget" else ()
getattr(tables, verb)(open_log(uri), *keep)
"""
STEPS = [
    ("compact", "flat_committed", 1),
    ("compact", "rejected_committed", 1),
    *[("compact", "table_replaced", count) for count in range(1, 11)],
    *[("rebuild", "generation_swapped", count) for count in (1, 2)],
    *[("rebuild", "table_replaced", count) for count in (1, 8, 9, 10)],
    ("rebuild", "damage_cleared", 1),
    ("keep_up", "files_joined", 1),
    *[("keep_up", "table_vacuumed", count) for count in (1, 5)],
    *[("keep_up", "table_checkpointed", count) for count in (1, 2)],
    *[("forget", "rows_forgotten", count) for count in (1, 2)],
    *[("forget", "table_replaced", count) for count in (1, 5, 10)],
]


def rows_of(log):
    found = {name: table_store(log).open(name).to_pyarrow_table().to_pylist() for name in TABLES}
    return {name: sorted(map(repr, rows)) for name, rows in found.items()}


@pytest.fixture(scope="module")
def before(tmp_path_factory, make) -> Path:
    """A log that is compacted as far as half of its story, in two steps, and holds all of it."""
    log = open_log(tmp_path_factory.mktemp("crash") / "log")
    lonely = make.run_event("COMPLETE", make.base, make.uuid7(make.base, 950), "lonely")
    job = {"eventTime": make.base.isoformat(), "job": {"namespace": "n", "name": "j", "facets": {}}}
    story = [*make.story(), lonely, job]
    entries = [*make.entries([*story, story[0]]), make.rejected(15, b"nope", Reason("not_json", "$", "?"))]
    for start in range(0, 16, 2):
        log.append(LOCAL, Batch(start, start + 2, entries[start : start + 2]))
        if start in {2, 6}:
            compact(log)
    return Path(log.uri)


@pytest.fixture(scope="module")
def after(before, tmp_path_factory):
    """What each work leaves when nothing disturbs it."""

    def undisturbed(work):
        log = copy_of(before, tmp_path_factory.mktemp("after") / "log")
        if work == "forget":
            forget(log, timedelta(0))
        else:
            compact(log)
        return rows_of(log)

    found = {work: undisturbed(work) for work in ("compact", "forget")}
    assert found["compact"] != found["forget"]
    return {**found, "rebuild": found["compact"], "keep_up": found["compact"]}


def copy_of(before: Path, to: Path):
    shutil.copytree(before, to)
    return open_log(to)


def prepare(log, verb: str, step: str) -> None:
    if verb == "keep_up":
        compact(log)
    if step == "damage_cleared":
        (newest, *_) = sorted((Path(log.uri) / "tables/flat/_delta_log").glob("*.json"), reverse=True)
        newest.write_text("{ not JSON")


def finish(log, verb: str, step: str) -> None:
    """What puts it right: the next compaction; the work again where it is more than that."""
    if step == "damage_cleared":
        rebuild(log)
    elif verb == "forget":
        forget(log, timedelta(0))
    compact(log)


@pytest.mark.parametrize(
    "case",
    [
        ("compact", "flat_committed", 1),
        ("compact", "table_replaced", 9),
        ("rebuild", "generation_swapped", 1),
        ("forget", "rows_forgotten", 1),
    ],
    ids=str,
)
def test_killed(case, before, after, tmp_path) -> None:
    """After kill -9 the next run makes of the tables what they would have been, and a rebuild agrees."""
    kill(case, copy_of(before, tmp_path / "log"), after)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("case", STEPS, ids=str)
def test_killed_at_every_step(case, before, after, tmp_path) -> None:
    """The same at every step."""
    kill(case, copy_of(before, tmp_path / "log"), after)


def kill(case, log, after) -> None:
    verb, step, count = case
    prepare(log, verb, step)
    environment = {**os.environ, "MODELTRAIL_FAILPOINT": f"{step}:{count}"}
    dead = subprocess.run([sys.executable, "-c", WORK, log.uri, verb], env=environment, check=False)
    assert -signal.SIGKILL == dead.returncode
    finish(log, verb, step)
    assert after[verb] == rows_of(log)
    rebuild(log)
    assert after[verb] == rows_of(log)
