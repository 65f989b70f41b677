"""Spark on our tables: `make interop` installs it, in an environment of its own."""

import json
import os
import subprocess
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest
from deltalake import DeltaTable

from modeltrail_collector.model import Reason
from modeltrail_collector.tables import compact, keep_up, rebuild, table_store
from modeltrail_collector.tables.schema import TABLES

SPARK = Path(__file__).parents[3] / ".venv-spark"

pytestmark = [pytest.mark.interop, pytest.mark.timeout(1800)]


def spark_rows(folders: Iterable[str]) -> dict[str, list[str]]:
    """What Spark reads of each table, as sorted JSON."""
    environment = {**os.environ, "TZ": "UTC", "PYSPARK_PYTHON": str(SPARK / "bin/python")}
    program = [SPARK / "bin/python", Path(__file__).with_name("spark_rows.py"), SPARK / "jars", *folders]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    rows = defaultdict(list)
    for line in done.stdout.splitlines():
        found = json.loads(line)
        rows[found["table"]].append(json.dumps(found["row"], sort_keys=True))
    return {name: sorted(found) for name, found in rows.items()}


def delta_rows(folder: str) -> list[str]:
    """The same by plain deltalake."""
    rows = DeltaTable(folder).to_pyarrow_table().to_pylist()
    return sorted(json.dumps(row, sort_keys=True, default=lambda time: time.isoformat()) for row in rows)


def test_spark_reads_every_table(make, log, seal) -> None:
    """Spark with Delta reads just the rows of plain deltalake, of tables made in pieces, kept up, rebuilt."""
    entries = make.entries(make.story())
    rejected = make.rejected(len(entries), b"nope", Reason("not_json", "$", "no JSON"))
    for entry in (*entries, rejected):
        seal([entry])
        compact(log)
    keep_up(log)
    folders = {name: table_store(log).uri(name) for name in TABLES}
    expected = {name: delta_rows(folder) for name, folder in folders.items()}
    assert all(expected.values()), [name for name, rows in expected.items() if not rows]
    assert expected == spark_rows(folders.values())
    rebuild(log)
    assert expected == spark_rows(folders.values())
