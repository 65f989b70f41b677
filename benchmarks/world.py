"""A log's tables of any size, as compacting its events would have left them, from a rule of numbers.

`world.sql` makes the flat rows of some cycles at a time; the product's own statements derive the other tables
from them, and its own code writes them. What is left out is reading ten million JSON texts.
"""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from modeltrail_collector.log import Log
from modeltrail_collector.tables import keep_up, models, reduce, scan, store, table_store
from modeltrail_collector.tables.derivation import FORGOTTEN, GENERATION
from modeltrail_collector.tables.schema import BY_MODEL, DERIVED, FLAT, REJECTED, TABLES
from modeltrail_collector.tables.snapshot import Snapshot

RUNS_A_CYCLE: Final = 6
EVENTS_A_RUN: Final = 10
FAN_OUT: Final = 10_000
CHAIN: Final = 100
_SQL: Final = Path(__file__).with_name("world.sql")
_CHUNK: Final = 2_000


def parameters(runs: int) -> dict[str, int]:
    """How so many runs are divided: a fifth of the cycles belongs to projects with many versions."""
    cycles = max(runs // RUNS_A_CYCLE, 10)
    often, seldom = max(cycles // 5 // 333, 1), max(cycles * 4 // 5 // 41, 1)
    fan_out = min(FAN_OUT, max(cycles // 10, 1))
    return {
        "cycles": cycles,
        "often": often,
        "seldom": seldom,
        "fan_out": fan_out,
        "chain": min(CHAIN, cycles),
    }


def flat_rows(runs: int, first: int, end: int) -> pa.Table:
    """The rows of table `flat` of some cycles."""
    sql = _SQL.read_text()
    for name, value in {**parameters(runs), "from": first, "to": end}.items():
        sql = re.sub(rf"\${name}\b", str(value), sql)
    with scan.connect() as connection:
        connection.execute("SET memory_limit = '2GB'")
        for statement in sql.split(";\n"):
            if statement.strip():
                connection.execute(statement)
        return scan.fetch(connection, "FROM flat", FLAT).read_all()


def generate(log: Log, runs: int, tell: Callable[[str], None] = lambda _: None) -> None:
    """Write all tables of a world of so many runs."""
    tables = {name: table_store(log).open_or_create(name, schema) for name, schema in TABLES.items()}
    cycles, started = parameters(runs)["cycles"], time.monotonic()
    for first in range(0, cycles, _CHUNK):
        end = min(first + _CHUNK, cycles)
        rows = flat_rows(runs, first, end)
        store.append(tables["flat"], rows, {})
        for name, some in reduce.by_run(rows):
            store.append(tables[name], some.read_all(), {})
        tell(f"{end * RUNS_A_CYCLE:,} runs, {time.monotonic() - started:.0f} s")
    store.append(tables["rejected"], _rejected(cycles), {})
    keep_up(log)
    tables = {name: table_store(log).open_or_create(name, schema) for name, schema in TABLES.items()}
    opened = {name: Snapshot(name, table) for name, table in tables.items()}
    with scan.connect() as connection:
        connection.execute("SET memory_limit = '2GB'")
        models.derive(connection, lambda name, *where: opened[name].query(*where), None)
        for name in BY_MODEL:
            rows = scan.fetch(connection, models.sorted_rows(name), BY_MODEL[name])
            store.replace(tables[name], rows, None, {})
    tell(f"models, {time.monotonic() - started:.0f} s")
    flat = tables["flat"]
    marks = {f"flat/{flat.metadata().id}": flat.version(), GENERATION: 0, FORGOTTEN: 0}
    for name in DERIVED:
        store.append(tables[name], TABLES[name].empty_table(), marks)
    keep_up(log)
    tell(f"kept up, {time.monotonic() - started:.0f} s")


def _rejected(cycles: int) -> pa.Table:
    """A record in sixty thousand is turned away."""
    connection = duckdb.connect()
    query = """SELECT strftime(arrived, '%Y-%m-%d') AS arrival_date, 'lineage' AS topic,
            '00000000-0000-4000-8000-000000000001' AS topic_id, 0::INTEGER AS "partition", n AS "offset",
            arrived AS ingested_at, 'not_json' AS code, '$' AS path, 'not JSON' AS message,
            NULL::VARCHAR AS source, sha256(n::VARCHAR) AS sha256
        FROM (SELECT c * 60 + 59 AS n, to_timestamp(1735689600 + c * 100) AS arrived
            FROM range(0, $cycles, 1000) AS t(c))"""
    return scan.fetch(connection, query.replace("$cycles", str(cycles)), REJECTED).read_all()
