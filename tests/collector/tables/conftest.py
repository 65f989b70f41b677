"""Reducing and compacting, for the tests of the tables."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from modeltrail_collector.log import Batch, Log, open_log
from modeltrail_collector.model import LOCAL, Entry, LogPartition
from modeltrail_collector.tables import flatten, reduce, table_store
from modeltrail_collector.tables.schema import FLAT

Tables = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="session")
def reduced() -> Callable[..., Tables]:
    """Entries of log partitions -> the rows of each table by run, without any file."""

    def reduced(entries: Iterable[Entry] | dict[LogPartition, list[Entry]]) -> Tables:
        chains = entries if isinstance(entries, dict) else {LOCAL: list(entries)}
        batches = [flatten.flatten(flatten.entries_batch(chain, some)) for chain, some in chains.items()]
        flat = pa.Table.from_batches(batches, FLAT)
        return {name: rows.read_all().to_pylist() for name, rows in reduce.by_run(flat)}

    return reduced


@pytest.fixture
def log(tmp_path: Path) -> Log:
    """An empty log."""
    return open_log(str(tmp_path / "log"))


@pytest.fixture
def seal(log: Log) -> Callable[..., None]:
    """Seal entries as the next segment of their partition."""

    def seal(entries: list[Entry], partition: LogPartition = LOCAL) -> None:
        log.append(partition, Batch(log.end(partition), entries[-1].offset + 1, entries))

    return seal


@pytest.fixture
def table(log: Log) -> Callable[[str], list[dict[str, Any]]]:
    """The rows of a table of the log, in a stable order."""

    def table(name: str) -> list[dict[str, Any]]:
        found = table_store(log).open(name)
        assert found is not None
        return sorted(found.to_pyarrow_table().to_pylist(), key=repr)

    return table
