"""A few worlds of tables: a world's log on a real disk, compactors that die in it, and Delta as it is.

They are slow (a Delta commit costs more than a world of collectors): one world in many is one of them.
What all other worlds check of the tables is their protocol: `actors.follow`.
"""

import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq

from modeltrail_collector import failpoints, tables
from modeltrail_collector.log import open_log
from modeltrail_collector.tables.schema import BY_MODEL, BY_RUN
from simulation import plan
from simulation.memory import remembering
from simulation.oracle import Failure
from simulation.process import Killed
from simulation.world import World

PARTS = 4
NAMES = ("flat", "rejected", *BY_RUN, *BY_MODEL)


class TablesWorld:
    """See `kinds.Playable`."""

    def __init__(self, seed: int) -> None:
        made = plan.make(seed)
        settings = msgspec.structs.replace(made.settings, disk=False, keep_s=None)
        self.world = World(msgspec.structs.replace(made, settings=settings))
        self.seed = seed
        self.chance = random.Random(seed)

    @property
    def produced(self) -> int:
        return self.world.produced

    @property
    def stored(self) -> int:
        return self.world.stored

    @property
    def trace(self) -> list[str]:
        return self.world.trace

    def digest(self) -> str:
        return self.world.digest()

    @remembering
    def play(self) -> None:
        root = Path(tempfile.mkdtemp(prefix="modeltrail-world-"))
        actions = self.world.plan.actions
        try:
            for part in range(PARTS):
                for action in actions[part::PARTS]:
                    self.world.act(action)
                self._mirror(root / "log")
                self._compact(root / "log")
            self.world.play_out()
            self._mirror(root / "log")
            self._judge(root)
        finally:
            failpoints.watch(None)
            shutil.rmtree(root)

    def _mirror(self, log: Path) -> None:
        for name, data in self.world.media.contents.items():
            path = log / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        for path in [path for path in log.rglob("*.avro") if "raw" in path.parts or "rollup" in path.parts]:
            if path.relative_to(log).as_posix() not in self.world.media.contents:
                path.unlink()

    def _compact(self, log: Path) -> None:
        """Compact, or derive everything anew, and mostly die at one of the steps that have a name."""
        left = self.chance.randint(1, 12)

        def watch(step: str) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                self.world.note(f"the compactor dies at {step}")
                raise Killed

        work = tables.compact if self.chance.random() < 0.8 else tables.rebuild
        self.world.note(work.__name__)
        failpoints.watch(watch)
        try:
            work(open_log(log))
        except Killed:
            pass
        finally:
            failpoints.watch(None)

    def _judge(self, root: Path) -> None:
        """After all crashes the tables are what one quiet compaction of the same log makes."""
        shutil.copytree(root / "log", root / "quiet", ignore=shutil.ignore_patterns("tables*"))
        for name in ("log", "quiet"):
            tables.compact(open_log(root / name))
        for name in NAMES:
            found, expected = (rows_of(root / place, name) for place in ("log", "quiet"))
            if found != expected:
                raise Failure("tables", f"{name} has {len(found)} rows, quietly made {len(expected)}")
        kept = [_place(row) for row in rows_of(root / "log", "flat")]
        rejected = {_place(row) for row in rows_of(root / "log", "rejected")}  # a row for each reason
        if len(kept) + len(rejected) != self.world.stored or len({*kept, *rejected}) != self.world.stored:
            raise Failure(
                "tables",
                f"{len(kept)} rows and {len(rejected)} rejected, the log has {self.world.stored} records",
            )


def _place(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["topic"], row.get("topic_id"), row["partition"], row["offset"], row.get("ingested_at")


def rows_of(log: Path, name: str) -> list[dict[str, Any]]:
    """The rows of a table in a stable order, read without Delta's own reader of rows."""
    table = tables.table_store(open_log(log)).open(name)
    files = table.file_uris() if table else []
    return sorted((row for file in files for row in pq.ParquetFile(file).read().to_pylist()), key=repr)
